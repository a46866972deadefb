"""Jobs: the host's own work outside of requests, recorded run by run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import CodeType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

from watchkeeper.core.schedules import parse_schedule
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.job_states import CANCELLED, DECLARED, FAILED, MAX_NAME_CHARS, OK
from watchkeeper.runtime.observer import JOB_ROUTE, bound
from watchkeeper.runtime.operations import Operation, OperationKind
from watchkeeper.runtime.record import Record, RequestContext, current
from watchkeeper.runtime.spans import refuse_non_functions

P = ParamSpec("P")
R = TypeVar("R")

_GUARD: Final = guard("job")


class JobRecord(Record):
    """One run of a job, as its queries, calls, spans and errors see it."""

    __slots__ = ("before", "error", "job")

    def __init__(self, job: Job, before: Record | None) -> None:
        """Begin a run within the request or job `before`, if there is one."""
        self.inside = None
        self.start = perf_counter()
        self.job = job
        self.before = before
        self.error: BaseException | None = None  # that it failed with, if that is known by now

    def endpoint(self) -> CodeType | None:
        """Return the code of the job's function."""
        return self.job.endpoint

    def describe(self) -> RequestContext:
        """Name the job in the place of a route, and the request that it runs within, if any."""
        return RequestContext(route=f"{JOB_ROUTE}{self.job.name}", request_id=self.request_id())

    def request_id(self) -> str:
        """Return the id of the request that the job runs within, if any."""
        return self.before.request_id() if self.before is not None else ""


class Job:
    """A job by name: a `with` block is one run, and so is each call of a decorated function.

    One object serves any number of runs at once.
    """

    __slots__ = ("endpoint", "name", "operation")

    def __init__(self, name: str, endpoint: CodeType | None = None) -> None:
        """Name the job; `endpoint` is the code of its function, where it is one."""
        self.name = name
        self.operation = Operation(OperationKind.OWN, f"{JOB_ROUTE}{name}")
        self.endpoint = endpoint

    def __enter__(self) -> None:
        """Begin a run."""
        with _GUARD:
            _begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Record the run; an exception goes on as it came."""
        with _GUARD:
            _end(self, error, self.endpoint)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, plain or async, with each of its calls recorded as a run.

        Raises ConfigurationError for what is not a function, and for a generator.
        """
        refuse_non_functions(function, "watchkeeper.job")
        job = Job(self.name, getattr(inspect.unwrap(function), "__code__", None))
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with job:
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with job:
                return function(*args, **kwargs)

        return called


def job(
    name: str,
    *,
    every: str | None = None,
    cron: str | None = None,
    tz: str | None = None,
    grace: str | None = None,
) -> Job:
    """Watch a job: `@job("report", every="24h")`, or `with job("import"): …`.

    Each run is counted, timed and judged: "ok", "failed" when it raises, "cancelled" when it is
    told to end. Where `every` ("24h") or `cron` ("0 3 * * *", in the time zone `tz`, else UTC)
    says when it is to run, it is also known how late it is; `grace` is how late it may be, by
    default a tenth of the time between two runs. Does nothing before `watch`; an exception goes
    on as it came. Raises ConfigurationError if the declaration is wrong.
    """
    check_name(name)
    if not (every is cron is tz is grace is None):
        schedule = parse_schedule(
            every=every, cron=cron, tz=tz, grace=grace, where=f"job {name!r}"
        )
        if schedule is not None:
            DECLARED.add(name, schedule)
    return Job(name)


def outcome_of(error: BaseException | None) -> str:
    """Judge a run by what it raised: a cancellation, an interrupt are nobody's failure."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return OK
    return FAILED if isinstance(error, (Exception, SystemExit)) else CANCELLED


def check_name(name: object) -> None:
    """Raise ConfigurationError for what is no name of a job."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigurationError(f"job {name!r:.80}: a name is a printable text: 'nightly-report'")
    if len(name) > MAX_NAME_CHARS:
        raise ConfigurationError(
            f"job '{name[:40]}…': a name has at most {MAX_NAME_CHARS} characters"
        )


def _begin(job: Job) -> None:
    observer = bound()
    if observer is not None:
        observer.start()
        current.set(JobRecord(job, current.get()))


def _end(job: Job, error: BaseException | None, endpoint: CodeType | None) -> None:
    """Record the run that began last in this context."""
    record = current.get()
    if not isinstance(record, JobRecord) or record.job is not job:
        return  # began before anything was watched
    seconds = perf_counter() - record.start
    observer = bound()
    try:
        if observer is None:
            return
        outcome = outcome_of(error)
        observer.job(job.name, outcome=outcome, seconds=seconds, error=error)
        if error is not None and outcome == FAILED:
            issue = observer.capture(error, endpoint=endpoint, context={"job": job.name})
            if issue is not None:  # else somebody saw it before, who said so
                record.opened().issue = issue
        if record.inside is not None:
            observer.finish(record.inside, f"{JOB_ROUTE}{job.name}", seconds)
        if record.before is not None:
            record.before.add(job.operation, record.start, seconds)
    finally:
        current.set(record.before)
