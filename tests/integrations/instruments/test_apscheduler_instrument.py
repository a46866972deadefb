"""APScheduler: runs of real schedulers, in threads and on an event loop."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.executors import base, pool
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from observed import Observed

from watchkeeper.core.schedules import Schedule
from watchkeeper.integrations.instruments import apscheduler as instrument
from watchkeeper.runtime.declared import DECLARED
from watchkeeper.runtime.record import current

ENDS = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED
WAIT_S = 20.0
PATIENT = {"misfire_grace_time": None}  # a busy machine begins late, which is no matter here


@pytest.fixture
def watched(observed: Observed) -> Iterator[Observed]:
    uninstall = instrument.install(observed.observer)
    yield observed
    uninstall()


class Ends:
    """Waits for so many runs to end."""

    def __init__(self, scheduler: BackgroundScheduler) -> None:
        self.count = threading.Semaphore(0)
        self.events = []
        scheduler.add_listener(self.end, ENDS)

    def end(self, event: object) -> None:
        self.events.append(event)
        self.count.release()

    def wait(self, runs: int = 1) -> None:
        for _ in range(runs):
            assert self.count.acquire(timeout=WAIT_S)


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    made = BackgroundScheduler(timezone=UTC, job_defaults=PATIENT)
    made.start()
    yield made
    made.shutdown()


def test_a_run_is_recorded_by_the_jobs_name(watched, scheduler):
    """A run counts under the job's name, with how late it began."""
    ends = Ends(scheduler)
    routes = []

    scheduler.add_job(lambda: routes.append(current.get().describe().route), name="report")
    ends.wait()

    assert {"report ok": 1} == watched.runs()
    assert {"report": 1} == watched.waits()
    assert ["job:report"] == routes


def test_a_run_that_raises_is_failed(watched, scheduler):
    """The error is recorded with the job, and reaches the listeners as it was raised."""
    ends = Ends(scheduler)
    error = RuntimeError("no data")

    def report() -> None:
        raise error

    scheduler.add_job(report, name="report")
    ends.wait()

    assert {"report failed": 1} == watched.runs()
    assert [error] == watched.errors
    assert [{"job": "report"}] == watched.contexts
    assert error is ends.events[0].exception


def test_a_run_that_came_too_late_is_missed(watched, scheduler):
    """A run that the scheduler leaves out counts as missed, and is no failure."""
    ends = Ends(scheduler)
    ran = []

    scheduler.add_job(
        ran.append,
        args=[1],
        name="report",
        next_run_time=datetime.now(UTC) - timedelta(hours=1),
        misfire_grace_time=1,
    )
    ends.wait()

    assert [] == ran
    assert {"report missed": 1} == watched.runs()
    assert {} == watched.waits()


def test_runs_in_a_pool_of_processes_are_told_by_who_hands_them_out(watched, scheduler):
    """Nothing is watched in those processes, so that their jobs would be late for ever."""
    scheduler.add_executor(pool.ProcessPoolExecutor(1), "processes")
    ends = Ends(scheduler)

    scheduler.add_job(len, args=["x"], name="report", executor="processes")
    ends.wait()
    scheduler.add_job(int, args=["x"], name="report", executor="processes")
    ends.wait()

    assert {"report ok": 1, "report failed": 1} == watched.runs()
    assert ["ValueError"] == [type(one).__name__ for one in watched.errors]


def test_a_run_whose_process_is_killed_has_failed(watched, scheduler):
    """The pool breaks; the scheduler goes on, and tells no listener."""
    scheduler.add_executor(pool.ProcessPoolExecutor(1), "processes")

    scheduler.add_job(os._exit, args=[1], name="report", executor="processes")
    deadline = time.monotonic() + WAIT_S
    while not watched.errors and time.monotonic() < deadline:
        time.sleep(0.05)

    assert ["BrokenProcessPool"] == [type(one).__name__ for one in watched.errors]
    assert {"report failed": 1} == watched.runs()


def test_runs_at_once_all_count(watched, scheduler):
    """Counts are exact when the executor's threads run many jobs."""
    ends = Ends(scheduler)

    for number in range(50):
        scheduler.add_job(lambda: None, name=f"job {number % 2}", misfire_grace_time=None)
    ends.wait(50)

    assert {"job 0 ok": 25, "job 1 ok": 25} == watched.runs()


def test_coroutines_of_the_asyncio_scheduler_count(watched):
    """Coroutine jobs, and plain ones in its threads, are runs; a cancelled one is no failure."""

    async def main() -> None:
        scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=PATIENT)
        scheduler.start()
        ends = Ends(scheduler)
        began = asyncio.Event()

        async def good() -> None:
            await asyncio.sleep(0)

        async def bad() -> None:
            raise ValueError("no")

        async def endless() -> None:
            began.set()
            await asyncio.sleep(60)

        for job in (good, bad, threading.active_count):
            scheduler.add_job(job)
        await asyncio.to_thread(ends.wait, 3)
        scheduler.add_job(endless)
        await began.wait()
        scheduler.shutdown()
        await asyncio.sleep(0.05)

    asyncio.run(main())

    runs = {name.rpartition(".")[2]: count for name, count in watched.runs().items()}
    assert {"good ok": 1, "bad failed": 1, "active_count ok": 1, "endless cancelled": 1} == runs
    assert ["no"] == [str(error) for error in watched.errors]


