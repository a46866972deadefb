"""Telling, where alerts of one rule or of several meet: what is wrong with one stays with it."""

from typing import Any

import pytest
from tests.alerted import NOON, Shop, rule

from watchkeeper.core.silences import QuietHours
from watchkeeper.core.weekly import parse_weekly
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """An empty store, in memory or in a file."""
    made: Store = MemoryStore()
    if request.param == "sqlite":
        made = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    made.migrate()
    yield made
    made.close()


def test_a_rules_own_alert_and_that_of_a_group_end_together(store: Store) -> None:
    """Once: the rule's own row is changed as an alert and as the one that others wait for."""
    quiet = QuietHours(weekly=parse_weekly("daily 12:01-13:00", where="test"), below="critical")
    shop = Shop(store, rule(by="route", severity="warning"), quiet_hours=quiet)
    shop.fires("/a")
    shop.tells()
    shop.fires("")
    shop.tells(40)
    shop.delivers("mail")
    shop.now = NOON + 120
    shop.ends("/a")
    shop.ends("")
    assert [] == shop.tells(60)

    assert [("resolved", "mail", 2)] == shop.tells(3_600)
    assert [] == shop.tells(3_600)
