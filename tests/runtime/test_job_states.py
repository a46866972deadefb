"""What is known of each job: lateness through restarts, several workers and lost databases."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.declared import Declared
from watchkeeper.runtime.job_memory import MAX_KEPT, MAX_PLAIN, forget, read
from watchkeeper.runtime.job_states import Jobs
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage import Store
from watchkeeper.storage.store import Swap
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
        self.declared = declared
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

    def values(self, prefix: str) -> dict[str, str]:
        raise StorageUnavailableError

    def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
        raise StorageUnavailableError


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


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "report"}', '{"name": "report", "declared_at": NaN}']
)
def test_a_damaged_memory_is_an_empty_one(process, memory, text: str):
    """What cannot be read is written anew."""
    process(memory).gauges()
    ((key, written),) = memory.values("job:").items()
    memory.set_meta(key, text)

    assert {"report": 0.0} == process(memory).gauges()
    assert written == memory.meta(key)


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


def nightly(clock: ManualClock, memory: Store, *, fails: bool = False) -> None:
    """Run a script that declares the report, runs it, and is gone."""
    script = Process(clock, memory)
    script.run("failed" if fails else "ok")
    script.jobs.sample(clock(), memory=memory, scope=SCOPE, leads=False, last=True)


def test_a_job_whose_process_is_gone_is_told_late_by_who_leads(process, clock, store: Store):
    """A nightly script that is never started again is missed by the processes that still run."""
    nightly(clock, store)
    leader, other = process(store, names=()), process(store, names=())
    clock.move(26 * HOUR)

    leader.jobs.sample(clock(), memory=store, scope=SCOPE, leads=True)
    other.jobs.sample(clock(), memory=store, scope=SCOPE, leads=False)

    assert [HOUR] == [
        value.last
        for series, value in leader.recorder.take().items()
        if series.metric == "job_lateness_seconds"
    ]
    assert {} == other.recorder.take()


def test_a_job_is_late_after_nobody_ran_for_a_while(process, clock, store: Store):
    """The first process that starts again knows what was missed while none ran."""
    nightly(clock, store)
    clock.move(100 * 24 * HOUR)

    assert {"report": 100 * 24 * HOUR - 25 * HOUR} == process(store, names=()).gauges()


def test_what_others_have_not_written_yet_gets_its_time(process, clock, memory):
    """A run that ended in the last second of the grace is no alarm before it is written."""
    web = process(memory)
    worker = process(memory)
    web.run()
    web.gauges()
    clock.now = START + 25 * HOUR - 1
    worker.run()
    clock.move(5)

    web.jobs.sample(clock(), memory=memory, scope=SCOPE, slot_s=10)
    early = web.gauges("job_lateness_seconds")
    worker.gauges()
    clock.move(15)
    web.jobs.sample(clock(), memory=memory, scope=SCOPE, slot_s=10)

    assert [0.0] == [
        value.last
        for series, value in web.recorder.take().items()
        if series.metric == "job_lateness_seconds"
    ]
    assert {"report": 4.0} == early  # slots of no length: nothing to wait for


class Counting:
    """A store that counts how often it is asked."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = self.writes = 0

    def values(self, prefix: str) -> dict[str, str]:
        self.reads += 1
        return self.store.values(prefix)

    def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
        self.writes += 1
        return self.store.swap_values(swaps)


@pytest.mark.parametrize(
    ("reads", "writes", "runs", "hours"),
    [
        pytest.param(11, 1, False, 0, id="nothing to tell: each sixth slot"),
        pytest.param(61, 61, True, 0, id="a run each second: each slot"),
        pytest.param(61, 1, False, 26, id="late: each slot"),
    ],
)
def test_quick_flushes_ask_no_more_often_than_slots(
    clock, memory, reads: int, writes: int, runs: bool, hours: float
):
    """In trouble there is a flush each second; that must cost next to nothing."""
    nightly(clock, memory)
    clock.move(hours * HOUR + 1)
    worker, counting = Process(clock, None), Counting(memory)

    for _ in range(601):
        if runs:
            worker.run()
        worker.jobs.sample(clock(), memory=counting, scope=SCOPE, slot_s=10)
        clock.move(1)

    assert (reads, writes) == (counting.reads, counting.writes)


