"""RQ: real workers, forking and simple, a real Redis; what they wrote is read back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import rq
from observed import Observed
from rq.job import Job
from written import counted

from watchkeeper.integrations.instruments import rq as instrument
from watchkeeper.storage import open_store

JOBS = """
import logging, os

def good(): return os.getpid()
def find(): raise ValueError("no such order")
def bad():
    try:
        find()
    except ValueError:
        logging.getLogger("shop").exception("looking")
        raise
def killed(): os.kill(os.getpid(), 9)
"""

WORKER = """
import os, sys
import jobs, rq
from redis import Redis
from watchkeeper import Settings, watch

watch(settings=Settings(
    enabled=True, database_url=os.environ["DATABASE"], service="shop", environment="test",
    instruments={"rq": True, "redis": False},
)).stop_within_s = 30.0
connection = Redis.from_url(os.environ["BROKER"])
rq.Worker(["default"], connection=connection).work(burst=True)
"""


@pytest.fixture
def queue(redis_url: str) -> Iterator[rq.Queue]:
    with redis.Redis.from_url(redis_url) as client:
        yield rq.Queue("default", connection=client)


def test_each_process_of_a_job_writes_what_it_counted(queue, redis_url, sqlite_url, tmp_path):
    """A forking worker's jobs are counted exactly, though their processes end at once."""
    (tmp_path / "jobs.py").write_text(JOBS)
    for name in ("good", "good", "good", "bad", "killed"):
        queue.enqueue(f"jobs.{name}")
    environ = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"BROKER": redis_url, "DATABASE": sqlite_url, "PYTHONPATH": str(tmp_path)}

    worker = subprocess.run(
        [sys.executable, "-c", WORKER],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert 0 == worker.returncode, worker.stderr
    assert {"jobs.good ok": 3, "jobs.bad failed": 1, "jobs.killed failed": 1} == counted(
        sqlite_url, "job_duration_seconds", "job", "outcome"
    ), worker.stderr
    assert {"jobs.good": 3, "jobs.bad": 1} == counted(sqlite_url, "job_wait_seconds", "job")
    store = open_store(sqlite_url)
    (issue,) = store.issues(service="shop", environment="test", seen_since=0, limit=10)
    (event,) = store.events(issue.id, limit=10)
    store.close()
    assert ("ValueError: no such order", 1, "job:jobs.bad") == (
        issue.title,
        issue.count,
        event.route,
    )


def fail() -> None:
    raise ValueError("no such order")


def succeed() -> int:
    return 17


def test_a_simple_worker_counts_in_its_own_process(observed: Observed, queue):
    """Runs, waits and errors of a worker that does not fork; the results are RQ's as before."""
    module = Path(__file__).stem
    sys.modules[module] = sys.modules[__name__]
    jobs = [queue.enqueue(f"{module}.{name}") for name in ("succeed", "fail")]

    uninstall = instrument.install(observed.observer)
    try:
        rq.SimpleWorker([queue], connection=queue.connection).work(burst=True)
    finally:
        uninstall()
        del sys.modules[module]

    assert [17, None] == [job.return_value(refresh=True) for job in jobs]
    assert {f"{module}.succeed ok": 1, f"{module}.fail failed": 1} == observed.runs()
    assert {f"{module}.succeed": 1, f"{module}.fail": 1} == observed.waits()
    assert ["no such order"] == [str(error) for error in observed.errors]
    assert [{"job": f"{module}.fail"}] == observed.contexts


def test_uninstalling_restores_the_library(observed: Observed):
    """Taken out, nothing of it is left."""
    before = Job.perform, rq.Worker.perform_job, rq.Worker.handle_work_horse_killed

    uninstall = instrument.install(observed.observer)
    assert before[0] is not Job.perform
    uninstall()

    assert before == (Job.perform, rq.Worker.perform_job, rq.Worker.handle_work_horse_killed)


def try_again() -> rq.Retry:
    return rq.Retry(max=2)


def test_a_run_that_is_tried_again_is_no_failure_yet(observed: Observed, queue):
    """By an exception or by what it returns: only the last try fails, and only it is an error."""
    module = Path(__file__).stem
    sys.modules[module] = sys.modules[__name__]
    queue.enqueue(f"{module}.fail", retry=rq.Retry(max=2))
    queue.enqueue(f"{module}.try_again")

    uninstall = instrument.install(observed.observer)
    try:
        rq.SimpleWorker([queue], connection=queue.connection).work(burst=True)
    finally:
        uninstall()
        del sys.modules[module]

    runs = observed.runs()
    assert (2, 1) == (runs[f"{module}.fail retried"], runs[f"{module}.fail failed"])
    assert 2 <= runs[f"{module}.try_again retried"]
    assert ["no such order"] == [str(error) for error in observed.errors]
