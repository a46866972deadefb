"""psycopg 3 used directly: each statement of its cursors, sync and async.

There is no hook, so the public methods that execute are wrapped. A statement counts once, under
the text that it was given as: a server-side cursor when it is opened, a stream when its first row
came, a COPY when it is over. What psycopg sends by itself (BEGIN, COMMIT, FETCH) does not count,
and neither does what SQLAlchemy or Django send through it: their instruments do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from psycopg import AsyncCursor, AsyncServerCursor, Cursor, ServerCursor

from watchkeeper.core.covered import covered
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("psycopg")
_SYSTEM: Final = "postgresql"
_EMPTY: Final = ("", ";")  # what pools send to see whether a connection is alive


def install(observer: Observer) -> Callable[[], None]:
    """Record what every cursor executes; return what undoes that."""
    patches = Patches()
    watch = _Cursors(observer, patches)
    for cursor in (Cursor, ServerCursor):
        patches.wrap(cursor, "execute", watch.execute)
    for async_cursor in (AsyncCursor, AsyncServerCursor):
        patches.wrap(async_cursor, "execute", watch.execute_async)
    patches.wrap(Cursor, "executemany", watch.execute)
    patches.wrap(AsyncCursor, "executemany", watch.execute_async)
    patches.wrap(Cursor, "stream", watch.stream)
    patches.wrap(AsyncCursor, "stream", watch.stream_async)
    patches.wrap(Cursor, "copy", watch.copy)
    patches.wrap(AsyncCursor, "copy", watch.copy_async)
    return patches.undo


class _Cursors:
    """Wraps the methods of cursors."""

    def __init__(self, observer: Observer, patches: Patches) -> None:
        self._executed = observer.executed
        self._patches = patches

    def ended(self, cursor: Any, query: object, start: float, *, failed: bool) -> None:
        """Record a statement that began at `start`."""
        seconds = perf_counter() - start
        try:
            text = query if isinstance(query, str) else _text(cursor, query)
            if self._patches.on and text not in _EMPTY:
                self._executed(
                    _SYSTEM,
                    text,
                    start=start,
                    seconds=seconds,
                    rows=-1 if failed else cursor.rowcount,
                    failed=failed,
                )
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)

    def execute(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that returns when the statement was executed."""

        @wraps(execute)
        def watched(cursor: Any, query: object, *args: Any, **more: Any) -> Any:
            if covered.get() is not None:
                return execute(cursor, query, *args, **more)
            start = perf_counter()
            try:
                result = execute(cursor, query, *args, **more)
            except BaseException:
                self.ended(cursor, query, start, failed=True)
                raise
            self.ended(cursor, query, start, failed=False)
            return result

        return watched

    def execute_async(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap an async method that is over when the statement was executed."""

        @wraps(execute)
        async def watched(cursor: Any, query: object, *args: Any, **more: Any) -> Any:
            if covered.get() is not None:
                return await execute(cursor, query, *args, **more)
            start = perf_counter()
            try:
                result = await execute(cursor, query, *args, **more)
            except BaseException:
                self.ended(cursor, query, start, failed=True)
                raise
            self.ended(cursor, query, start, failed=False)
            return result

        return watched

    def stream(self, stream: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that yields rows as they come."""

        @wraps(stream)
        def watched(cursor: Any, query: object, *args: Any, **more: Any) -> Iterator[Any]:
            rows = stream(cursor, query, *args, **more)
            with _Execution(self, cursor, query):
                first = next(rows, _NOTHING)
            if first is not _NOTHING:
                try:
                    yield first
                    yield from rows
                finally:
                    rows.close()

        return watched

    def stream_async(self, stream: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that yields rows as they come, asynchronously."""

        @wraps(stream)
        async def watched(
            cursor: Any, query: object, *args: Any, **more: Any
        ) -> AsyncIterator[Any]:
            rows = stream(cursor, query, *args, **more)
            with _Execution(self, cursor, query):
                first = await anext(rows, _NOTHING)
            if first is not _NOTHING:
                try:
                    yield first
                    async for row in rows:
                        yield row
                finally:
                    await rows.aclose()

        return watched

    def copy(self, copy: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method whose `with` block copies."""

        @wraps(copy)
        @contextmanager
        def watched(cursor: Any, query: object, *args: Any, **more: Any) -> Iterator[Any]:
            with (
                _Execution(self, cursor, query),
                copy(cursor, query, *args, **more) as copying,
            ):
                yield copying

        return watched

    def copy_async(self, copy: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method whose `async with` block copies."""

        @wraps(copy)
        @asynccontextmanager
        async def watched(
            cursor: Any, query: object, *args: Any, **more: Any
        ) -> AsyncIterator[Any]:
            with _Execution(self, cursor, query):
                async with copy(cursor, query, *args, **more) as copying:
                    yield copying

        return watched


class _Execution:
    """The `with` block in which a statement is executed; what it raises goes on as it came."""

    __slots__ = ("_cursor", "_cursors", "_query", "_start")

    def __init__(self, cursors: _Cursors, cursor: Any, query: object) -> None:
        self._cursors = cursors
        self._cursor = cursor
        self._query = query
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cursors.ended(self._cursor, self._query, self._start, failed=kind is not None)


_NOTHING: Final = object()


def _text(cursor: Any, query: object) -> str:
    """Return the text of a query that is no str: as psycopg sent it, or would."""
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    sent = getattr(cursor, "_query", None)
    if sent is not None:
        return bytes(sent.query).decode("utf-8", "replace")
    compose = getattr(query, "as_string", None)
    return str(compose(cursor)) if compose else type(query).__name__
