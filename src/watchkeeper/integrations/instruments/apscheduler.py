"""APScheduler 3: each run of a job that an executor starts.

Its listeners tell neither how long a run took nor in which context it runs, so the two functions
that run jobs, and return the events of the runs, are wrapped. Nothing is watched in the processes
of a pool: of a run there, the executor tells here when it was handed over and how it ended.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import wraps
from time import perf_counter, time
from types import CodeType, ModuleType
from typing import Any, Final

from apscheduler import events  # type: ignore[import-untyped]
from apscheduler.events import EVENT_JOB_MISSED  # type: ignore[import-untyped]
from apscheduler.executors import base  # type: ignore[import-untyped]
from apscheduler.executors.pool import ProcessPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.base import BaseScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from watchkeeper.core.job_facts import MISSED
from watchkeeper.core.schedules import Schedule, parse_schedule
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations import runs
from watchkeeper.integrations.endpoints import code_of
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.declared import DECLARED, MAX_JOBS
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.job_states import FAILED
from watchkeeper.runtime.jobs import JobRecord, outcome_of
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("apscheduler")
_PACKAGE: Final = "apscheduler.executors."
_FIELDS: Final = ("minute", "hour", "day", "month", "day_of_week")
ROUNDED_S: Final = 1.0  # an interval is taken for whole seconds
_COMPARED: Final = 8  # moments: a week's and one more
_CHANGES: Final = (
    events.EVENT_JOB_ADDED,
    events.EVENT_JOB_MODIFIED,
    events.EVENT_JOB_REMOVED,
)


def install(observer: Observer) -> Callable[[], None]:
    """Record the runs of every scheduler; return what undoes that."""
    run_job, run_coroutine_job = base.run_job, base.run_coroutine_job
    watched_run_job = _sync(observer, run_job)
    watched_run_coroutine_job = _asynchronous(observer, run_coroutine_job)
    _replace(run_job, watched_run_job)
    _replace(run_coroutine_job, watched_run_coroutine_job)
    plans = _Plans()
    elsewhere = _Elsewhere(observer, plans.patches)
    plans.patches.wrap(BaseScheduler, "_dispatch_event", plans.dispatching)
    plans.patches.wrap(ProcessPoolExecutor, "_do_submit_job", elsewhere.submitting)
    plans.patches.wrap(base.BaseExecutor, "_run_job_success", elsewhere.succeeding)
    plans.patches.wrap(base.BaseExecutor, "_run_job_error", elsewhere.breaking)

    def uninstall() -> None:
        plans.patches.undo()
        _replace(watched_run_job, run_job)
        _replace(watched_run_coroutine_job, run_coroutine_job)

    return uninstall


class _Plans:
    """When the jobs of all schedulers of this process are to run."""

    def __init__(self) -> None:
        self.patches = Patches()
        self._found: dict[tuple[int, str], tuple[str, Schedule | None]] = {}
        self._ahead: set[tuple[int, str]] = set()  # jobs whose interval has not begun yet

    def dispatching(self, dispatch: Callable[..., Any]) -> Callable[..., Any]:
        """Look at a scheduler's job when it tells that something has become of it."""

        @wraps(dispatch)
        def watched(scheduler: Any, event: Any) -> Any:
            with _GUARD:
                if self.patches.on:
                    self._follow(scheduler, event)
            return dispatch(scheduler, event)

        return watched

    def _follow(self, scheduler: Any, event: Any) -> None:
        if event.code == events.EVENT_SCHEDULER_STARTED:
            for job in scheduler.get_jobs()[:MAX_JOBS]:
                self._learn(scheduler, job.id, job)
        elif event.code in _CHANGES or (
            event.code == events.EVENT_JOB_SUBMITTED
            and (id(scheduler), event.job_id) in self._ahead
        ):
            job = scheduler.get_job(event.job_id, event.jobstore)
            self._learn(scheduler, event.job_id, job)
        elif event.code == events.EVENT_ALL_JOBS_REMOVED:  # those of one store, or of all
            for one, job_id in (*self._found, *self._ahead):
                if one == id(scheduler):
                    self._learn(scheduler, job_id, scheduler.get_job(job_id))

    def _learn(self, scheduler: Any, job_id: str, job: Any) -> None:
        """Remember when a job is to run; None: it is gone. Of two of one name it is not known."""
        key = id(scheduler), job_id
        name, known = self._found.pop(key, (None, None))
        self._ahead.discard(key)
        if job is not None and len(self._found) + len(self._ahead) < MAX_JOBS:
            schedule = None
            if (next_run := getattr(job, "next_run_time", None)) is not None:  # not paused
                schedule = _schedule(job.trigger)
                if isinstance(job.trigger, IntervalTrigger) and _is_ahead(job.trigger, next_run):
                    schedule = None
                    self._ahead.add(key)
            if schedule is not None or known is not None:
                name = str(job.name)
                self._found[key] = name, schedule
        if name is not None:
            schedules = {one for other, one in self._found.values() if other == name}
            DECLARED.offer(name, schedules.pop() if len(schedules) == 1 else None)


