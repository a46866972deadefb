"""SQLAlchemy: each statement of every engine, sync or async, by the execution events of dialects.

They stand right around what the driver does, and cost a twentieth of what the cursor events of
connections do: with one of those, SQLAlchemy looks for listeners to four kinds of events at every
statement. An async engine fires those of its sync engine. COMMIT and ROLLBACK have no event that
tells when they are over, so they are not timed. Pools have no event at the begin of a checkout:
the method that every checkout passes is wrapped.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import dropwhile, islice
from time import perf_counter
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.pool import Pool, QueuePool

from watchkeeper.core.covered import Cover, covered
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.pools import PoolState

_GUARD: Final = guard("sqlalchemy")
_EXECUTIONS: Final = ("do_execute", "do_executemany", "do_execute_no_params")


def install(observer: Observer) -> Callable[[], None]:
    """Record the statements and pools of every engine; return what undoes that."""
    listeners = {name: _executing(observer, name) for name in _EXECUTIONS}
    for name, listener in listeners.items():
        event.listen(Engine, name, listener, insert=True)
    patches = Patches()
    patches.wrap(Engine, "raw_connection", _Pools(observer, patches).watch)

    def uninstall() -> None:
        patches.undo()
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)

    return uninstall


def _executing(observer: Observer, name: str) -> Callable[..., bool]:
    """Return a listener that executes a statement just as the dialect would, and times that.

    What is recorded is the statement as it was compiled. The text sent is what others made of
    it, such as a comment with the request's id: never the same text twice.
    """
    executed = observer.executed

    def execute(*args: Any) -> bool:
        """Execute args: cursor, statement, parameters if there are any, context."""
        context = args[-1]
        if context is None or covered.get() is not None:
            return False
        dialect = context.dialect
        listeners = getattr(dialect.dispatch, name)
        covered.set(Cover.ABOVE)
        start = perf_counter()
        try:
            if len(listeners) == 1 or not _by_others(listeners, execute, args):
                getattr(dialect, name)(*args)
        except BaseException:
            seconds = perf_counter() - start
            covered.set(None)
            with _GUARD:
                executed(
                    _system(dialect),
                    context.statement,
                    start=start,
                    seconds=seconds,
                    failed=True,
                )
            raise
        seconds = perf_counter() - start
        covered.set(None)
        try:
            executed(
                _system(dialect),
                context.statement,
                start=start,
                seconds=seconds,
                rows=args[0].rowcount,
            )
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)
        return True

    return execute


def _by_others(
    listeners: Iterable[Callable[..., object]], ours: Callable[..., object], args: tuple[Any, ...]
) -> bool:
    """Let the listeners that come after ours execute a statement; tell whether one did."""
    following = dropwhile(lambda listener: listener is not ours, listeners)
    return any(listener(*args) for listener in islice(following, 1, None))


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
