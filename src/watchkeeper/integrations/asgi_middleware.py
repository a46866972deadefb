"""The ASGI wrapper: sees each request of an application begin and end, and changes nothing."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from time import perf_counter
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.dashboard.probes import PROBES
from watchkeeper.integrations.lifespan import Lifespan
from watchkeeper.integrations.naming import Naming
from watchkeeper.integrations.outcomes import (
    FAILED,
    METHODS,
    REQUEST_ID,
    Answer,
    Exchange,
    Outcomes,
    Route,
)
from watchkeeper.integrations.own import OwnPages
from watchkeeper.integrations.own_asgi import find_page, serve_page
from watchkeeper.integrations.request_ids import AsgiAnswering
from watchkeeper.integrations.seeing import Seeing
from watchkeeper.integrations.templates import Templates
from watchkeeper.integrations.websockets import Connection
from watchkeeper.runtime.endpoints import Endpoint
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.live import FOLD_AT
from watchkeeper.runtime.record import RequestContext, current

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
FindRoute = Callable[[Scope, int], Route | None]

_GUARD: Final = guard("request")
_NOTHING: Final = object()
_FILES: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_QUEUE_HEADERS: Final = (b"x-request-start", b"x-queue-start")

# How far a response is: not a byte of its body, a part of it, and how it ended.
OPEN: Final = 0
STREAMING: Final = 1
LEFT: Final = 2  # the client, before the response was complete: it counts when the app returns
COMPLETE: Final = 3


class AsgiMiddleware:
    """Wraps an ASGI application; to be the outermost of its middleware."""

    def __init__(
        self, app: Application, watchkeeper: Watchkeeper, *, find_route: FindRoute | None = None
    ) -> None:
        """Wrap `app`; what it serves is recorded by `watchkeeper`.

        `find_route` tells from scope and status, when the response ends, which route it was (None:
        none); without it, the router is Starlette's.
        """
        settings = watchkeeper.settings
        self.id_header = (settings.request_id_header or REQUEST_ID).lower().encode()
        self._answers_with = settings.request_id_header
        self.app: Application = app
        self.wrap(app)
        self.outcomes = Outcomes(watchkeeper)
        self.templates = Templates(self.outcomes.unmatched)
        # The answer that an endpoint, by its id, gave last: mostly it gives the same one again.
        self.answers: dict[int, Answer] = self.templates.answers
        self.queue_header = b""  # the one that the proxy sends, once it was seen
        self._find_route = find_route
        naming = settings.route_name
        self._naming = Naming(naming) if naming is not None else None
        self._watchkeeper = watchkeeper
        self.own_cost = watchkeeper.own_cost
        self._active = watchkeeper.recorder.active
        self._follow_loop = partial(
            watchkeeper.observer.loop_lag.follow, lambda: watchkeeper.started
        )
        self._prefix = settings.dashboard_prefix
        self.own = OwnPages(watchkeeper)
        self._at_root = tuple(PROBES) if settings.health_at_root else ()

    def wrap(self, app: Application) -> None:
        """Serve with another application than the one given, made later."""
        self.app = AsgiAnswering(app, self._answers_with) if self._answers_with else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; exceptions of the application go on as they came."""
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        path = scope["path"]
        if self._prefix in path or (self._at_root and path.endswith(self._at_root)):
            page = find_page(self.own, scope)
            if page is not None:
                self.begin()
                await serve_page(self.own, page, scope, receive, send)
                return
        outer = current.get()
        if outer is not None and outer.serves(scope):
            await self.app(scope, receive, send)  # a wrapper further out counts this request
            return
        start = perf_counter()
        exchange = _Exchange() if start < self.own_cost.look_from else self._looked(scope, start)
        exchange.inside = None
        exchange.start = start
        exchange.status = 0
        exchange.phase = OPEN
        exchange.middleware = self
        exchange.scope = scope
        exchange.take = receive
        exchange.forward = send
        active = self._active
        active.add(start)
        current.set(exchange)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as exc:
            with _GUARD:
                exchange.failed(exc)
            raise
        finally:
            active.discard(start)  # a child that was forked amid this request has none
            current.set(outer)
        if exchange.inside is not None or exchange.phase != COMPLETE:  # type: ignore[redundant-expr]
            with _GUARD:
                exchange.ended()

    def capture(self, exc: BaseException, scope: Scope, *, status: int) -> None:
        """Record an exception as an issue of the request of this scope."""
        exchange = current.get()
        if not isinstance(exchange, _Exchange):
            exchange = _unseen(self, scope)
        exchange.status = exchange.status or status
        self.outcomes.capture(
            exc, exchange, self.route(scope, status), method=scope["method"], status=status
        )

    def route(self, scope: Scope, status: int) -> Route:
        """Return the route of a request, under the user's name if there is one."""
        if self._find_route is None:
            route = self.templates.route(scope, status)
        else:
            route = self._find_route(scope, status) or self.outcomes.unmatched
        if self._naming is None:
            return route
        return self._naming.named(route, method=scope["method"], path=scope["path"])

    def learn(self, scope: Scope, status: int) -> Answer:
        """Find what records an answer; where it is always the same one, it is remembered."""
        method = scope["method"]
        route = self.route(scope, status)
        answer = self.outcomes.answer(route, method, status)
        if (
            self._find_route is None
            and self._naming is None
            and method in METHODS
            and self.templates.is_single(scope)
        ):
            self.answers[id(scope.get("endpoint"))] = answer
        return answer

    def _capture_connection(self, scope: Scope, exc: BaseException) -> None:
        """Record an exception as an issue of a websocket's route."""
        route = self.route({"method": "GET", **scope}, 101)
        if route.is_recorded and not self.outcomes.is_expected(exc, route):
            self._watchkeeper.issues.capture(
                exc,
                request=RequestContext(route=route.template),
                endpoint=route.answering("GET"),
            )

    def begin(self) -> None:
        """Start watching, in the process that serves."""
        with _GUARD:
            self._watchkeeper.start()
            self._follow_loop()

    def _looked(self, scope: Scope, start: float) -> "_Exchange":
        """Do what is not to be done for every request: start, measure, look for a proxy's time."""
        with _GUARD:
            self._watchkeeper.start()
            self._follow_loop()
            if not self.queue_header:
                self.queue_header = _sent_queue_header(scope)
            if self.own_cost.is_due(start):
                return _MeasuredExchange()
        return _Exchange()

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            lifespan = Lifespan(self._watchkeeper, receive, send)
            with Seeing(lifespan.failed):
                await self.app(scope, lifespan.receive, lifespan.send)
            return
        counted = isinstance(getattr(receive, "__self__", None), Connection)  # further out
        if scope["type"] != "websocket" or counted:
            await self.app(scope, receive, send)
            return
        self.begin()
        connection = Connection(self._watchkeeper.recorder, receive, send)
        try:
            with Seeing(partial(self._capture_connection, scope)):
                await self.app(scope, connection.receive, connection.send)
        finally:
            with _GUARD:
                connection.ended(self.route({"method": "GET", **scope}, 101).template)


