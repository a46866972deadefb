"""The retention when a person calls for it, over a real store of each kind."""

import time
from dataclasses import replace

import pytest
from kept import DAY_S, keep_request

from watchkeeper.runtime import retention
from watchkeeper.runtime.pruning import carry_out, due
from watchkeeper.runtime.retention import Keep
from watchkeeper.storage import Store
from watchkeeper.storage.upkeep import Kind

SCOPE = {"service": "shop", "environment": "production"}


KEEP = Keep(
    frames_s={10: DAY_S, 60: 14 * DAY_S, 3_600: 400 * DAY_S},
    events_s=30 * DAY_S,
    samples_s=7 * DAY_S,
    max_samples=50_000,
)


def rest() -> None:
    """Make no pause."""


def test_what_one_round_leaves_the_next_one_takes(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A call goes on, in the retention's own small transactions, until nothing is left."""
    monkeypatch.setattr(retention, "MAX_ROWS", 2)
    monkeypatch.setattr(retention, "MAX_PRUNES", 2)
    now = time.time()
    for number in range(11):
        keep_request(store, number, at=now - 40 * DAY_S - number * 20)
    steps: list[int] = []

    gone = carry_out(store, KEEP, now=now, pause=rest, on_gone=steps.append)

    assert [] == store.next_events(**SCOPE, after=(0.0, ""), limit=9)
    assert (11, 11) == (gone[Kind.EVENTS, 0], gone[Kind.COUNTS, 0])
    assert 22 == gone[Kind.SAMPLES, 0]
    assert sum(gone.values()) == sum(steps)
    assert [] == [one for one in due(store, KEEP, now=now) if one.rows]


def test_a_pause_is_made_before_each_transaction(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The application's own writes get their turn between any two deletions."""
    monkeypatch.setattr(retention, "MAX_ROWS", 2)
    now, pauses = time.time(), []
    for number in range(5):
        keep_request(store, number, at=now - 40 * DAY_S - number * 20)
    steps: list[int] = []

    carry_out(store, KEEP, now=now, pause=lambda: pauses.append(None), on_gone=steps.append)

    assert len(steps) < len(pauses)


def test_counts_stay_for_a_month_though_events_go(store: Store):
    """A month of an issue can be shown, however short of room it is."""
    now = time.time()
    for number, days in enumerate((10, 20, 40)):
        keep_request(store, number, at=now - days * DAY_S)

    keep = replace(KEEP, events_s=3 * DAY_S)
    gone = carry_out(store, keep, now=now, pause=rest, on_gone=lambda _: None)

    assert (3, 1) == (gone[Kind.EVENTS, 0], gone[Kind.COUNTS, 0])


def test_samples_past_their_number_are_told_and_go(store: Store):
    """Of samples that are kept for long enough only the newest are kept."""
    now = time.time()
    for number in range(5):
        keep_request(store, number, at=now - 20 - number)

    keep = replace(KEEP, max_samples=2)
    told = {one.what: one for one in due(store, keep, now=now)}
    gone = carry_out(store, keep, now=now, pause=rest, on_gone=lambda _: None)

    assert (3, now - 24) == (told["samples"].rows, told["samples"].oldest)
    assert {(Kind.SAMPLES, 0): 3} == gone
