"""Celery: each run of a task is a run of a job; signals tell when it begins, fails and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import Any, Final

from celery import signals, states  # type: ignore[import-untyped]
from celery.exceptions import TaskPredicate, TimeLimitExceeded  # type: ignore[import-untyped]
from celery.schedules import crontab, maybe_schedule  # type: ignore[import-untyped]

from watchkeeper.core.schedules import Schedule, parse_schedule
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.integrations import runs
from watchkeeper.integrations.endpoints import code_of
from watchkeeper.runtime.declared import DECLARED
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.job_states import CANCELLED, FAILED, OK
from watchkeeper.runtime.jobs import JobRecord, outcome_of
from watchkeeper.runtime.observer import Observer

PUBLISHED: Final = "watchkeeper_published_at"  # header of a message: seconds since the epoch
MAX_RUNNING: Final = 10_000  # at once in one process; further ones are not recorded

_GUARD: Final = guard("celery")
_OWN: Final = "celery."  # tasks of Celery's own
_OUTCOMES: Final = {
    states.SUCCESS: OK,
    states.FAILURE: FAILED,
    states.RETRY: runs.RETRIED,
    states.IGNORED: CANCELLED,
    states.REJECTED: CANCELLED,
    states.REVOKED: CANCELLED,
}


def install(observer: Observer) -> Callable[[], None]:
    """Record the tasks that this process publishes and runs; return what undoes that."""
    tasks = _Tasks(observer)
    connected = (
        (signals.before_task_publish, tasks.published),
        (signals.task_prerun, tasks.began),
        (signals.task_failure, tasks.failed),
        (signals.task_postrun, tasks.ended),
        (signals.worker_ready, tasks.worker_began),
        (signals.beat_init, tasks.beat_began),
        (signals.worker_process_init, tasks.child_began),
        (signals.worker_process_shutdown, tasks.child_ends),
    )
    for signal, receiver in connected:
        signal.connect(receiver, weak=False, dispatch_uid=id(tasks))

    def uninstall() -> None:
        for signal, _ in connected:
            signal.disconnect(dispatch_uid=id(tasks))

    return uninstall


class _Tasks:
    """The tasks that run in this process; its methods are receivers of signals."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._running: dict[str, tuple[JobRecord, float | None]] = {}
        self._child = 0  # the process id of a pool's child, if this is one

    def published(self, headers: dict[str, Any] | None = None, **_: object) -> None:
        """Write the time into a message that is about to be sent."""
        with _GUARD:
            if headers is not None:
                headers[PUBLISHED] = time()

    def began(self, task_id: str, task: Any, **_: object) -> None:
        """Begin a run."""
        with _GUARD:
            if len(self._running) < MAX_RUNNING:
                wait_s = _wait_s(task.request)
                endpoint = code_of(getattr(task, "run", None))
                self._running[task_id] = runs.begin(self._observer, task.name, endpoint), wait_s

    def failed(self, sender: Any, task_id: str, exception: BaseException, **_: object) -> None:
        """Record the error of a run, or a run of which only its end is known."""
        with _GUARD:
            if isinstance(exception, TaskPredicate):
                return  # the pool's parent takes a rejected one for failed
            running = self._running.get(task_id)
            if running is None:
                self._lost(sender.name, exception)
                return
            # the exception given may be a stand-in for one that cannot be pickled
            error = sys.exception() or exception
            if not isinstance(error, tuple(sender.throws or ())):
                runs.fail(self._observer, running[0], error)

    def ended(self, task_id: str, state: str | None = None, **_: object) -> None:
        """End a run."""
        with _GUARD:
            running = self._running.pop(task_id, None)
            if running is None:
                return
            record, wait_s = running
            outcome = _OUTCOMES.get(state or "")
            # A child that is told to end within a task dies; the parent reports the task lost.
            if outcome is None and self._child != os.getpid():
                outcome = outcome_of(sys.exception())
            runs.end(self._observer, record, outcome=outcome, wait_s=wait_s)

    def worker_began(self, sender: Any = None, **_: object) -> None:
        """Begin to watch the process that hands tasks out; learn when they are to run."""
        with _GUARD:
            self._observer.start()
            if sender is not None:
                entries = (sender.app.conf.beat_schedule or {}).values()
                _offer(sender.app, [(one["task"], one["schedule"]) for one in entries])

    def beat_began(self, sender: Any = None, **_: object) -> None:
        """Begin to watch the process that publishes tasks by the clock."""
        with _GUARD:
            self._observer.start()
            if sender is not None:
                entries = sender.scheduler.schedule.values()
                _offer(sender.app, [(one.task, one.schedule) for one in entries])

    def child_began(self, **_: object) -> None:
        """Begin to watch a process that runs tasks."""
        with _GUARD:
            self._child = os.getpid()
            self._running.clear()
            self._observer.start()

    def child_ends(self, **_: object) -> None:
        """Write what is left: billiard's children end by `os._exit`."""
        runs.leave_process()

    def _lost(self, name: str, error: BaseException) -> None:
        """Record a task whose process was killed: how long it ran is known of a limit only."""
        seconds = None
        if isinstance(error, TimeLimitExceeded) and error.args:
            seconds = float(error.args[0])
        self._observer.job(name, outcome=FAILED, seconds=seconds, error=error)
        self._observer.capture(error, context={"job": name})


def _offer(app: Any, entries: list[tuple[str, Any]]) -> None:
    """Say when tasks are to run; one that has entries of several times has none of its own."""
    found: dict[str, set[Schedule | None]] = {}
    for task, when in entries:
        if not task.startswith(_OWN):
            found.setdefault(task, set()).add(_schedule(app, maybe_schedule(when)))
    for task, schedules in found.items():
        DECLARED.offer(task, schedules.pop() if len(schedules) == 1 else None)


def _schedule(app: Any, when: Any) -> Schedule | None:
    """Return the schedule of an entry of the beat; None if it cannot be said so."""
    try:
        if isinstance(when, crontab):
            return parse_schedule(cron=_cron(when), tz=str(app.timezone), where="beat")
        seconds = when.run_every.total_seconds()
        return parse_schedule(every=f"{seconds:.0f}s", where="beat")
    except (ConfigurationError, AttributeError):  # the sun's times, or somebody's own class
        return None


def _cron(when: Any) -> str:
    """Write a crontab as an expression; where both kinds of days are named, cron differs."""
    day, weekday = str(when._orig_day_of_month), str(when._orig_day_of_week)
    if not (day.startswith("*") or weekday.startswith("*")):
        raise ConfigurationError("beat: day of month and day of week")
    return f"{when._orig_minute} {when._orig_hour} {day} {when._orig_month_of_year} {weekday}"


def _wait_s(request: Any) -> float | None:
    """Return how long a task has waited since it was published, or since its `eta`."""
    if request.is_eager:
        return None
    published = getattr(request, PUBLISHED, None)
    if not isinstance(published, int | float):
        return None
    since = float(published)
    if request.eta:
        eta = datetime.fromisoformat(request.eta)
        since = max(since, (eta if eta.tzinfo else eta.replace(tzinfo=UTC)).timestamp())
    return runs.waited(since)
