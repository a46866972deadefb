"""The observer: what instruments tell about the libraries that an application uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from watchkeeper.core.catalogue import (
    DB_CALLS,
    DB_FAILED,
    DB_OPERATION,
    DB_REPEATED,
    DB_WAIT,
    HTTP_CALLS,
    HTTP_CLIENT,
    HTTP_INSIDE,
    SPAN_DURATION,
)
from watchkeeper.core.metrics import OTHER
from watchkeeper.runtime.callers import Callers
from watchkeeper.runtime.caps import clean
from watchkeeper.runtime.endpoints import Endpoint
from watchkeeper.runtime.job_states import Jobs
from watchkeeper.runtime.loop_lag import LoopLag
from watchkeeper.runtime.operations import Operation, OperationKind
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.pools import Pools
from watchkeeper.runtime.record import Inside, current
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.statements import Statements

if TYPE_CHECKING:
    from watchkeeper.runtime.known import Known

REPEATED: Final = 10  # executions of one statement in one request that make it an N+1
MAX_OPERATIONS: Final = 500  # of calls and commands; further ones count as "(other)"
MAX_SPAN_NAMES: Final = 200  # of the application's own spans; further ones count as "(other)"
FAILED_STATUS: Final = "(failed)"  # of an outgoing request that got no answer
JOB_ROUTE: Final = "job:"  # what the route label of a job's statements begins with

_KINDS: Final = (OperationKind.DB, OperationKind.HTTP, OperationKind.CACHE)


class Capture(Protocol):
    """How an error is recorded; see `Issues.capture`."""

    def __call__(
        self,
        exc: BaseException,
        *,
        endpoint: Endpoint | None = None,
        context: Mapping[str, object] = ...,
    ) -> Known | None:
        """Count the error and return what it is known as; None if it is not counted."""


class Observer:
    """Records operations, alone and as part of the request or job that runs.

    Its methods may raise: each instrument stands inside a guard.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        places: Places | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """Record with a recorder; `places` tell where the application's callers are."""
        self.recorder = recorder
        self.pools = Pools(recorder)
        self.statements = Statements(recorder, Callers(places or Places()), clock)
        self.jobs = Jobs(recorder, clock=clock)
        self.loop_lag = LoopLag(recorder)
        # Set by whoever composes the parts: begins to watch, and records an error.
        self.start: Callable[[], None] = _nothing
        self.capture: Capture = _not_captured
        self._operations: dict[tuple[str, ...], Operation] = {}
        self._own: dict[str, Operation] = {}

    def reset(self) -> None:
        """Forget what the parent of a forked child holds."""
        self.statements.reset()
        self.jobs.reset()
        self.loop_lag.reset()

    def executed(
        self,
        db: str,
        sql: str,
        *,
        start: float,
        seconds: float,
        rows: int = -1,
        failed: bool = False,
    ) -> None:
        """Record a statement as it was given to the driver of `db`, such as postgresql.

        It began at `start` (perf_counter); rows below 0: not known.
        """
        statements = self.statements  # all in one frame: this is paid for each statement
        operation = statements.texts.get((db, sql)) or statements.find(db, sql)
        for series in operation.series:
            series.record(seconds)
        record = current.get()
        if record is not None:
            record.add(operation, start, seconds)
        if rows >= 0 and operation.rows is not None:
            operation.rows.record(rows)
        if failed and operation.failures is not None:
            operation.failures.record(1)
        count = operation.count = operation.count + 1
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th …
            statements.look_for_caller(operation)

    def call(
        self, *, method: str, host: str, status: int | None, start: float, seconds: float
    ) -> None:
        """Record an outgoing request; status None: it failed before there was an answer."""
        text = FAILED_STATUS if status is None else str(status)
        operation = self._operations.get(("http", method, host, text))
        if operation is None:
            operation = self._made_call(method, self._admitted(host), text)
        _record(operation, start, seconds)

    def command(
        self, db: str, name: str, start: float, seconds: float, *, failed: bool = False
    ) -> None:
        """Record a command to a cache, such as redis' GET."""
        operation = self._operations.get(("cache", db, name))
        if operation is None:
            operation = self._made_command(db, self._admitted(name))
        _record(operation, start, seconds)
        if failed and operation.failures is not None:
            operation.failures.record(1)

    def waited(self, pool: str, seconds: float) -> None:
        """Record how long it took to get a connection from a pool."""
        self.recorder.series(DB_WAIT, {"pool": pool}).record(seconds)

    def job(
        self,
        name: str,
        *,
        outcome: str,
        seconds: float | None,
        wait_s: float | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record a run of a job that has ended: ok, failed or cancelled; see `Jobs.ran`."""
        self.jobs.ran(name, outcome=outcome, seconds=seconds, wait_s=wait_s, error=error)

    def own(self, name: str) -> Operation:
        """Return the operation of a span of the application's own."""
        return self._own.get(name) or self._made_own(clean(name))

    def finish(self, inside: Inside, route: str, seconds: float | None) -> None:
        """Record what happened inside a request, or job, of this route that took `seconds`.

        None: what came after it was answered, which is no part of its time.
        """
        kinds, counts = totals(inside)
        series = self.recorder.series
        for kind in _KINDS:
            if kind in kinds and seconds is not None:
                count, spent = kinds[kind]
                labels = {"kind": kind.value, "route": route}
                series(HTTP_INSIDE, labels).record(min(spent, seconds))
                series(HTTP_CALLS, labels).record(count)
        for operation, count in counts.items():
            if operation.statement:
                labels = {"route": route, "statement": operation.statement}
                series(DB_CALLS, labels).record(count)
                if count >= REPEATED:
                    series(DB_REPEATED, labels).record(1)

    def _made_own(self, name: str) -> Operation:
        if len(self._own) >= MAX_SPAN_NAMES and name not in self._own:
            self.recorder.drop("spans")
            name = OTHER
        operation = self._own.get(name)
        if operation is None:
            series = self.recorder.series(SPAN_DURATION, {"span": name})
            operation = self._own[name] = Operation(OperationKind.OWN, name, series=(series,))
        return operation

    def _admitted(self, name: str) -> str:
        """Return the name of a new operation, "(other)" when there are too many."""
        if len(self._operations) < MAX_OPERATIONS:
            return name
        self.recorder.drop("operations")
        return OTHER

    def _made_call(self, method: str, host: str, status: str) -> Operation:
        key = ("http", method, host, status)
        operation = self._operations.get(key)
        if operation is None:
            labels = {"method": method, "host": host, "status": status}
            series = self.recorder.series(HTTP_CLIENT, labels)
            operation = Operation(OperationKind.HTTP, f"{method} {host}", series=(series,))
            self._operations[key] = operation
        return operation

    def _made_command(self, db: str, name: str) -> Operation:
        key = ("cache", db, name)
        operation = self._operations.get(key)
        if operation is None:
            labels = {"db": db, "operation": name}
            operation = self._operations[key] = Operation(
                OperationKind.CACHE,
                f"{db} {name}",
                series=(self.recorder.series(DB_OPERATION, labels),),
                failures=self.recorder.series(DB_FAILED, labels),
            )
        return operation


def totals(
    inside: Inside,
) -> tuple[dict[OperationKind, tuple[int, float]], dict[Operation, int]]:
    """Return (number, seconds) by kind and the number by operation of what is inside."""
    kinds: dict[OperationKind, tuple[int, float]] = {}
    counts: dict[Operation, int] = {}
    for operation, _, spent in list(inside.spans):
        count, total = kinds.get(operation.kind, (0, 0.0))
        kinds[operation.kind] = count + 1, total + spent
        counts[operation] = counts.get(operation, 0) + 1
    for operation, (more, spent) in list(inside.folded.items()):
        count, total = kinds.get(operation.kind, (0, 0.0))
        kinds[operation.kind] = count + more, total + spent
        counts[operation] = counts.get(operation, 0) + more
    return kinds, counts


def _record(operation: Operation, start: float, seconds: float) -> None:
    """Record an operation that began at `start` (perf_counter)."""
    operation.series[0].record(seconds)
    record = current.get()
    if record is not None:
        record.add(operation, start, seconds)


def _nothing() -> None:
    """Do nothing: there is no Watchkeeper to be started."""


def _not_captured(
    exc: BaseException,
    *,
    endpoint: Endpoint | None = None,
    context: Mapping[str, object] = MappingProxyType({}),
) -> Known | None:
    """Record nothing: there is no Watchkeeper to keep errors."""
    return None


_bound: list[Observer] = []  # the observer of this process, or nothing before watch()


def bind(observer: Observer) -> None:
    """Let spans and jobs, declared before or after, record with an observer."""
    _bound[:] = [observer]


def unbind() -> None:
    """Let spans and jobs do nothing again."""
    _bound.clear()


def bound() -> Observer | None:
    """Return the observer of this process, if there is one."""
    return _bound[0] if _bound else None
