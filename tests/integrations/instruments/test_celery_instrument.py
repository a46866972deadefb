"""Celery: a real worker that forks two children, a real broker; what they wrote is read back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery, signals
from celery.schedules import BaseSchedule, crontab
from observed import Observed
from processes import until
from written import counted

from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.integrations.instruments import celery as instrument
from watchkeeper.runtime.declared import DECLARED
from watchkeeper.runtime.job_memory import read
from watchkeeper.storage import open_store

WORKER = """
import logging, os, time
from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.schedules import crontab
log = logging.getLogger("shop")
from watchkeeper import Settings, watch

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
watch(settings=Settings(
    enabled=True, database_url=os.environ["DATABASE"], service="shop", environment="test",
    instruments={"celery": True, "redis": False},
))

app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "each": {"task": "each", "schedule": 1.0},
    "nightly": {"task": "good", "schedule": crontab(minute=0, hour=3)},
}

@app.task(name="each")
def each(): pass

@app.task(name="good")
def good(): return os.getpid()

def find(): raise ValueError("no such order")

@app.task(name="bad")
def bad():
    try:
        find()
    except ValueError:
        log.exception("looking")
        raise

@app.task(name="again", bind=True, max_retries=2)
def again(self):
    raise self.retry(countdown=0, exc=KeyError("still not there"))

@app.task(name="again_and_well", bind=True, max_retries=2)
def again_and_well(self):
    if not self.request.retries:
        raise self.retry(countdown=0, exc=KeyError("not there yet"))

@app.task(name="ignored", bind=True)
def ignored(self): raise Ignore()

@app.task(name="rejected", acks_late=True)
def rejected(): raise Reject("not now", requeue=False)

@app.task(name="thrown", throws=(LookupError,))
def thrown(): raise LookupError("as the task says")

class Unpicklable(Exception):
    def __init__(self, order): super().__init__("no such order"); self.order = lambda: order

@app.task(name="odd")
def odd(): raise Unpicklable(17)

@app.task(name="killed")
def killed(): os.kill(os.getpid(), 9)
"""

PUBLISH = """
from shop import again, again_and_well, bad, good, ignored, killed, odd, rejected, thrown
killed.delay().get(timeout=60, propagate=False)  # first: what a child has not written dies with it
results = [good.delay() for _ in range(40)] + [bad.delay() for _ in range(5)] + [
    one.delay() for one in (again, again_and_well, thrown, odd)
]
ignored.delay()
rejected.delay()
for result in results:
    result.get(timeout=60, propagate=False)
print(len({result.result for result in results[:40]}))
"""


@pytest.fixture
def environ(redis_url: str, sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "shop.py").write_text(WORKER)
    kept = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return kept | {"BROKER": redis_url, "DATABASE": sqlite_url, "PYTHONPATH": str(tmp_path)}


@pytest.fixture
def worker(environ: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "prefork",
               "--concurrency", "2", "--without-gossip", "--without-mingle",
               "--loglevel", "INFO"]  # fmt: skip
    log = tmp_path / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=output, stderr=output
        )
    try:
        assert until(lambda: b" ready." in log.read_bytes()), log.read_text()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_runs_of_all_children_are_written(worker, environ, sqlite_url, tmp_path):
    """Runs, failures, tries and waits are exact over the pool's children, after they ended."""
    published = subprocess.run(
        [sys.executable, "-c", PUBLISH],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert 0 == published.returncode, published.stderr + (tmp_path / "worker.log").read_text()
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)

    runs = counted(sqlite_url, "job_duration_seconds", "job", "outcome")
    assert {
        "good ok": 40,
        "bad failed": 5,
        "again retried": 2,
        "again failed": 1,
        "again_and_well retried": 1,
        "again_and_well ok": 1,
        "ignored cancelled": 1,
        "rejected cancelled": 1,
        "thrown failed": 1,
        "odd failed": 1,
        "killed failed": 1,
    } == runs, (tmp_path / "worker.log").read_text()
    assert 54 == sum(counted(sqlite_url, "job_wait_seconds", "job").values())
    store = open_store(sqlite_url)
    issues = store.issues(service="shop", environment="test", seen_since=0, limit=10)
    routes = {
        one.type: {event.route for event in store.events(one.id, limit=10)} for one in issues
    }
    facts = read(store, Scope(service="shop", environment="test")).facts
    store.close()
    killed = facts["killed"].last_run
    assert ("failed", None) == (killed.outcome, killed.seconds), "nobody knows how long it ran"
    assert {
        "ValueError: no such order": 5,
        "KeyError: 'still not there'": 1,
        "Unpicklable: no such order": 1,
        "WorkerLostError": 1,
    } == {one.title.partition(": Worker")[0]: one.count for one in issues}
    assert {"job:bad"} == routes["ValueError"]


