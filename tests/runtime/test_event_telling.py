"""Event rules: single events go the ways of all alerts, and wait for nothing that has no end."""

from dataclasses import replace
from typing import Any

import pytest
from tests.stored import HERE, SHOP, batch, counted, frame

from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Rule
from watchkeeper.core.silences import parse_quiet_hours
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.event_alerts import EventAlerts
from watchkeeper.runtime.silences import Request, add
from watchkeeper.storage.memory import MemoryStore

NOON = 1_777_723_200.0
(NEW_ISSUE,) = (rule for rule in PACK if rule.name == "New issue")


class Shop:
    """A service in which errors happen that nobody has seen before."""

    def __init__(self, rule: Rule = NEW_ISSUE, **audience: Any) -> None:
        self.store = MemoryStore()
        self.rule = rule
        self.now = NOON
        self.number = 0
        self.events = EventAlerts(
            self.store,
            scope=SHOP,
            audience=Audience(
                channels_for=lambda severity: ("mail",), links=lambda one: Links(), **audience
            ),
            installed_at=0.0,
        )
        self.evaluates()

    def evaluates(self, after_s: float = 0.0) -> list[tuple[str, str, int]]:
        """Let time pass and evaluate; return what is new in the outbox."""
        self.now += after_s
        known = len(self.store.outbox(limit=100))
        rows = {row.rule: row for row in self.store.alerts(**HERE)}
        self.events.evaluate(self.rule, rows.get(self.rule.name), now=self.now)
        new = self.store.outbox(limit=100)[: len(self.store.outbox(limit=100)) - known]
        return [(row.kind, row.channel, len(row.payload["alerts"])) for row in new]

    def fails(self, ahead_s: float = 0.0) -> None:
        """Let an error happen that is new, on a host whose clock may be ahead."""
        self.number += 1
        one = counted(f"1:{self.number:016x}", 1)
        at = self.now + ahead_s
        one = replace(one, first_at=at, last_at=at)
        self.store.write(batch(frame(int(self.now) + self.number), issues=[one]))

    def incidents(self) -> int:
        found = self.store.incidents(**HERE, states=("event",), since=0, limit=100)
        return len(found)


def test_an_event_goes_to_the_channels_of_its_rule() -> None:
    """The first at once, followers in one digest."""
    shop = Shop(replace(NEW_ISSUE, channels=("team",)))
    shop.fails()

    assert [("firing", "team", 1)] == shop.evaluates(1)
    shop.fails()
    shop.fails()
    assert [] == shop.evaluates(10)
    assert [("digest", "team", 2)] == shop.evaluates(300)


def test_a_silenced_event_is_listed_only() -> None:
    """It has no end at which it could still be so."""
    shop = Shop()
    request = Request(match={"rule": "New*"}, author="Ada", for_s=60)
    add(shop.store, SHOP, request, actor="test", at=shop.now)
    shop.fails()

    assert [] == shop.evaluates(1)
    assert [] == shop.evaluates(600)
    assert 1 == shop.incidents()


def test_events_of_the_night_are_told_in_the_morning() -> None:
    """Together, at the end of quiet hours."""
    quiet = parse_quiet_hours({"every": "daily 11:00-13:00"}, where="quiet_hours")
    shop = Shop(quiet_hours=quiet)
    shop.fails()
    shop.evaluates(1)
    shop.fails()

    assert [] == shop.evaluates(3_000)
    assert [("digest", "mail", 2)] == shop.evaluates(599)


@pytest.mark.parametrize(
    "rule", [replace(NEW_ISSUE, shadow=True), replace(NEW_ISSUE, quiet_s=NOON * 2)]
)
def test_a_shadow_rule_and_a_fresh_installation_list_only(rule: Rule) -> None:
    """Events are recorded, and nobody is told."""
    shop = Shop(rule)
    shop.fails()

    assert [] == shop.evaluates(1)
    assert [] == shop.evaluates(600)
    assert 1 == shop.incidents()


def test_a_host_whose_clock_is_ahead_hides_no_other_issue() -> None:
    """Each is told once."""
    shop = Shop()
    shop.fails(ahead_s=86_400)
    assert [("firing", "mail", 1)] == shop.evaluates(1)
    shop.fails()
    assert [("firing", "mail", 1)] == shop.evaluates(600)
    assert [] == shop.evaluates(7_200)
    shop.fails()
    assert [("firing", "mail", 1)] == shop.evaluates(1)
