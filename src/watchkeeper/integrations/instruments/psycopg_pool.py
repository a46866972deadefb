"""psycopg_pool: how full each pool is, and how long it takes to get a connection from it.

The pool's own statistics tell the size; they know the time waited only as a sum in milliseconds,
so the method that every request for a connection passes is wrapped.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool, ConnectionPool

from watchkeeper.core.covered import Cover, covered
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.pools import PoolState

_GUARD: Final = guard("psycopg_pool")


def install(observer: Observer) -> Callable[[], None]:
    """Watch every pool that a connection is asked of; return what undoes that."""
    patches = Patches()
    known: weakref.WeakSet[Any] = weakref.WeakSet()

    def waited(pool: Any, start: float) -> None:
        seconds = perf_counter() - start
        with _GUARD:
            if patches.on and covered.get() is not Cover.OWN:
                if pool not in known:
                    known.add(pool)
                    observer.pools.add(pool, pool.name, _state)
                observer.waited(pool.name, seconds)

    def sync(getconn: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(getconn)
        def watched(self: Any, *args: Any, **more: Any) -> Any:
            start = perf_counter()
            try:
                return getconn(self, *args, **more)
            finally:
                waited(self, start)

        return watched

    def asynchronous(getconn: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(getconn)
        async def watched(self: Any, *args: Any, **more: Any) -> Any:
            start = perf_counter()
            try:
                return await getconn(self, *args, **more)
            finally:
                waited(self, start)

        return watched

    patches.wrap(ConnectionPool, "getconn", sync)
    patches.wrap(AsyncConnectionPool, "getconn", asynchronous)
    return patches.undo


def _state(pool: Any) -> PoolState:
    stats = pool.get_stats()
    idle = stats["pool_available"]
    return PoolState(used=stats["pool_size"] - idle, idle=idle, most=stats["pool_max"])
