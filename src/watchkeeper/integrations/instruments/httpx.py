"""httpx: the requests of its clients, sync and async, through any transport.

Event hooks belong to one client and see neither failures nor cancellation, so the method that
sends one request, and that redirects and authentication call again, is wrapped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final

import httpx

from watchkeeper.integrations.outgoing import host_label, note
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("httpx")
_SEND: Final = "_send_single_request"


def install(observer: Observer) -> Callable[[], None]:
    """Record what every client sends; return what undoes that."""
    patches = Patches()

    def ended(request: httpx.Request, response: httpx.Response | None, start: float) -> None:
        try:
            if patches.on:
                url = request.url
                note(
                    observer,
                    method=request.method,
                    host=host_label(url.scheme, url.host, url.port),
                    status=None if response is None else response.status_code,
                    start=start,
                )
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)

    def sync(send: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
        @wraps(send)
        def watched(self: Any, request: httpx.Request, *args: Any, **more: Any) -> httpx.Response:
            response = None
            start = perf_counter()
            try:
                response = send(self, request, *args, **more)
                return response
            finally:
                ended(request, response, start)

        return watched

    def asynchronous(
        send: Callable[..., Awaitable[httpx.Response]],
    ) -> Callable[..., Awaitable[httpx.Response]]:
        @wraps(send)
        async def watched(
            self: Any, request: httpx.Request, *args: Any, **more: Any
        ) -> httpx.Response:
            response = None
            start = perf_counter()
            try:
                response = await send(self, request, *args, **more)
                return response
            finally:
                ended(request, response, start)

        return watched

    patches.wrap(httpx.Client, _SEND, sync)
    patches.wrap(httpx.AsyncClient, _SEND, asynchronous)
    return patches.undo