def test_uninstalling_restores_the_library(observed, scheduler):
    """Taken out, every executor has the library's own functions again."""
    before = base.run_job, base.run_coroutine_job

    uninstall = instrument.install(observed.observer)
    assert base.run_job is pool.run_job is not before[0]
    uninstall()
    ends = Ends(scheduler)
    scheduler.add_job(lambda: None)
    ends.wait()

    assert before == (base.run_job, base.run_coroutine_job)
    assert before[0] is pool.run_job
    assert {} == observed.runs()


def offered() -> dict[str, Schedule | None]:
    """Return what schedulers have said of their jobs."""
    return dict(DECLARED._offered)


@pytest.fixture
def nothing_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's schedulers speak for themselves."""
    monkeypatch.setattr(DECLARED, "_offered", {})


@pytest.mark.parametrize(
    ("schedule", "trigger"),
    [
        (Schedule(every_s=7_200.0), IntervalTrigger(hours=2)),
        (Schedule(cron="0 3 * * *"), CronTrigger(hour=3, timezone="UTC")),
        (
            Schedule(cron="*/5 2-4 * * mon-fri", tz="Europe/Berlin"),
            CronTrigger(minute="*/5", hour="2-4", day_of_week="mon-fri", timezone="Europe/Berlin"),
        ),
        (None, CronTrigger(hour=3, day_of_week="0", timezone="UTC")),  # Monday there, Sunday here
        (None, CronTrigger(hour=3, second=5, timezone="UTC")),
        (None, CronTrigger(hour=3, week="*/2", timezone="UTC")),
        (None, CronTrigger(day="2nd fri", timezone="UTC")),
        (None, CronTrigger(day="13", day_of_week="fri", timezone="UTC")),
        (None, CronTrigger(year=2001, timezone="UTC")),
        (None, DateTrigger(datetime(2099, 1, 1, tzinfo=UTC))),
    ],
)
def test_a_trigger_says_when_a_job_is_to_run(
    watched, nothing_offered, scheduler, schedule: Schedule | None, trigger: object
):
    """Where it can be said as a schedule of ours; else the job is never called late."""
    scheduler.add_job(lambda: None, trigger, name="report")

    assert schedule == offered().get("report")


def test_a_job_that_is_taken_off_is_not_missed(watched, nothing_offered, scheduler):
    """Rescheduled, paused, resumed, removed: what is known follows."""
    found = []
    scheduler.add_job(lambda: None, IntervalTrigger(hours=1), id="r", name="report")
    for change in (
        lambda: scheduler.reschedule_job("r", trigger=IntervalTrigger(hours=2)),
        lambda: scheduler.pause_job("r"),
        lambda: scheduler.resume_job("r"),
        lambda: scheduler.remove_job("r"),
    ):
        found.append(offered()["report"])
        change()

    assert [
        Schedule(every_s=3_600.0),
        Schedule(every_s=7_200.0),
        None,
        Schedule(every_s=7_200.0),
    ] == found
    assert {"report": None} == offered()


def test_jobs_that_are_all_taken_off_are_not_missed(watched, nothing_offered, scheduler):
    """As programs do that write their jobs anew at each start; those of another store stay."""
    scheduler.add_jobstore("memory", "second")
    scheduler.add_job(lambda: None, IntervalTrigger(hours=1), name="report")
    scheduler.add_job(lambda: None, IntervalTrigger(hours=2), name="mail", jobstore="second")

    scheduler.remove_all_jobs("default")
    first = offered()
    scheduler.remove_all_jobs()

    assert {"report": None, "mail": Schedule(every_s=7_200.0)} == first
    assert {"report": None, "mail": None} == offered()


def test_an_interval_counts_once_it_has_begun(watched, nothing_offered, scheduler):
    """A job that starts in a moment further ahead than its interval is not late until then."""
    ends = Ends(scheduler)
    first = datetime.now(UTC) + timedelta(seconds=2.5)

    scheduler.add_job(
        lambda: None, "interval", seconds=1, start_date=first, id="soon", name="soon"
    )
    scheduler.add_job(
        lambda: None, "interval", hours=1, start_date=first + timedelta(days=3), name="later"
    )
    before = offered()
    ends.wait(2)  # the second run comes after the first one was told of

    assert {} == before
    assert {"soon": Schedule(every_s=1.0)} == offered()


def test_of_two_jobs_of_one_name_no_time_is_known(watched, nothing_offered, scheduler):
    """Until one of them is gone."""
    for hours in (1, 2):
        scheduler.add_job(lambda: None, IntervalTrigger(hours=hours), id=str(hours), name="report")
    both = offered()
    scheduler.remove_job("1")

    assert {"report": None} == both
    assert {"report": Schedule(every_s=7_200.0)} == offered()


def test_jobs_added_before_the_start_are_known(watched, nothing_offered):
    """As most programs add them."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(lambda: None, IntervalTrigger(hours=1), name="report")
    scheduler.start()
    scheduler.shutdown()

    assert {"report": Schedule(every_s=3_600.0)} == offered()