class _Exchange(Exchange):
    """One request and its response, as seen from outside of an ASGI application."""

    __slots__ = ("first_byte_s", "forward", "middleware", "phase", "scope", "take")

    first_byte_s: float  # of a body in several parts
    forward: Send
    middleware: AsgiMiddleware
    phase: int
    scope: Scope
    take: Receive

    def send(self, message: Message) -> Awaitable[None]:
        """Note the status and the end of the response, then pass the message on.

        The request ends here, not when the application returns: background tasks run in between.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message.get("status", 0)
        elif kind == "http.response.body" or kind in _FILES:
            is_last = not message.get("more_body")
            if self.phase or not is_last:
                self._streams(message)
            if is_last and self.phase < LEFT:
                self.phase = COMPLETE
                try:
                    seconds = perf_counter() - self.start
                    middleware, scope, status = self.middleware, self.scope, self.status
                    answer = middleware.answers.get(id(scope.get("endpoint")))
                    if (
                        answer is None
                        or answer.status != status
                        or answer.method != scope["method"]
                    ):
                        answer = middleware.learn(scope, status)
                    if middleware.queue_header:
                        self.note_queue(_header(scope, middleware.queue_header), seconds)
                    pending = answer.pending
                    pending.append(seconds)
                    if len(pending) >= FOLD_AT:
                        answer.fold()
                    if seconds > answer.choice.above or self.inside is not None:
                        middleware.outcomes.look(self, answer, seconds)
                except Exception as error:  # noqa: BLE001  # a border: see `Guard.swallow`
                    _GUARD.swallow(error)
        return self.forward(message)

    async def receive(self) -> Message:
        """Pass a message on, noting that the client left: no exception tells it."""
        message = await self.take()
        if message["type"] == "http.disconnect" and self.phase < LEFT:
            self.phase = LEFT
        return message

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised."""
        scope, middleware = self.scope, self.middleware
        outcomes, method = middleware.outcomes, scope["method"]
        status = self.status or FAILED
        route = middleware.route(scope, status)
        if self.phase == COMPLETE:
            if not isinstance(exc, Exception):
                return
            if status < FAILED and not outcomes.is_expected(exc, route):
                outcomes.unhandled(route, method)
        elif _is_departure(exc, left=self.phase == LEFT):
            outcomes.disconnected(route, method)
            outcomes.ended(self, route)
            return
        else:
            outcomes.broken(self, route, method, perf_counter() - self.start)
        outcomes.capture(exc, self, route, method=method, status=status)
        outcomes.ended(self, route)

    def ended(self) -> None:
        """Record that the application returned: with all said, or in the midst of it."""
        middleware, method = self.middleware, self.scope["method"]
        route = middleware.route(self.scope, self.status or FAILED)
        if self.phase != COMPLETE:
            if self.phase == LEFT:
                middleware.outcomes.disconnected(route, method)
            else:
                middleware.outcomes.broken(self, route, method, perf_counter() - self.start)
        middleware.outcomes.ended(self, route)

    def endpoint(self) -> Endpoint | None:
        """Return the code of the view, if the router has found it by now."""
        route = self.middleware.route(self.scope, self.status)
        return route.answering(self.scope["method"])

    def describe(self) -> RequestContext:
        """Tell which request this is, as far as is known at this moment."""
        middleware, scope = self.middleware, self.scope
        route = middleware.route(scope, self.status)
        return middleware.outcomes.context(self, route, method=scope["method"], status=self.status)

    def serves(self, request: Scope) -> bool:
        """Tell whether this is the request of a scope, or of the one that it was copied from."""
        mine = self.scope
        return request is mine or request.get("headers") is mine.get("headers", _NOTHING)

    def sent_id(self) -> str:
        """Return the request's id as the client sent it."""
        return _header(self.scope, self.middleware.id_header)

    def _streams(self, message: Message) -> None:
        """Note when the first part of a body goes out, if something follows it.

        An empty last part does not count: frameworks send one after a body that was whole.
        """
        with _GUARD:
            if self.phase == OPEN:
                self.phase = STREAMING
                self.first_byte_s = perf_counter() - self.start
            elif self.phase == STREAMING and message.get("body"):
                self.opened().first_byte_s = self.first_byte_s


