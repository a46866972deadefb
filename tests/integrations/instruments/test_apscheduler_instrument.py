"""APScheduler: runs of real schedulers, in threads and on an event loop."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.executors import base, pool
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from observed import Observed

from watchkeeper.integrations.instruments import apscheduler as instrument
from watchkeeper.runtime.record import current

ENDS = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED
WAIT_S = 20.0


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
    made = BackgroundScheduler(timezone=UTC)
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
        scheduler = AsyncIOScheduler(timezone=UTC)
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
