"""RQ: each job that a worker performs is a run. There is no hook around a job: it is wrapped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from types import CodeType
from typing import Any, Final

import rq
from rq.job import Job

from watchkeeper.integrations import runs
from watchkeeper.integrations.endpoints import code_of
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import attempt, guard
from watchkeeper.runtime.job_states import FAILED
from watchkeeper.runtime.jobs import JobRecord, outcome_of
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("rq")


def install(observer: Observer) -> Callable[[], None]:
    """Record the jobs that this process performs; return what undoes that."""
    jobs = _Jobs(observer)
    patches = jobs.patches
    patches.wrap(Job, "perform", jobs.performing)
    patches.wrap(_owner(rq.Worker, "perform_job"), "perform_job", jobs.working)
    killed = "handle_work_horse_killed"
    if hasattr(rq.Worker, killed):
        patches.wrap(_owner(rq.Worker, killed), killed, jobs.killing)
    return patches.undo


class _Jobs:
    """Wraps the methods of jobs and workers."""

    def __init__(self, observer: Observer) -> None:
        self.patches = Patches()
        self._observer = observer

    def performing(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        """Make a run of each job that is performed."""

        @wraps(perform)
        def watched(job: Job, *args: Any, **more: Any) -> Any:
            record = self._begin(job)
            try:
                result = perform(job, *args, **more)
            except BaseException as error:
                self._end(record, job, error)
                raise
            self._end(record, job, None, again=isinstance(result, rq.Retry))
            return result

        return watched

    def working(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        """Let the process of one job write what it recorded: it ends by `os._exit`."""

        @wraps(perform)
        def watched(worker: Any, *args: Any, **more: Any) -> Any:
            try:
                return perform(worker, *args, **more)
            finally:
                if self.patches.on and worker.is_horse:
                    runs.leave_process()

        return watched

    def killing(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        """Record a job whose process was killed: the worker knows about when it began."""

        @wraps(handle)
        def watched(worker: Any, job: Job, *args: Any, **more: Any) -> Any:
            with _GUARD:
                if self.patches.on:
                    self._observer.start()
                    seconds = runs.waited(_timestamp(job.started_at))
                    self._observer.job(_name(job), outcome=FAILED, seconds=seconds)
            return handle(worker, job, *args, **more)

        return watched

    def _begin(self, job: Job) -> tuple[JobRecord, float | None] | None:
        with _GUARD:
            if self.patches.on:
                wait_s = runs.waited(_timestamp(job.enqueued_at))
                return runs.begin(self._observer, _name(job), _code(job)), wait_s
        return None

    def _end(
        self,
        begun: tuple[JobRecord, float | None] | None,
        job: Job,
        error: BaseException | None,
        *,
        again: bool = False,
    ) -> None:
        """End a run; one that is to be tried again is no failure yet."""
        with _GUARD:
            if begun is None:
                return
            record, wait_s = begun
            outcome = outcome_of(error)
            if again or (outcome == FAILED and (job.retries_left or 0) > 0):
                outcome = runs.RETRIED
            if error is not None and outcome == FAILED:
                runs.fail(self._observer, record, error)
            runs.end(self._observer, record, outcome=outcome, wait_s=wait_s)


def _owner(kind: type, name: str) -> type:
    """Return the class that defines a method of a worker; it differs between versions."""
    return next(one for one in kind.__mro__ if name in vars(one))


def _name(job: Job) -> str:
    """Name the job as its function is called, with its module."""
    return job.func_name or "(unknown)"


def _code(job: Job) -> CodeType | None:
    """Return the code of a job's function; None where it cannot be imported, as RQ will say."""
    return code_of(attempt(lambda: job.func))


def _timestamp(at: datetime | None) -> float | None:
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
