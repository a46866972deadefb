"""What Watchkeeper records of itself, so that plain rules can tell that it does not work."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stored import HERE, SHOP, fired

from watchkeeper.app import Watchkeeper
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.own_health import OwnHealth
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store, open_store
from watchkeeper.testing import ManualClock

NOW = 1_000_000_005.0


def taken(recorder: Recorder) -> dict[str, float]:
    """Return the newest figures, by metric."""
    return {
        series.metric: value.last if isinstance(value, Gauge) else value
        for series, value in recorder.take().items()
    }


@pytest.fixture
def recorder() -> Recorder:
    """A recorder of the shop."""
    return Recorder(SHOP)


def test_the_age_of_the_evaluation_is_recorded(recorder: Recorder):
    """The time since anybody evaluated the rules, as a worker found it."""
    health = OwnHealth(recorder)
    for passed_s in (0, 30, 60, 75):
        health.looked(NOW - 10, now=NOW + passed_s)

    assert {"watchkeeper_evaluation_age_seconds": 75.0} == taken(recorder)


def test_a_night_without_workers_was_not_late(recorder: Recorder):
    """What was before this worker's first look does not count, nor what never was."""
    for evaluated_at in (NOW - 40_000, 0.0):
        health = OwnHealth(recorder)
        health.looked(evaluated_at, now=NOW)

        assert {"watchkeeper_evaluation_age_seconds": 0.0} == taken(recorder)


@pytest.mark.parametrize("jump_s", [-3_600, 3_600])
def test_a_clock_that_was_set_is_no_lateness(recorder: Recorder, jump_s: int):
    """Neither negative nor hours; from there on it counts as ever."""
    health = OwnHealth(recorder)
    health.looked(NOW, now=NOW)
    health.looked(NOW, now=NOW + jump_s)

    assert {"watchkeeper_evaluation_age_seconds": 0.0} == taken(recorder)


def test_the_oldest_waiting_message_tells_its_age(store: Store, recorder: Recorder):
    """On every kind of database: 0 without one, then the time since it was put there."""
    health = OwnHealth(recorder)
    health.evaluated(store, SHOP, now=100.0, leads=True)
    empty = taken(recorder)
    assert store.save_alert(fired("oncall"), at=100.0) is not None

    health.evaluated(store, SHOP, now=500.0, leads=True)

    assert 0.0 == empty["watchkeeper_outbox_oldest_seconds"]
    assert 400.0 == taken(recorder)["watchkeeper_outbox_oldest_seconds"]
    assert HERE == {"service": SHOP.service, "environment": SHOP.environment}


def test_a_message_for_a_channel_that_is_gone_is_no_fault_for_ever(
    store: Store, recorder: Recorder
):
    """Who takes a channel out of the settings hears of what waits there for a day, not a year."""
    health = OwnHealth(recorder)
    assert store.save_alert(fired("gone"), at=100.0) is not None

    health.evaluated(store, SHOP, now=100.0 + 86_400.0, leads=True)
    at_first = taken(recorder)
    health.evaluated(store, SHOP, now=100.0 + 2 * 86_400.0, leads=True)

    assert 86_400.0 == at_first["watchkeeper_outbox_oldest_seconds"]
    assert 0.0 == taken(recorder)["watchkeeper_outbox_oldest_seconds"]


def test_rules_that_fail_are_counted_by_name(recorder: Recorder):
    """Which rule cannot be evaluated is what one wants to know."""
    health = OwnHealth(recorder)
    health.rules_failed({"Slow": 1, "Spike": 0})
    health.rules_failed({"Slow": 2, "Spike": 1})

    assert {"Slow": 2, "Spike": 1} == {
        series.label("rule"): value for series, value in recorder.take().items()
    }


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str, ManualClock], Watchkeeper]]:
    """Make a worker on a database, and stop it in the end."""
    made = []

    def build(url: str, clock: ManualClock) -> Watchkeeper:
        settings = Settings(enabled=True, database_url=url, service="shop", environment="test")
        loaded = load(settings, environ={}, directory=tmp_path)
        made.append(Watchkeeper(loaded, clock=clock))
        return made[-1]

    yield build
    for one in made:
        one.stop()
        if one.store is not None:  # without a thread nobody closes it
            one.store.close()


def test_failed_flushes_are_counted_in_a_row(make, own_postgres):
    """While the database is away the count grows; what is written later tells of it."""
    clock = ManualClock(NOW)
    worker = make(own_postgres.url, clock)
    clock.move(10)
    worker.flush()

    own_postgres.stop()
    for _ in range(4):
        clock.move(30)
        worker.flush()
    own_postgres.start()
    for _ in range(2):
        clock.move(30)
        worker.flush()

    with_store = open_store(own_postgres.url)
    counts = [
        value.last
        for frame in with_store.frames(
            10, since=NOW - 60, until=NOW + 600, service="shop", environment="test"
        )
        for series, value in frame.values.items()
        if series.metric == "watchkeeper_failed_flushes"
    ]
    with_store.close()
    assert [0, 0, 1, 2, 3, 4, 0] == counts