def test_runs_of_a_job_without_a_schedule_are_saved_once_a_minute(clock, memory):
    """A queue's thousand tasks are no thousand writes; a change of the outcome is told at once."""
    worker, counting = Process(clock, None, names=()), Counting(memory)
    for second in range(121):
        worker.run("failed" if second == 90 else "ok", name="task")
        worker.jobs.sample(clock(), memory=counting, scope=SCOPE, slot_s=1)
        clock.move(1)
    worker.jobs.sample(clock(), memory=counting, scope=SCOPE, slot_s=1, last=True)

    (facts,) = read(memory, SCOPE).facts.values()
    assert (START + 120, "ok") == (facts.last_run.at, facts.last_run.outcome)
    assert 6 >= counting.writes


def test_of_two_processes_that_save_at_once_none_loses(clock, memory):
    """Who was not fast enough tells again at the next slot."""
    slow, quick = Process(clock, memory), Process(clock, memory)
    slow.run()
    clock.move(1)

    class Overtaken(Counting):
        def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
            if not self.writes:
                quick.run("failed")
                quick.gauges()
            return super().swap_values(swaps)

    memory_of_slow = Overtaken(memory)
    slow.jobs.sample(clock(), memory=memory_of_slow, scope=SCOPE)
    slow.jobs.sample(clock(), memory=memory_of_slow, scope=SCOPE)

    (facts,) = read(memory, SCOPE).facts.values()
    assert (START, "failed") == (facts.last_success, facts.last_run.outcome)


def test_a_forgotten_job_comes_back_only_with_news(process, clock, memory):
    """Whoever runs it does not tell of it for ever; a process that declares it still does."""
    worker, declaring = process(memory, names=()), process(memory)
    worker.run(name="old")
    worker.gauges()
    declaring.gauges()

    assert {"old", "report"} == forget(
        memory, SCOPE, ["old", "report", "never"], read(memory, SCOPE)
    )
    worker.gauges()
    assert {} == read(memory, SCOPE).facts
    declaring.gauges()
    assert {"report"} == set(read(memory, SCOPE).facts)


def test_a_forgotten_job_comes_back_without_what_others_said(process, clock, memory):
    """A release that only runs it does not bring the schedule of the one before back."""
    process(memory).gauges()
    worker = process(memory, names=())
    worker.run(name="report")
    worker.gauges()

    forget(memory, SCOPE, ["report"], read(memory, SCOPE))
    clock.move(60)
    worker.run("failed", name="report")
    worker.gauges()

    facts = read(memory, SCOPE).facts["report"]
    assert (None, None, clock()) == (facts.plan, facts.last_success, facts.last_run.at)


def test_a_job_that_nobody_runs_any_more_is_dropped(process, clock, memory):
    """Names that vary do not pile up: without a schedule a job is kept for 90 days."""
    worker = process(memory, names=())
    worker.run(name="once")
    worker.gauges()
    nightly(clock, memory)
    clock.move(91 * 24 * HOUR)

    process(memory, names=()).gauges()

    assert {"report"} == set(read(memory, SCOPE).facts)