def test_uninstalling_disconnects_every_signal(observed: Observed):
    """Taken out, no receiver of ours is left."""
    watched = (signals.before_task_publish, signals.task_prerun, signals.task_failure,
               signals.task_postrun, signals.worker_ready, signals.worker_process_init,
               signals.worker_process_shutdown)  # fmt: skip
    before = [len(one.receivers) for one in watched]

    uninstall = instrument.install(observed.observer)
    during = [len(one.receivers) for one in watched]
    uninstall()

    assert [count + 1 for count in before] == during
    assert before == [len(one.receivers) for one in watched]


def test_an_eager_task_is_a_run(observed: Observed):
    """A task that runs where it is called counts, too; its error is recorded with the job."""
    app = Celery("eager", broker="memory://", set_as_current=False)
    error = ValueError("no such order")

    @app.task(name="good")
    def good() -> int:
        return 17

    @app.task(name="bad")
    def bad() -> None:
        raise error

    uninstall = instrument.install(observed.observer)
    try:
        assert 17 == good.apply().get()
        assert "FAILURE" == bad.apply().state
    finally:
        uninstall()

    assert {"good ok": 1, "bad failed": 1} == observed.runs()
    assert [error] == observed.errors
    assert [{"job": "bad"}] == observed.contexts
    assert {} == observed.waits()


def test_a_real_beat_and_worker_know_when_tasks_are_to_run(worker, environ, sqlite_url, tmp_path):
    """The beat publishes, the worker runs; the schedules are kept for when both are gone."""
    command = [sys.executable, "-m", "celery", "-A", "shop", "beat", "--schedule", "beat.db"]
    with (tmp_path / "beat.log").open("ab") as output:
        beat = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=output, stderr=output)
    try:
        assert until(lambda: (tmp_path / "worker.log").read_text().count("Task each") >= 6), (
            tmp_path / "beat.log"
        ).read_text()
    finally:
        beat.send_signal(signal.SIGTERM)
        beat.wait(30)
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)

    store = open_store(sqlite_url)
    facts = read(store, Scope(service="shop", environment="test")).facts
    store.close()
    assert 3 <= counted(sqlite_url, "job_duration_seconds", "job", "outcome")["each ok"]
    assert {"each": "every 1 s", "good": "0 3 * * * Europe/Berlin"} == {
        name: one.schedule.text for name, one in facts.items() if one.schedule is not None
    }
    assert ("ok", None) == (facts["each"].last_run.outcome, facts["good"].last_run)


class Consumer:
    """What sends the signal that a worker is ready."""

    def __init__(self, app: Celery) -> None:
        self.app = app


class Sunset(BaseSchedule):
    """A schedule of a class of the application's own."""


@pytest.mark.parametrize(
    ("schedule", "entries"),
    [
        (Schedule(every_s=90.0), [90]),
        (Schedule(every_s=3_600.0), [timedelta(hours=1)]),
        (Schedule(cron="*/15 2,3 * * mon-fri"), [crontab("*/15", "2,3", "mon-fri")]),
        (Schedule(cron="0 0 1 * *"), [crontab("0", "0", day_of_month="1")]),
        (Schedule(every_s=90.0), [90, timedelta(seconds=90)]),
        (None, [90, 60]),
        (None, [crontab("0", "0", day_of_month="13", day_of_week="fri")]),
        (None, [Sunset()]),
        (None, [timedelta(milliseconds=10)]),
    ],
)
def test_an_entry_of_the_beat_says_when_a_task_is_to_run(
    monkeypatch, observed: Observed, schedule: Schedule | None, entries: list[object]
):
    """Where it can be said as a schedule of ours; Celery's own tasks are left out."""
    monkeypatch.setattr(DECLARED, "_offered", {})
    app = Celery("beat", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        str(number): {"task": "report", "schedule": when} for number, when in enumerate(entries)
    } | {"own": {"task": "celery.backend_cleanup", "schedule": 60}}

    uninstall = instrument.install(observed.observer)
    try:
        signals.worker_ready.send(sender=Consumer(app))
    finally:
        uninstall()

    assert {"report": schedule} == DECLARED.schedules()
