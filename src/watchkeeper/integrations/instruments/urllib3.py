"""urllib3: each request on a connection of its pools, also those that other libraries drive.

There is no hook. The wrapped method sends one request: `urlopen` calls it again for each retry
and redirect.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final

from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import parse_url

from watchkeeper.integrations.outgoing import drive, host_label, note
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("urllib3")


def install(observer: Observer) -> Callable[[], None]:
    """Record what every pool sends; return what undoes that."""
    patches = Patches()

    def ended(pool: Any, method: str, url: str, status: int | None, start: float) -> None:
        try:
            if not patches.on:
                return
            driver = drive.get()
            if driver is not None:
                driver.counted = True
            note(observer, method=method, host=_host(pool, url), status=status, start=start)
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)

    def make(send: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(send)
        def watched(self: Any, conn: Any, method: str, url: str, *args: Any, **more: Any) -> Any:
            status = None
            start = perf_counter()
            try:
                response = send(self, conn, method, url, *args, **more)
                status = response.status
                return response
            finally:
                ended(self, method, url, status, start)

        return watched

    patches.wrap(HTTPConnectionPool, "_make_request", make)
    return patches.undo


def _host(pool: Any, url: str) -> str:
    """Name the host asked; the pool's own, unless the pool is that of a forwarding proxy."""
    if pool.proxy is not None and not url.startswith("/"):
        target = parse_url(url)
        if target.scheme and target.host:
            return host_label(target.scheme, target.host, target.port)
    return host_label(pool.scheme, pool.host, pool.port)