def test_no_more_jobs_are_kept_than_there_may_be(clock, memory):
    """Of names that vary the rest is left out, and counted."""
    for number in range(MAX_KEPT // 100 + 1):
        worker = Process(clock, memory, names=())
        for index in range(100):
            worker.run(name=f"job {number} {index}")
        worker.gauges()

    assert MAX_PLAIN == len(read(memory, SCOPE).facts)
    worker.gauges()
    assert 100 == worker.recorder.dropped["jobs"]


def test_the_newest_release_says_when_a_job_is_to_run(clock, memory):
    """While two releases run side by side they do not overwrite each other's schedule."""
    old = Process(clock, memory)
    old.gauges()
    clock.move(10)
    new = Process(clock, memory, names=())
    new.declared.add("report", Schedule(every_s=HOUR))
    for _ in range(3):
        new.gauges()
        old.gauges()
        clock.move(10)

    (facts,) = read(memory, SCOPE).facts.values()
    assert Schedule(every_s=HOUR) == facts.schedule


def test_who_still_runs_says_its_schedule_again(clock, memory):
    """A worker of the old release that began amid the roll-out does not say the last word."""
    old, new = Process(clock, memory), Process(clock, memory, names=())
    new.declared.add("report", Schedule(every_s=HOUR))
    for worker in (old, new):
        worker.gauges()
        clock.move(10)
    Process(clock, memory).gauges()

    found = []
    for _ in range(3):
        new.gauges()
        found.append(read(memory, SCOPE).facts["report"].schedule.every_s)
        clock.move(0.5 * HOUR)

    assert [24 * HOUR, 24 * HOUR, HOUR] == found


def test_a_schedule_set_by_a_clock_that_was_ahead_is_replaced(clock, memory):
    """The next declaration counts, whenever the wrong one says it was made."""
    clock.move(365 * 24 * HOUR)
    Process(clock, memory).gauges()
    clock.now = START
    worker = Process(clock, memory, names=())
    worker.declared.add("report", Schedule(every_s=HOUR))
    for _ in range(2):
        worker.gauges()
        clock.move(10)

    assert Schedule(every_s=HOUR) == read(memory, SCOPE).facts["report"].schedule


def test_a_scheduler_may_take_back_what_it_offered(clock, memory):
    """A job that was taken off its scheduler is not missed."""
    worker = Process(clock, memory, names=())
    worker.declared.offer("report", DAILY)
    worker.run()
    worker.gauges()

    worker.declared.offer("report", None)
    clock.move(26 * HOUR)

    assert {} == worker.gauges()
    assert {} == Process(clock, memory, names=()).gauges()


def test_a_schedule_that_means_nothing_here_is_said_once(clock, memory, caplog):
    """A host without time zones does not know whether a job is late, and the others are told."""
    worker = Process(clock, memory)
    worker.declared.offer("tokyo", Schedule(cron="0 3 * * *", tz="Mars/Base"))

    found = [worker.gauges(), worker.gauges()]

    assert [{"report": 0.0}] * 2 == found
    assert 1 == len(caplog.messages)
    assert "job 'tokyo': its schedule cannot be read here ('Mars/Base'" in caplog.text.replace(
        "tz: ", ""
    )


@pytest.mark.parametrize(
    ("waits", "began"),
    [
        pytest.param([7.0], "03:00:07", id="its time"),
        pytest.param([], "02:30:00", id="ran by hand after a run"),
    ],
)
def test_a_job_with_an_expression_has_waited_since_its_time(
    clock, memory, waits: list[float], began: str
):
    """The wait is the time between when it was due and when it began."""
    worker = Process(clock, memory, names=())
    worker.declared.add("report", Schedule(cron="0 3 * * *"))
    clock.now = datetime.fromisoformat("2026-03-03T03:00:10Z").timestamp()
    worker.run()
    worker.gauges()

    clock.now = datetime.fromisoformat(f"2026-03-04T{began}Z").timestamp() + 1.0
    worker.run()
    worker.jobs.sample(clock(), memory=memory, scope=SCOPE)

    assert waits == [
        value.sum
        for series, value in worker.recorder.take().items()
        if series.metric == "job_wait_seconds"
    ]


@pytest.mark.parametrize(
    ("began", "waits"), [("2026-03-03T22:05:00", []), ("2026-03-04T03:00:20", [20.0])]
)
def test_the_first_run_waited_for_no_time_before_the_job_was_known(
    clock, memory, began: str, waits: list[float]
):
    """A nightly job that is declared at ten and run at once has not waited since three."""
    clock.now = datetime.fromisoformat("2026-03-03T22:00:00Z").timestamp()
    worker = Process(clock, memory, names=())
    worker.declared.add("report", Schedule(cron="0 3 * * *"))
    worker.gauges()

    clock.now = datetime.fromisoformat(f"{began}Z").timestamp() + 1.0
    worker.run()
    worker.jobs.sample(clock(), memory=memory, scope=SCOPE)

    assert waits == [
        value.sum
        for series, value in worker.recorder.take().items()
        if series.metric == "job_wait_seconds"
    ]


def test_a_run_whose_beginning_nobody_knows_counts_without_a_time(clock, memory):
    """A process that was killed ran for an unknown time, not for none."""
    worker = Process(clock, memory)
    worker.jobs.ran("report", outcome="failed", seconds=None)
    worker.jobs.sample(clock(), memory=memory, scope=SCOPE, last=True)

    (run,) = [
        value
        for series, value in worker.recorder.take().items()
        if series.metric == "job_duration_seconds"
    ]
    last = read(memory, SCOPE).facts["report"].last_run
    assert (1, 1) == (run.count, run.zero)
    assert last is not None
    assert ("failed", None) == (last.outcome, last.seconds)
