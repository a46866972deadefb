"""RQ: a real worker that does not fork, and a real Redis."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import rq
from rq.job import Job

from observed import Observed
from watchkeeper.integrations.instruments import rq as instrument


@pytest.fixture
def queue(redis_url: str) -> Iterator[rq.Queue]:
    with redis.Redis.from_url(redis_url) as client:
        yield rq.Queue("default", connection=client)


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
