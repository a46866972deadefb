"""Telling, where alerts of one rule or of several meet: what is wrong with one stays with it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.alerted import NOON, Shop, rule
from tests.stored import SHOP

from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.silences import QuietHours, parse_silence
from watchkeeper.core.weekly import parse_weekly
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.acknowledging import Outcome, acknowledge
from watchkeeper.runtime.audience import Links
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.silences import Request, add
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Incident, Store


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


@pytest.mark.parametrize(
    "damage",
    [
        {"told": "x"},
        {"told": {"channels": 7}},
        {"told": {"counts": [1]}},
        {"labels": "x"},
        {"resolved_at": "x"},
    ],
)
def test_a_damaged_row_keeps_no_other_back(store: Store, damage: dict[str, Any]) -> None:
    """It is left out and counted, unless the store could mend it; all others are told."""
    shop = Shop(store, rule(), rule("Slow", channels=("mail",)))
    shop.fires(**damage)
    shop.fires(name="Slow")
    take_errors()

    told = shop.tells()

    assert ("firing", "mail", 1) in told
    left_out = {"telling of an alert": 1} == take_errors()
    assert left_out is (("firing", "phone", 1) not in told)


def test_a_message_that_cannot_be_written_keeps_no_other_back(store: Store) -> None:
    """It stays due, as nobody was told."""
    shop = Shop(store, rule("A", channels=("mail",)), rule("B", channels=("mail",)))
    shop.fires(name="A")
    shop.fires(name="B")
    links = shop.audience.links
    wrong = ["A"]

    def broken(incidents: Sequence[Incident]) -> Links:
        if incidents[0].rule in wrong:
            raise ZeroDivisionError
        return links(incidents)

    shop.audience = replace(shop.audience, links=broken)
    shop.worker = shop.another_worker()

    assert [("firing", "mail", 1)] == shop.tells()
    assert ["B"] == [row.payload["rule"] for row in shop.messages()]
    wrong.clear()
    assert [("firing", "mail", 1)] == shop.tells(10)


def test_a_damaged_silence_silences_nothing(tmp_path: Any) -> None:
    """It must not become one of all alerts, as an empty one is."""
    store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    store.migrate()
    shop = Shop(store, rule(channels=("mail",)))
    asked = Request(match={"rule": "Other"}, author="Ada", for_s=600)
    add(store, SHOP, asked, actor="test", at=shop.now)
    with sqlite3.connect(tmp_path / "watchkeeper.db") as connection:
        connection.execute("update wk_silence set matchers = 'no json'")
    shop.fires()

    assert [("firing", "mail", 1)] == shop.tells()
    store.close()


DATABASE = rule("Database")
TARGET = rule(quiet_while=("Database",), channels=("mail",))
WORKS = parse_silence(
    {"match": {"rule": "Database"}, "until": "2027-01-01T00:00:00+00:00"}, name="x", where="test"
)
NOON_REST = QuietHours(weekly=parse_weekly("daily 11:00-13:00", where="test"))


@pytest.mark.parametrize(
    ("cause", "audience"),
    [
        (DATABASE, {"silences": (WORKS,)}),
        (replace(DATABASE, severity="info"), {}),
        (replace(DATABASE, shadow=True), {}),
        (replace(DATABASE, severity="warning"), {"quiet_hours": NOON_REST}),
    ],
    ids=["silenced", "goes to nobody", "shadow", "quiet hours"],
)
def test_what_nobody_is_told_of_explains_nothing(
    store: Store, cause: Rule, audience: dict[str, Any]
) -> None:
    """Or nobody would be told of either."""
    shop = Shop(store, cause, TARGET, **audience)
    shop.fires(name="Database")
    shop.fires()

    assert [("firing", "mail", 1)] == shop.tells()
    assert "Errors" == shop.messages()[-1].payload["rule"]


def test_what_people_know_explains_others_if_it_is_silenced_then(store: Store) -> None:
    """They were told of the cause."""
    shop = Shop(store, replace(DATABASE, channels=("mail",)), TARGET)
    shop.fires(name="Database")
    shop.tells()
    asked = Request(match={"rule": "Database"}, author="Ada", for_s=600)
    add(store, SHOP, asked, actor="test", at=shop.now)
    shop.fires()

    assert [] == shop.tells(60)
    assert "inhibited" == shop.told()["why"]


def test_the_monitoring_is_never_explained_by_the_application(store: Store) -> None:
    """A silent monitor is worse than none: its own rules are told beside any critical alert."""
    names = ("Watchkeeper itself", "Storage growth", "Rule cannot be read")
    own = [rule(name, severity="warning", channels=("mail",)) for name in names]
    shop = Shop(store, rule("High error rate", channels=("mail",)), *own)
    for name in ("High error rate", *names):
        shop.fires(name=name)

    assert [("firing", "mail", 1)] * 4 == shop.tells()


def test_who_had_an_alert_that_was_over_has_it_no_more(store: Store) -> None:
    """What comes again is reminded of and escalated, until somebody takes it on again."""
    manners = {"repeat_s": 3_600.0, "escalate_after_s": 900.0, "escalate_to": ("boss",)}
    shop = Shop(store, rule(channels=("mail",), **manners))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    acknowledge(store, SHOP, 1, by="Ada", actor="test", at=shop.now)
    assert [] == shop.tells(900)
    shop.ends()
    assert [("resolved", "mail", 1)] == shop.tells(60)
    shop.delivers("mail")
    shop.now += 300
    shop.fires()

    assert [("again", "mail", 1)] == shop.tells()
    shop.delivers("mail")
    assert [("escalated", "boss", 1)] == shop.tells(900)
    found = acknowledge(store, SHOP, 1, by="Bob", actor="test", at=shop.now)
    assert (Outcome.ACKNOWLEDGED, "Bob") == (found.outcome, shop.incident().acked_by)
    assert [] == shop.tells(3_600)


def test_what_fires_on_while_people_believe_in_it_stays_with_who_has_it(store: Store) -> None:
    """They were not told that it was over."""
    shop = Shop(store, rule(repeat_s=3_600.0, channels=("mail",)))
    shop.fires()
    shop.tells()
    acknowledge(store, SHOP, 1, by="Ada", actor="test", at=shop.now)
    shop.now += 60
    shop.ends()
    shop.now += 10
    shop.fires()

    assert [] == shop.tells(7_200)
    assert "acknowledged" == shop.told()["why"]


def test_the_end_is_as_bad_as_it_was_at_its_worst(store: Store) -> None:
    """A receiver that kept a critical alert learns that that one is over."""
    two = {"when": "error_rate > 50%", "severity": "critical"}
    worse = compile_alert(
        Alert("Errors", when="error_rate > 5%", severity="warning", worse=two),
        where="test",
        origin=Origin.CODE,
        slot_s=10.0,
    )
    shop = Shop(store, worse)
    shop.fires(worse=True)
    shop.tells()
    shop.delivers("mail", "phone")
    shop.ends(worse=False)
    shop.tells(60)

    assert ["critical", "critical"] == [
        row.payload["severity"] for row in shop.messages() if row.channel == "mail"
    ]


def test_messages_that_no_store_takes_are_due_again(tmp_path: Any) -> None:
    """A store that is away is asked for two of them, and the error is raised."""
    store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    store.migrate()
    names = ("A", "B", "C")
    shop = Shop(store, *(rule(name, channels=("mail",)) for name in names))
    for name in names:
        shop.fires(name=name)
    refuse(tmp_path, "1")
    with pytest.raises(StorageError):
        shop.tells()

    with sqlite3.connect(tmp_path / "watchkeeper.db") as connection:
        connection.execute("drop trigger refused")
    assert [("firing", "mail", 1)] * 3 == shop.tells()
    store.close()


def test_a_message_that_the_store_refuses_keeps_no_other_back(tmp_path: Any) -> None:
    """The error is raised when all others are sent."""
    store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    store.migrate()
    shop = Shop(store, rule("A", channels=("bad",)), rule("B", channels=("mail",)))
    shop.fires(name="A")
    shop.fires(name="B")
    refuse(tmp_path, "new.channel = 'bad'")

    with pytest.raises(StorageError):
        shop.tells()

    assert ["mail"] == [row.channel for row in shop.messages()]
    store.close()


def refuse(folder: Any, when: str) -> None:
    """Let a database in a file refuse messages."""
    with sqlite3.connect(folder / "watchkeeper.db") as connection:
        connection.execute(
            f"create trigger refused before insert on wk_outbox when {when} "
            "begin select raise(abort, 'no'); end"
        )