class _Elsewhere:
    """Runs in the processes of a pool, as the process that hands them out sees them.

    A pool that forks is left alone: its processes have the wrapped functions.
    """

    def __init__(self, observer: Observer, patches: Patches) -> None:
        self._observer = observer
        self._patches = patches
        self._begun: dict[tuple[int, str], deque[tuple[str, CodeType | None, float]]] = {}

    def submitting(self, submit: Callable[..., Any]) -> Callable[..., Any]:
        """Remember when a job is handed over."""

        @wraps(submit)
        def watched(executor: Any, job: Any, run_times: Any) -> Any:
            with _GUARD:
                if self._patches.on and not _forks(executor):
                    self._begin(executor, job)
            return submit(executor, job, run_times)

        return watched

    def succeeding(self, succeed: Callable[..., Any]) -> Callable[..., Any]:
        """Count the runs that a process of a pool has told the end of."""

        @wraps(succeed)
        def watched(executor: Any, job_id: str, events: list[Any]) -> Any:
            with _GUARD:
                outcomes = [
                    (MISSED, None)
                    if one.code == EVENT_JOB_MISSED
                    else (outcome_of(one.exception), one.exception)
                    for one in events
                ]
                self._end(executor, job_id, outcomes)
            return succeed(executor, job_id, events)

        return watched

    def breaking(self, fail: Callable[..., Any]) -> Callable[..., Any]:
        """Count a run whose process is gone."""

        @wraps(fail)
        def watched(executor: Any, job_id: str, exc: BaseException, traceback: Any = None) -> Any:
            with _GUARD:
                self._end(executor, job_id, [(FAILED, exc)])
            return fail(executor, job_id, exc, traceback)

        return watched

    def _begin(self, executor: Any, job: Any) -> None:
        key = id(executor), job.id
        if key in self._begun or len(self._begun) < MAX_JOBS:
            begun = self._begun.setdefault(key, deque(maxlen=MAX_JOBS))
            begun.append((str(job.name), code_of(job.func), perf_counter()))

    def _end(
        self, executor: Any, job_id: str, outcomes: list[tuple[str, BaseException | None]]
    ) -> None:
        key = id(executor), job_id
        begun = self._begun.get(key)
        if not begun:
            return
        name, endpoint, start = begun.popleft()
        if not begun:
            del self._begun[key]
        ran = sum(outcome != MISSED for outcome, _ in outcomes)
        for outcome, error in outcomes:
            seconds = None if outcome == MISSED else (perf_counter() - start) / ran
            self._observer.job(name, outcome=outcome, seconds=seconds, error=error)
            if error is not None and outcome == FAILED:
                self._observer.capture(error, endpoint=endpoint, context={"job": name})


def _forks(executor: Any) -> bool:
    context = getattr(executor._pool, "_mp_context", None)
    return context is not None and context.get_start_method() == "fork"


def _schedule(trigger: Any) -> Schedule | None:
    """Return the schedule that a trigger is; None if it cannot be said so."""
    try:
        if isinstance(trigger, IntervalTrigger):
            return parse_schedule(every=f"{trigger.interval_length:.0f}s", where="trigger")
        if not isinstance(trigger, CronTrigger):
            return None
        fields = {field.name: str(field) for field in trigger.fields}
        cron = " ".join(fields[name] for name in _FIELDS)
        schedule = parse_schedule(cron=cron, tz=str(trigger.timezone), where="trigger")
    except ConfigurationError:
        return None
    return schedule if schedule is not None and _agree(trigger, schedule) else None


def _is_ahead(trigger: Any, next_run: datetime) -> bool:
    """Tell whether the next run lies further ahead than an interval: none is late till then."""
    longest_s = trigger.interval_length + (trigger.jitter or 0) + ROUNDED_S
    return bool(next_run.timestamp() - time() > longest_s)


def _agree(trigger: Any, schedule: Schedule) -> bool:
    """Tell whether both name the same moments: numbers of weekdays, for one, are others here."""
    last, now = None, datetime.now(trigger.timezone)
    for _ in range(_COMPARED):
        due = schedule.due(now.timestamp())
        last = trigger.get_next_fire_time(last, now)
        if last is None or last.timestamp() != due:
            return False
        now = last
    return True


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
            observer.job(record.job.name, outcome=MISSED, seconds=None)
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
