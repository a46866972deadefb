"""aiohttp's client: traces, its own hook, in every session that begins while this is on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import perf_counter
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import (
    ClientResponseError,
    ClientSession,
    InvalidURL,
    TooManyRedirects,
    TraceConfig,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
)
from yarl import URL

from watchkeeper.integrations.outgoing import host_label, note
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

_GUARD: Final = guard("aiohttp")
_NOT_SENT: Final = (InvalidURL, TooManyRedirects)  # raised instead of sending one more request


def install(observer: Observer) -> Callable[[], None]:
    """Record what sessions send that are made from now on; return what undoes that."""
    patches = Patches()
    trace = _trace(observer, patches)

    def make(init: Callable[..., None]) -> Callable[..., None]:
        @wraps(init)
        def watched(self: Any, *args: Any, **more: Any) -> None:
            init(self, *args, **more)
            with _GUARD:
                if patches.on:
                    # a list of the caller's stays as it is
                    self._trace_configs = [*self.trace_configs, trace]

        return watched

    patches.wrap(ClientSession, "__init__", make)
    return patches.undo


def _trace(observer: Observer, patches: Patches) -> TraceConfig:
    """Make the trace that records while `patches` are on."""

    def ended(context: Any, method: str, url: URL, status: int | None) -> None:
        if patches.on:
            host = host_label(url.scheme, url.raw_host or "", url.port)
            note(observer, method=method, host=host, status=status, start=context.start)

    async def begin(_: ClientSession, context: Any, __: TraceRequestStartParams) -> None:
        context.start = perf_counter()

    async def redirected(_: ClientSession, context: Any, hop: TraceRequestRedirectParams) -> None:
        with _GUARD:
            ended(context, hop.method, hop.url, hop.response.status)
            context.start = perf_counter()

    async def end(_: ClientSession, context: Any, answered: TraceRequestEndParams) -> None:
        with _GUARD:
            ended(context, answered.method, answered.url, answered.response.status)

    async def failed(_: ClientSession, context: Any, failure: TraceRequestExceptionParams) -> None:
        with _GUARD:
            error = failure.exception
            if not isinstance(error, _NOT_SENT):
                # raise_for_status raises before the end is told
                status = (error.status or None) if isinstance(error, ClientResponseError) else None
                ended(context, failure.method, failure.url, status)

    trace = TraceConfig(trace_config_ctx_factory=SimpleNamespace)
    trace.on_request_start.append(begin)
    trace.on_request_redirect.append(redirected)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(failed)
    trace.freeze()
    return trace
