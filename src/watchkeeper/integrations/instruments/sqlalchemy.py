"""SQLAlchemy: each statement of every engine, sync or async, by the events of engines.

An async engine fires the events of its sync engine. COMMIT and ROLLBACK have no event that tells
when they are over, so they are not timed. Pools have no event at the begin of a checkout: the
method that every checkout passes is wrapped.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine, ExceptionContext
from sqlalchemy.pool import Pool, QueuePool

from watchkeeper.core.covered import Cover, covered
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.pools import PoolState

_GUARD: Final = guard("sqlalchemy")


def install(observer: Observer) -> Callable[[], None]:
    """Record the statements and pools of every engine; return what undoes that."""
    statements = _Statements(observer)
    event.listen(Engine, "before_cursor_execute", statements.begin, retval=True)
    event.listen(Engine, "after_cursor_execute", statements.end)
    event.listen(Engine, "handle_error", statements.fail)
    patches = Patches()
    patches.wrap(Engine, "raw_connection", _Pools(observer, patches).watch)

    def uninstall() -> None:
        patches.undo()
        event.remove(Engine, "before_cursor_execute", statements.begin)
        event.remove(Engine, "after_cursor_execute", statements.end)
        event.remove(Engine, "handle_error", statements.fail)

    return uninstall


class _Statements:
    """Times what cursors execute."""

    def __init__(self, observer: Observer) -> None:
        self._ended = observer.ended
        self._find = observer.statement

    def begin(
        self,
        connection: Connection,
        cursor: object,
        statement: str,
        parameters: object,
        context: Any,
        many: bool,  # the event's signature
    ) -> tuple[str, object]:
        """Start the clock, unless the statement is our own; return statement and parameters.

        There is no guard, for its cost: nothing here can raise.
        """
        if covered.get() is not Cover.OWN:
            covered.set((context, perf_counter()))
        return statement, parameters

    def end(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: object,
        context: Any,
        many: bool,  # the event's signature
    ) -> None:
        """Record a statement that was executed, as it was compiled.

        `statement` is what others made of it, such as a comment with the request's id: never the
        same text twice.
        """
        now = perf_counter()
        with _GUARD:
            mark = covered.get()
            if type(mark) is tuple and mark[0] is context:
                covered.set(None)
                operation = self._find(_system(connection.dialect), context.statement)
                self._ended(operation, mark[1], now - mark[1], rows=cursor.rowcount)

    def fail(self, error: ExceptionContext) -> None:
        """Record a statement that raised, was cancelled or was interrupted."""
        now = perf_counter()
        with _GUARD:
            mark = covered.get()
            context: Any = error.execution_context
            if type(mark) is tuple and mark[0] is context:
                covered.set(None)
                operation = self._find(_system(error.dialect), context.statement)
                self._ended(operation, mark[1], now - mark[1], failed=True)


class _Pools:
    """Watches the pools that connections are taken from."""

    def __init__(self, observer: Observer, patches: Patches) -> None:
        self._observer = observer
        self._patches = patches
        self._names: weakref.WeakKeyDictionary[Pool, str] = weakref.WeakKeyDictionary()

    def watch(self, connect: Callable[[Engine], Any]) -> Callable[[Engine], Any]:
        """Return the method with the time it takes recorded as waiting."""

        @wraps(connect)
        def raw_connection(engine: Engine) -> Any:
            start = perf_counter()
            connection = connect(engine)
            with _GUARD:
                self._taken(engine, perf_counter() - start)
            return connection

        return raw_connection

    def _taken(self, engine: Engine, seconds: float) -> None:
        pool = engine.pool
        if not self._patches.on or not isinstance(pool, QueuePool):
            return  # other pools have no size that could run out
        if covered.get() is Cover.OWN:
            return
        name = self._names.get(pool)
        if name is None:
            name = self._names[pool] = _name(engine, pool)
            self._observer.pools.add(pool, name, _state)
        self._observer.waited(name, seconds)


def _state(pool: QueuePool) -> PoolState:
    most = pool.size() + pool._max_overflow if pool._max_overflow >= 0 else 0
    return PoolState(used=pool.checkedout(), idle=pool.checkedin(), most=most)


def _name(engine: Engine, pool: Pool) -> str:
    """Name a pool as the user did, else after its database; never with a user or password."""
    given = getattr(pool, "logging_name", None) or engine.logging_name
    database = (engine.url.database or "").replace("\\", "/").rpartition("/")[2]
    return str(given or f"{_system(engine.dialect)} {database}".strip())


def _system(dialect: Dialect) -> str:
    """Name the kind of database as OpenTelemetry does."""
    if dialect.name == "mysql" and getattr(dialect, "is_mariadb", False):
        return "mariadb"
    return dialect.name
