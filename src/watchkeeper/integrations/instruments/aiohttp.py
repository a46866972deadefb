"""aiohttp's client: a middleware, its own hook, innermost in each request that a session makes.

A middleware sees each request on the network: those of redirects, and of middlewares that try
again. (Traces cost several times as much: with one, aiohttp builds the address anew for each.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from time import perf_counter
from typing import Any, Final

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession

from watchkeeper.integrations.outgoing import host_label, note
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("aiohttp")
_MIDDLEWARES: Final = "middlewares"


def install(observer: Observer) -> Callable[[], None]:
    """Record what every session sends; return what undoes that.

    Raises RuntimeError if aiohttp is older than 3.12, which has no middlewares.
    """
    if _MIDDLEWARES not in signature(ClientSession._request).parameters:
        raise RuntimeError("aiohttp has no middlewares before 3.12; its calls are not seen")
    patches = Patches()

    def ended(request: ClientRequest, response: ClientResponse | None, start: float) -> None:
        try:
            url = request.url
            note(
                observer,
                method=request.method,
                host=host_label(url.scheme, url.raw_host or "", url.port),
                status=None if response is None else response.status,
                start=start,
            )
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)

    async def middleware(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        response = None
        start = perf_counter()
        try:
            response = await send(request)
            return response
        finally:
            ended(request, response, start)

    def make(request: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(request)
        def watched(session: Any, *args: Any, **more: Any) -> Any:
            with _GUARD:
                if patches.on:
                    own = more.get(_MIDDLEWARES)
                    if own is None:  # those of one request replace the session's
                        own = session._middlewares
                    more = {**more, _MIDDLEWARES: (*own, middleware)}
            return request(session, *args, **more)

        return watched

    patches.wrap(ClientSession, "_request", make)
    return patches.undo
