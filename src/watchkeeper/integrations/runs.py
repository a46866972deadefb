"""Runs of jobs that a queue or a scheduler starts: begun, failed and ended by its instrument."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from watchkeeper.app import current as watchkeeper
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.jobs import Job, JobRecord
from watchkeeper.runtime.observer import JOB_ROUTE
from watchkeeper.runtime.record import current

if TYPE_CHECKING:
    from types import CodeType

    from watchkeeper.runtime.observer import Observer

RETRIED: Final = "retried"  # of one that failed and is to be tried again
LEAVE_WITHIN_S: Final = 15.0  # a job's own process may have to load the database's packages first

_GUARD: Final = guard("job")


def begin(observer: Observer, name: str, endpoint: CodeType | None = None) -> JobRecord:
    """Begin a run: what happens in this context from now on is part of it.

    `endpoint` is the code of its function.
    """
    observer.start()
    record = JobRecord(Job(name, endpoint), current.get())
    current.set(record)
    return record


def fail(observer: Observer, record: JobRecord, error: BaseException) -> None:
    """Record the error that a run failed with, as an occurrence of its issue."""
    record.error = error
    issue = observer.capture(error, endpoint=record.endpoint(), context={"job": record.job.name})
    if issue is not None:  # else somebody saw it before, who said so
        record.opened().issue = issue


def end(
    observer: Observer, record: JobRecord, *, outcome: str | None, wait_s: float | None = None
) -> None:
    """End a run, and return to what its context did before; outcome None: it does not count."""
    seconds = perf_counter() - record.start
    name = record.job.name
    try:
        if outcome is not None:
            observer.job(name, outcome=outcome, seconds=seconds, wait_s=wait_s, error=record.error)
        if record.inside is not None:
            observer.finish(record.inside, f"{JOB_ROUTE}{name}", seconds)
        if record.before is not None:
            record.before.add(record.job.operation, record.start, seconds)
    finally:
        if current.get() is record:
            current.set(record.before)


def waited(since: float | None) -> float | None:
    """Return how long it has been since a moment (seconds since the epoch), not below 0."""
    return None if since is None else max(0.0, time() - since)


def leave_process() -> None:
    """Write what is left: this process is about to end without running `atexit`."""
    with _GUARD:
        made = watchkeeper()
        if made is not None:
            made.stop_within_s = max(made.stop_within_s, LEAVE_WITHIN_S)
            made.stop()
