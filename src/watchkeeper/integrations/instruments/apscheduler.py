"""APScheduler 3: each run of a job that an executor starts in this process.

Its listeners tell neither how long a run took nor in which context it runs, so the two functions
that run jobs, and return the events of the runs, are wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import wraps
from types import ModuleType
from typing import Any, Final

from apscheduler.events import EVENT_JOB_MISSED  # type: ignore[import-untyped]
from apscheduler.executors import base  # type: ignore[import-untyped]

from watchkeeper.integrations import runs
from watchkeeper.integrations.outcomes import code_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.job_states import FAILED
from watchkeeper.runtime.jobs import JobRecord, outcome_of
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("apscheduler")
_PACKAGE: Final = "apscheduler.executors."


def install(observer: Observer) -> Callable[[], None]:
    """Record the runs of every scheduler; return what undoes that."""
    run_job, run_coroutine_job = base.run_job, base.run_coroutine_job
    watched_run_job = _sync(observer, run_job)
    watched_run_coroutine_job = _asynchronous(observer, run_coroutine_job)
    _replace(run_job, watched_run_job)
    _replace(run_coroutine_job, watched_run_coroutine_job)

    def uninstall() -> None:
        _replace(watched_run_job, run_job)
        _replace(watched_run_coroutine_job, run_coroutine_job)

    return uninstall


def _sync(observer: Observer, run: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    @wraps(run)
    def watched(job: Any, alias: str, run_times: list[datetime], logger: str) -> list[Any]:
        events: list[Any] = []
        for run_time in run_times:
            begun = _begin(observer, job, run_time)
            one: list[Any] = []
            try:
                one = run(job, alias, [run_time], logger)
            finally:
                _end(observer, begun, job, one)
            events += one
        return events

    return watched


def _asynchronous(
    observer: Observer, run: Callable[..., Awaitable[list[Any]]]
) -> Callable[..., Awaitable[list[Any]]]:
    @wraps(run)
    async def watched(job: Any, alias: str, run_times: list[datetime], logger: str) -> list[Any]:
        events: list[Any] = []
        for run_time in run_times:
            begun = _begin(observer, job, run_time)
            one: list[Any] = []
            try:
                one = await run(job, alias, [run_time], logger)
            finally:
                _end(observer, begun, job, one)
            events += one
        return events

    return watched


def _begin(
    observer: Observer, job: Any, run_time: datetime
) -> tuple[JobRecord, float | None] | None:
    with _GUARD:
        record = runs.begin(observer, str(job.name), code_of(job.func))
        return record, runs.waited(run_time.timestamp())
    return None


def _end(
    observer: Observer,
    begun: tuple[JobRecord, float | None] | None,
    job: Any,
    events: list[Any],
) -> None:
    """End a run; `events` are what it led to: one, or none if the executor itself failed."""
    with _GUARD:
        if begun is None:
            return
        record, wait_s = begun
        if events and events[0].code == EVENT_JOB_MISSED:
            runs.end(observer, record, outcome=None)
            observer.job(record.job.name, outcome=runs.MISSED, seconds=0.0)
            return
        error = events[0].exception if events else sys.exception()
        outcome = outcome_of(error)
        if error is not None and outcome == FAILED:
            runs.fail(observer, record, error)
        runs.end(observer, record, outcome=outcome, wait_s=wait_s)


def _replace(old: object, new: object) -> None:
    """Let every executor's module use another function: each has imported it by name.

    All get the same object, which a process pool can pickle by its name then.
    """
    for module in _modules():
        for name, value in list(vars(module).items()):
            if value is old:
                setattr(module, name, new)


def _modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGE) and isinstance(module, ModuleType):
            yield module