class _MeasuredExchange(_Exchange):
    """An exchange that measures how long recording it takes: one a second is enough to know."""

    __slots__ = ("_cost_s",)

    @property
    def send(self) -> Send:
        """What the application is called with; what came before is ours, hence measured here."""
        self._cost_s = perf_counter() - self.start
        return self._send

    def _send(self, message: Message) -> Awaitable[None]:
        """Measure what is ours of sending a message."""
        was_complete, forward = self.phase == COMPLETE, self.forward
        began = perf_counter()
        self.forward = _send_nothing
        _Exchange.send(self, message)
        self.forward = forward
        self._cost_s += perf_counter() - began
        if self.phase == COMPLETE and not was_complete:
            with _GUARD:
                self.middleware.own_cost.measured(self._cost_s)
        return forward(message)


def _unseen(middleware: AsgiMiddleware, scope: Scope) -> _Exchange:
    """Make the exchange of a request that ran out of the context of its own."""
    exchange = _Exchange.beginning(perf_counter())
    exchange.status = 0
    exchange.phase = OPEN
    exchange.middleware = middleware
    exchange.scope = scope
    exchange.take = _receive_nothing
    exchange.forward = _send_nothing
    return exchange


def _is_departure(exc: BaseException, *, left: bool) -> bool:
    """Tell whether an exception says that the client left, or that the server gave up on it."""
    if not isinstance(exc, Exception):
        return True
    return type(exc).__name__ == "ClientDisconnect" or (left and isinstance(exc, OSError))


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope.get("headers", ()):
        if name == wanted:
            return bytes(value).decode("latin-1")
    return ""


def _sent_queue_header(scope: Scope) -> bytes:
    return next((name for name in _QUEUE_HEADERS if _header(scope, name)), b"")


async def _receive_nothing() -> Message:
    return {"type": "http.disconnect"}


def _send_nothing(message: Message) -> Any:
    """Send nothing: for what is ours of sending alone."""
