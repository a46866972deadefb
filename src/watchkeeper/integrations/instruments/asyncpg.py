"""asyncpg used directly: each statement of its connections, prepared statements and cursors.

Its query loggers belong to one connection, miss prepared statements and cursors, and are called
when the caller has long gone on; so the methods that execute are wrapped. A cursor counts once,
when it begins. What SQLAlchemy sends through asyncpg is recorded by SQLAlchemy's instrument,
except COMMIT and ROLLBACK, which only asyncpg can time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from time import perf_counter
from typing import Any, Final

from asyncpg.connection import Connection  # type: ignore[import-untyped]
from asyncpg.cursor import BaseCursor  # type: ignore[import-untyped]
from asyncpg.pool import Pool  # type: ignore[import-untyped]
from asyncpg.prepared_stmt import PreparedStatement  # type: ignore[import-untyped]

from watchkeeper.core.covered import covered
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.pools import MAX_POOLS, PoolState

_GUARD: Final = guard("asyncpg")
_SYSTEM: Final = "postgresql"
_EMPTY: Final = ("", ";")  # what pools send to see whether a connection is alive
_EXECUTING: Final = ("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany")

_Method = Callable[..., Coroutine[Any, Any, Any]]


def install(observer: Observer) -> Callable[[], None]:
    """Record what every connection executes, and every pool; return what undoes that."""
    patches = Patches()
    watch = _Methods(observer, patches)
    for name in (*_EXECUTING, "_copy_in", "_copy_out"):
        if name in vars(Connection):  # fetchmany came with 0.30
            patches.wrap(Connection, name, watch.of_connection)
    patches.wrap(Connection, "copy_records_to_table", watch.copying_records)
    for name in _EXECUTING:
        if name in vars(PreparedStatement):  # it has no execute
            patches.wrap(PreparedStatement, name, watch.of_statement)
    for name in ("_bind", "_bind_exec"):
        patches.wrap(BaseCursor, name, watch.of_cursor)
    patches.wrap(Pool, "_acquire", _Pools(observer, patches).watch)
    return patches.undo


class _Methods:
    """Wraps the methods that execute."""

    def __init__(self, observer: Observer, patches: Patches) -> None:
        self._executed = observer.executed
        self._patches = patches

    def of_connection(self, method: _Method) -> _Method:
        """Wrap a method whose first argument is the text."""

        @wraps(method)
        async def watched(connection: Any, query: str, *args: Any, **more: Any) -> Any:
            return await self._timed(query, method(connection, query, *args, **more))

        return watched

    def copying_records(self, method: _Method) -> _Method:
        """Wrap the method that makes up its text of the table's name."""

        @wraps(method)
        async def watched(connection: Any, table_name: str, *args: Any, **more: Any) -> Any:
            text = f'COPY "{table_name}" FROM STDIN'
            return await self._timed(text, method(connection, table_name, *args, **more))

        return watched

    def of_statement(self, method: _Method) -> _Method:
        """Wrap a method of what was prepared before."""

        @wraps(method)
        async def watched(statement: Any, *args: Any, **more: Any) -> Any:
            return await self._timed(statement._query, method(statement, *args, **more))

        return watched

    def of_cursor(self, method: _Method) -> _Method:
        """Wrap a method that opens a cursor; what it returns are not all of its rows."""

        @wraps(method)
        async def watched(cursor: Any, *args: Any, **more: Any) -> Any:
            return await self._timed(cursor._query, method(cursor, *args, **more), whole=False)

        return watched

    async def _timed(
        self, query: str, execution: Coroutine[Any, Any, Any], *, whole: bool = True
    ) -> Any:
        if covered.get() is not None:
            return await execution
        rows, failed = -1, True
        start = perf_counter()
        try:
            result = await execution
            rows, failed = _rows(result) if whole else -1, False
            return result
        finally:
            seconds = perf_counter() - start
            try:
                if self._patches.on and query not in _EMPTY:
                    self._executed(
                        _SYSTEM, query, start=start, seconds=seconds, rows=rows, failed=failed
                    )
            except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
                _GUARD.swallow(problem)


class _Pools:
    """Watches the pools that connections are taken from.

    A pool takes no weak reference, so each is held here until it is closed.
    """

    def __init__(self, observer: Observer, patches: Patches) -> None:
        self._observer = observer
        self._patches = patches
        self._open: dict[int, Any] = {}

    def watch(self, acquire: _Method) -> _Method:
        """Return the method with the time it takes recorded as waiting."""

        @wraps(acquire)
        async def watched(pool: Any, *args: Any, **more: Any) -> Any:
            start = perf_counter()
            connection = await acquire(pool, *args, **more)
            seconds = perf_counter() - start
            with _GUARD:
                if self._patches.on:
                    self._waited(pool, connection, seconds)
            return connection

        return watched

    def _waited(self, pool: Any, connection: Any, seconds: float) -> None:
        database = getattr(getattr(connection, "_params", None), "database", None)
        name = f"{_SYSTEM} {database or ''}".strip()
        if id(pool) not in self._open and len(self._open) < MAX_POOLS:
            self._open[id(pool)] = pool
            self._observer.pools.add(pool._queue, name, partial(self._read, id(pool)))
        self._observer.waited(name, seconds)

    def _read(self, key: int, _: object) -> PoolState:
        """Tell the state of a pool, and let go of one that is closed."""
        pool = self._open.get(key)
        if pool is None or pool._closed:
            self._open.pop(key, None)
            return PoolState(used=0, idle=0, most=0)
        idle = pool.get_idle_size()
        return PoolState(used=pool.get_size() - idle, idle=idle, most=pool.get_max_size())


def _rows(result: object) -> int:
    """Count the rows that a method returned, or that its status ("UPDATE 3") tells."""
    if isinstance(result, list):
        return len(result)
    if isinstance(result, str):
        number = result.rpartition(" ")[2]
        return int(number) if number.isdecimal() else -1
    return -1
