"""Celery: each run of a task is a run of a job; signals tell when it begins, fails and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import Any, Final

from celery import signals, states  # type: ignore[import-untyped]
from celery.exceptions import TimeLimitExceeded  # type: ignore[import-untyped]

from watchkeeper.integrations import runs
from watchkeeper.integrations.outcomes import code_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.job_states import CANCELLED, FAILED, OK
from watchkeeper.runtime.jobs import JobRecord, outcome_of
from watchkeeper.runtime.observer import Observer

PUBLISHED: Final = "watchkeeper_published_at"  # header of a message: seconds since the epoch
MAX_RUNNING: Final = 10_000  # at once in one process; further ones are not recorded

_GUARD: Final = guard("celery")
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

    def worker_began(self, **_: object) -> None:
        """Begin to watch the process that hands tasks out."""
        with _GUARD:
            self._observer.start()

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
        seconds = 0.0
        if isinstance(error, TimeLimitExceeded) and error.args:
            seconds = float(error.args[0])
        self._observer.job(name, outcome=FAILED, seconds=seconds)
        self._observer.capture(error, context={"job": name})


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
