"""The ASGI wrapper: sees each request of an application begin and end, and changes nothing."""

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.core.catalogue import WEBSOCKET_CONNECTIONS
from watchkeeper.integrations.lifespan import Lifespan
from watchkeeper.integrations.outcomes import FAILED, Outcomes, Route
from watchkeeper.integrations.own import PROBES, OwnPages
from watchkeeper.integrations.own_asgi import find_page, serve_page
from watchkeeper.integrations.templates import Templates
from watchkeeper.runtime.guard import guard

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_GUARD: Final = guard("request")


class AsgiMiddleware:
    """Wraps an ASGI application; to be the outermost of its middleware."""

    def __init__(self, app: Application, watchkeeper: Watchkeeper) -> None:
        """Wrap `app`; what it serves is recorded by `watchkeeper`."""
        self.app = app
        self.outcomes = Outcomes(watchkeeper)
        self.templates = Templates(self.outcomes.unmatched)
        self._watchkeeper = watchkeeper
        self._active = watchkeeper.recorder.active
        self._prefix = watchkeeper.settings.dashboard_prefix
        self._own = OwnPages(watchkeeper)
        # endswith(()) is never true: without probes at the root this check costs nothing.
        self._at_root = tuple(PROBES) if watchkeeper.settings.health_at_root else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; exceptions of the application go on as they came."""
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        path = scope["path"]
        if self._prefix in path or path.endswith(self._at_root):
            page = find_page(self._own, scope)
            if page is not None:
                self._start()
                await serve_page(self._own, page, scope, receive, send)
                return
        key = id(scope)
        active = self._active
        if key in active:  # a wrapper further out counts this request already
            await self.app(scope, receive, send)
            return
        if not self._watchkeeper.started:
            self._start()
        exchange = _Exchange(self, scope, receive, send)
        active[key] = exchange.start
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as exc:
            with _GUARD:
                exchange.failed(exc)
            raise
        finally:
            active.pop(key, None)
        if not exchange.complete:
            with _GUARD:
                exchange.ended_early()

    def capture(self, exc: BaseException, scope: Scope, *, status: int) -> None:
        """Record an exception as an issue of the request of this scope."""
        self.outcomes.capture(
            exc,
            self.templates.route(scope, status),
            method=scope["method"],
            status=status,
            request_id=_request_id(scope),
        )

    def _start(self) -> None:
        with _GUARD:
            self._watchkeeper.start()

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            lifespan = Lifespan(self._watchkeeper, receive, send)
            await self.app(scope, lifespan.receive, lifespan.send)
            return
        if scope["type"] == "websocket":
            self._start()
            with _GUARD:
                self._watchkeeper.recorder.series(WEBSOCKET_CONNECTIONS).record(1)
        await self.app(scope, receive, send)


class _Exchange:
    """One request and its response, as seen from outside of the application."""

    __slots__ = (
        "_middleware",
        "_receive",
        "_scope",
        "_send",
        "complete",
        "left",
        "start",
        "status",
    )

    def __init__(
        self, middleware: AsgiMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self.complete = False
        self.left = False  # the client, before the response was complete
        self.status = 0
        self.start = perf_counter()

    def send(self, message: Message) -> Awaitable[None]:
        """Note the status and the end of the response, then pass the message on.

        The request ends here, not when the application returns: background tasks run in between.
        """
        kind = message["type"]
        if kind == "http.response.body" or kind == "http.response.zerocopysend":
            if not message.get("more_body", False):
                self._end()
        elif kind == "http.response.start":
            self.status = message.get("status", 0)
        elif kind == "http.response.pathsend":
            self._end()
        return self._send(message)

    async def receive(self) -> Message:
        """Pass a message on, noting that the client left: no exception tells it."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = True
        return message

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised."""
        scope, middleware = self._scope, self._middleware
        outcomes = middleware.outcomes
        status = self.status or FAILED
        route = middleware.templates.route(scope, status)
        if self.complete:
            if not isinstance(exc, Exception):
                return
            if status < FAILED:
                outcomes.unhandled(route, scope["method"])
        elif _is_departure(exc, left=self.left):
            outcomes.disconnected(route, scope["method"])
            return
        else:
            self._record_broken(route, status)
        outcomes.capture(
            exc, route, method=scope["method"], status=status, request_id=_request_id(scope)
        )

    def ended_early(self) -> None:
        """Record that the application returned without a complete response."""
        status = self.status or FAILED
        route = self._middleware.templates.route(self._scope, status)
        if self.left:
            self._middleware.outcomes.disconnected(route, self._scope["method"])
        else:
            self._record_broken(route, status)

    def _record_broken(self, route: Route, status: int) -> None:
        self._middleware.outcomes.broken(
            route, self._scope["method"], status, perf_counter() - self.start
        )

    def _end(self) -> None:
        if self.complete or self.left:  # nobody is there: what it was shows when the app returns
            return
        self.complete = True
        seconds = perf_counter() - self.start
        with _GUARD:
            middleware, scope = self._middleware, self._scope
            route = middleware.templates.route(scope, self.status)
            middleware.outcomes.finished(route, scope["method"], self.status, seconds)


def _is_departure(exc: BaseException, *, left: bool) -> bool:
    """Tell whether an exception says that the client left, or that the server gave up on it."""
    if not isinstance(exc, Exception):
        return True
    return type(exc).__name__ == "ClientDisconnect" or (left and isinstance(exc, OSError))


def _request_id(scope: Scope) -> str:
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            return bytes(value).decode("latin-1")
    return ""
