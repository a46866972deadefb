"""What is known of each job: lateness through restarts, several workers and lost databases."""

import json
from collections.abc import Callable

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.job_states import Declared, Jobs
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage import Store
from watchkeeper.testing import ManualClock, MemoryStore

SCOPE = Scope(service="shop", environment="test")
HOUR = 3_600.0
START = 1_000_000_000.0
DAILY = Schedule(every_s=24 * HOUR, grace_s=HOUR)


class Process:
    """A process that declares the daily report."""

    def __init__(
        self, clock: ManualClock, store: Store | None, *, names: tuple[str, ...] = ("report",)
    ):
        declared = Declared()
        for name in names:
            declared.add(name, DAILY)
        self.clock = clock
        self.store = store
        self.recorder = Recorder(SCOPE)
        self.jobs = Jobs(self.recorder, clock=clock, declared=declared)

    def run(self, outcome: str = "ok", name: str = "report") -> None:
        """Run the job."""
        self.jobs.ran(name, outcome=outcome, seconds=1.0)

    def gauges(self, metric: str = "job_lateness_seconds") -> dict[str, float]:
        """Close a slot and return a gauge by job."""
        self.jobs.sample(self.clock(), memory=self.store, scope=SCOPE)
        return {
            series.label("job"): value.last
            for series, value in self.recorder.take().items()
            if series.metric == metric
        }


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock(START)


@pytest.fixture
def memory() -> MemoryStore:
    """A store that outlives the processes of a test."""
    return MemoryStore()


@pytest.fixture
def process(clock: ManualClock) -> Callable[..., Process]:
    """Start a process on the test's clock."""
    return lambda store, **given: Process(clock, store, **given)


class Away:
    """A database that cannot be reached."""

    def meta(self, key: str) -> str | None:
        raise StorageUnavailableError

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        raise StorageUnavailableError


class Damaged:
    """A database whose texts somebody else wrote."""

    def __init__(self, text: str) -> None:
        self.text = text

    def meta(self, key: str) -> str | None:
        return self.text

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        self.text = value
        return value


def test_a_job_becomes_late_and_is_in_time_again(process, clock, memory):
    """Past its time and grace the gauge grows; a success brings it back to 0."""
    worker = process(memory)
    worker.run()

    found = []
    for hours in (0, 24, 25, 26):
        clock.now = START + hours * HOUR
        found.append(worker.gauges()["report"])
    worker.run()
    found.append(worker.gauges()["report"])

    assert [0.0, 0.0, 0.0, HOUR, 0.0] == found


def test_a_failed_run_is_no_success(process, clock, memory):
    """A job that fails each night is late, however often it runs."""
    worker = process(memory)
    worker.run()
    clock.move(26 * HOUR)
    worker.run("failed")
    worker.run("cancelled")

    assert {"report": HOUR} == worker.gauges()
    assert {"report": START} == worker.gauges("job_last_success_timestamp_seconds")


def test_lateness_is_unknown_until_the_store_was_asked(process, clock, memory):
    """A process that has just begun, and has no database yet, says nothing: 0 would be green."""
    worker = process(None)

    assert {} == worker.gauges()
    worker.store = memory
    assert {"report": 0.0} == worker.gauges()


def test_a_restart_forgets_nothing(process, clock, store: Store):
    """A service that restarts each hour sees a missed night as one that does not."""
    before = process(store)
    before.run()
    before.gauges()
    clock.move(26 * HOUR)

    after = process(store)

    assert {"report": HOUR} == after.gauges()
    assert {"report": START} == after.gauges("job_last_success_timestamp_seconds")


def test_restarts_do_not_put_the_first_run_off(process, clock, memory):
    """A job that never ran counts from the first declaration, not from the last restart."""
    process(memory).gauges()
    clock.move(26 * HOUR)

    assert {"report": HOUR} == process(memory).gauges()
    assert {} == process(memory).gauges("job_last_success_timestamp_seconds")


def test_a_run_elsewhere_counts_here(process, clock, memory):
    """A web process that only declares a job is not told lies by it: a worker ran it."""
    web, worker = process(memory), process(memory)
    web.gauges()
    clock.move(23 * HOUR)
    worker.run()
    worker.gauges()
    clock.move(3 * HOUR)

    assert {"report": 0.0} == web.gauges()
    clock.move(23 * HOUR)
    assert {"report": HOUR} == web.gauges()


def test_an_older_success_never_replaces_a_newer_one(process, clock, memory):
    """Two workers tell in any order; the newest success stays."""
    slow, quick = process(memory), process(memory)
    slow.run()
    clock.move(HOUR)
    quick.run()
    quick.gauges()
    slow.gauges()

    assert {"report": START + HOUR} == process(memory).gauges("job_last_success_timestamp_seconds")


def test_without_its_database_nobody_is_called_late(process, clock, memory):
    """Another process may have run the job: before it is called late, the store is asked."""
    worker = process(memory)
    worker.run()
    worker.gauges()

    worker.store = Away()
    clock.move(20 * HOUR)
    assert {"report": 0.0} == worker.gauges()
    clock.move(6 * HOUR)
    assert {} == worker.gauges()

    worker.store = memory
    assert {"report": HOUR} == worker.gauges()


def test_a_success_while_the_database_is_away_is_saved_later(process, clock, memory):
    """What could not be told is told as soon as somebody listens."""
    worker = process(memory)
    worker.gauges()
    worker.store = Away()
    worker.run()
    worker.gauges()

    worker.store = memory
    worker.gauges()

    assert {"report": START} == process(memory).gauges("job_last_success_timestamp_seconds")


def test_a_clock_that_was_wrong_does_not_hide_a_missed_run(process, clock, memory):
    """A success of next year counts as one of now, so that the next missed run is seen."""
    clock.move(365 * 24 * HOUR)
    worker = process(memory)
    worker.run()
    worker.gauges()
    clock.now = START

    assert {"report": 0.0} == worker.gauges()
    assert {"report": 0.0} == process(memory).gauges()
    clock.move(26 * HOUR)
    assert {"report": HOUR} == worker.gauges()
    assert {"report": HOUR} == process(memory).gauges()


def test_each_deployment_has_its_own_jobs(clock, memory):
    """The report of staging is not the report of production."""
    staging = Process(clock, memory)
    staging.run()
    staging.jobs.sample(clock(), memory=memory, scope=Scope(service="shop", environment="other"))
    clock.move(26 * HOUR)

    assert {"report": 0.0} == Process(clock, memory).gauges()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"last_success": "x"}', '{"last_success": NaN}'])
def test_a_damaged_memory_is_an_empty_one(process, text: str):
    """What cannot be read is written anew."""
    damaged = Damaged(text)

    assert {"report": 0.0} == process(damaged).gauges()
    assert {"declared_at": START, "last_success": None} == json.loads(damaged.text)


def test_a_forked_child_leaves_the_parents_news_to_the_parent(process, clock, memory):
    """A child begins with what is known, and with nothing to tell."""
    worker = process(memory)
    worker.run()
    worker.jobs.reset()

    assert {"report": START} == worker.gauges("job_last_success_timestamp_seconds")


def test_a_job_without_a_schedule_has_no_lateness(process, clock, memory):
    """Where nothing was promised nothing is late."""
    worker = process(memory, names=())
    worker.run(name="import")

    assert {} == worker.gauges()
    assert {"import": START} == worker.gauges("job_last_success_timestamp_seconds")
