"""The WSGI wrapper: sees each request of an application begin and end, and changes nothing."""

from collections.abc import Callable, Iterable, MutableMapping
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.dashboard.probes import PROBES
from watchkeeper.integrations import outcomes
from watchkeeper.integrations.naming import Naming
from watchkeeper.integrations.outcomes import (
    FAILED,
    METHODS,
    REQUEST_ID,
    Answer,
    Outcomes,
    Route,
)
from watchkeeper.integrations.own import OwnPages
from watchkeeper.integrations.own_wsgi import serve_page
from watchkeeper.integrations.request_ids import WsgiAnswering
from watchkeeper.integrations.wsgi_body import UNSIZED, Body, passing, watched
from watchkeeper.runtime.endpoints import Endpoint
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.live import FOLD_AT
from watchkeeper.runtime.record import Record, RequestContext, current

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
FindRoute = Callable[[Any], Route | None]
AnswerKey = tuple[int, str | None, str]  # the id of the hint, method, status line

MAX_STATUSES: Final = 200
MAX_ANSWERS: Final = 10_000

_GUARD: Final = guard("request")
_STATUSES: Final[dict[str, int]] = {}  # "200 OK" → 200
_QUEUE_HEADERS: Final = ("HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START")


class WsgiMiddleware:
    """Wraps a WSGI application; to be the outermost of its middleware."""

    def __init__(
        self,
        app: Application,
        watchkeeper: Watchkeeper,
        *,
        find_route: FindRoute | None = None,
        hint: tuple[str, str] = ("", ""),
    ) -> None:
        """Wrap `app`; `find_route` tells, when a response ends, which route it was of.

        It gets the hint of the response's start, for at its end the framework may have forgotten:
        `hint` names a key of `environ` and the attribute of what is there.
        """
        self.hint = hint
        settings = watchkeeper.settings
        self.app: Application = app
        if settings.request_id_header:
            self.app = WsgiAnswering(app, settings.request_id_header)
        name = settings.request_id_header or REQUEST_ID
        self.id_key = f"HTTP_{name.upper().replace('-', '_')}"
        self.outcomes = Outcomes(watchkeeper)
        self.find_route = find_route or _no_route
        self.active = watchkeeper.recorder.active
        self.answers: dict[AnswerKey, Answer] = {}
        self._hints: dict[int, object] = {}  # kept, so that no id comes to mean another one
        self.own_cost = watchkeeper.own_cost
        self.queue_header = ""  # the one that the proxy sends, once it was seen
        naming = settings.route_name
        self.naming = Naming(naming) if naming is not None else None
        self._watchkeeper = watchkeeper
        self._prefix = settings.dashboard_prefix
        self.own = OwnPages(watchkeeper)
        self._at_root = tuple(PROBES) if settings.health_at_root else ()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; exceptions of the application go on as they came."""
        path = environ.get("PATH_INFO", "")
        if self._prefix in path or (self._at_root and path.endswith(self._at_root)):
            page = self.own.find(path, root=environ.get("SCRIPT_NAME", "").rstrip("/"))
            if page is not None:
                with _GUARD:
                    self._watchkeeper.start()
                return serve_page(self.own, page, environ, start_response)
        outer = current.get()
        if outer is not None and outer.serves(environ):
            return self.app(environ, start_response)  # a wrapper further out counts this request
        start = perf_counter()
        exchange = Exchange() if start < self.own_cost.look_from else self._looked(environ, start)
        exchange.inside = exchange.hint = exchange.route = exchange.suspect = None
        exchange.start = start
        exchange.status_line = ""
        exchange.complete = False
        exchange.environ = environ
        exchange.forward = start_response
        exchange.middleware = self
        exchange.outer = outer
        current.set(exchange)
        self.active.add(start)
        try:
            result = self.app(environ, exchange.start_response)
        except BaseException as exc:
            with _GUARD:
                exchange.failed(exc)
            raise
        if type(result) in UNSIZED:
            body = Body()
            body.exchange = exchange
            body.result = result
            body.blocks = blocks = passing(result, exchange)
            next(blocks)
            return body
        return watched(result, exchange, environ)

    def _looked(self, environ: Environ, start: float) -> "Exchange":
        """Do what is not to be done for every request: start, measure, look for a proxy's time."""
        with _GUARD:
            self._watchkeeper.start()
            if not self.queue_header:
                self.queue_header = next((name for name in _QUEUE_HEADERS if name in environ), "")
            if self.own_cost.is_due(start):
                return _MeasuredExchange()
        return Exchange()

    def is_settled_by(self, hint: object) -> bool:
        """Tell whether requests with this hint are always of the same route."""
        return self.naming is None and (hint is not None or self.find_route is _no_route)

    def remember(self, key: AnswerKey, answer: Answer, hint: object) -> None:
        """Keep what records the answers with this hint."""
        if len(self.answers) >= MAX_ANSWERS:
            self.answers.clear()
            self._hints.clear()
        self._hints[id(hint)] = hint
        self.answers[key] = answer

    def named(self, route: Route, environ: Environ) -> Route:
        """Return the route of a request under the user's name, if there is one."""
        if self.naming is None:
            return route
        return self.naming.named(
            route,
            method=str(environ.get("REQUEST_METHOD", "")),
            path=environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        )


class Exchange(outcomes.Exchange):
    """One request and its response, as seen from outside of a WSGI application."""

    __slots__ = (
        "complete",
        "environ",
        "forward",
        "hint",
        "middleware",
        "outer",
        "route",
        "status_line",
        "suspect",
    )

    complete: bool
    environ: Environ
    forward: StartResponse
    hint: object  # what tells the route, as it was when the response began
    middleware: WsgiMiddleware
    outer: Record | None  # what ran in this context before
    route: Route | None
    status_line: str
    suspect: BaseException | None  # handled, hence an issue only if we see a 5xx

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Write:
        """Note status and hint, then pass on; may come twice if the first was not sent yet."""
        self.status_line = status
        key, attribute = self.middleware.hint
        self.hint = getattr(self.environ.get(key), attribute, None)
        if self.suspect is not None:
            with _GUARD:
                suspect, self.suspect = self.suspect, None
                if self._settled_status() >= FAILED:
                    self.capture(suspect)
        if exc_info is None:
            return self.forward(status, headers)
        return self.forward(status, headers, exc_info)

    def serves(self, request: MutableMapping[str, Any]) -> bool:
        """Tell whether this is the request of an environ, or of what it was copied from."""
        if self.complete:
            return False
        source = request.get("wsgi.input")
        return request is self.environ or (
            source is not None and source is self.environ.get("wsgi.input")
        )

    def find_route(self) -> None:
        """Ask for the route while the framework still knows it."""
        self.route = self.middleware.find_route(self._hinted()) or self.route

    def finished(self) -> None:
        """Record the end of the response, once; never raises."""
        if self.complete:
            return
        seconds = perf_counter() - self.start
        middleware = self.middleware
        try:
            self._end()
            answer = middleware.answers.get(
                (id(self.hint), self.environ.get("REQUEST_METHOD"), self.status_line)
            )
            if answer is None or self.route is not None:
                answer = self._learn()
            if middleware.queue_header:
                self.note_queue(self.environ.get(middleware.queue_header, ""), seconds)
            pending = answer.pending
            pending.append(seconds)
            if len(pending) >= FOLD_AT:
                answer.fold()
            if seconds > answer.choice.above or self.inside is not None:
                self._settled_status()
                middleware.outcomes.look(self, answer, seconds)
                middleware.outcomes.ended(self, answer.route)
        except Exception as error:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(error)

    def _learn(self) -> Answer:
        """Find what records the answer; where it is always the same one, it is remembered."""
        middleware, method = self.middleware, self._method()
        answer = middleware.outcomes.answer(self._settled_route(), method, self._settled_status())
        if self.route is None and method in METHODS and middleware.is_settled_by(self.hint):
            middleware.remember((id(self.hint), method, self.status_line), answer, self.hint)
        return answer

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised: before, in the midst of or after its response."""
        outcomes, route = self.middleware.outcomes, self._settled_route()
        method, status = self._method(), self._settled_status()
        if self.complete:
            if status < FAILED and not outcomes.is_expected(exc, route):
                outcomes.unhandled(route, method)
        else:
            seconds = perf_counter() - self.start
            self._end()
            if isinstance(exc, GeneratorExit):
                outcomes.disconnected(route, method)
                return
            outcomes.broken(self, route, method, seconds)
        self.capture(exc)
        outcomes.ended(self, route)

    def streams(self, first_byte_s: float) -> None:
        """Note when the first part of a body was there that comes in several."""
        self.opened().first_byte_s = first_byte_s

    def capture(self, exc: BaseException) -> None:
        """Record an exception as an issue of this request."""
        self.middleware.outcomes.capture(
            exc,
            self,
            self._settled_route(),
            method=self._method(),
            status=self._settled_status(),
        )

    def endpoint(self) -> Endpoint | None:
        """Return the code of the view, if the router has found it by now."""
        return self._settled_route().answering(self._method())

    def describe(self) -> RequestContext:
        """Tell which request this is, as far as is known at this moment."""
        self._settled_status()
        return self.middleware.outcomes.context(
            self, self._settled_route(), method=self._method(), status=self.status
        )

    def sent_id(self) -> str:
        """Return the request's id as the client sent it."""
        return str(self.environ.get(self.middleware.id_key, ""))

    def _end(self) -> None:
        self.complete = True
        self.middleware.active.discard(self.start)  # a forked child has none of its parent's
        if current.get() is self:  # it may end elsewhere, when it is dropped
            outer = self.outer
            if outer is not None:
                self.outer = None
                outer = None if isinstance(outer, Exchange) and outer.complete else outer
            current.set(outer)

    def _hinted(self) -> object:
        """Return what tells the route, as far as the framework has come; cannot raise."""
        key, attribute = self.middleware.hint
        return getattr(self.environ.get(key), attribute, None)

    def _settled_route(self) -> Route:
        """Return the route as far as it is known at this moment."""
        middleware = self.middleware
        route = self.route
        if route is None:
            hint = self.hint or self._hinted()  # in the midst of a request it is still there
            route = middleware.find_route(hint) or middleware.outcomes.unmatched
        if middleware.naming is None:
            return route
        return middleware.named(route, self.environ)

    def _settled_status(self) -> int:
        """Return the status of the response, or that of a failure if there is none."""
        line = self.status_line
        status = _STATUSES.get(line) if line else 0
        if status is None:
            status = int(line[:3])
            if len(_STATUSES) < MAX_STATUSES:
                _STATUSES[line] = status
        self.status = status
        return status or FAILED

    def _method(self) -> str:
        return str(self.environ.get("REQUEST_METHOD", ""))


class _MeasuredExchange(Exchange):
    """An exchange that measures how long recording it takes: one a second is enough to know."""

    __slots__ = ("_cost_s",)

    @property
    def start_response(self) -> StartResponse:
        """What the application is called with; what came before is ours, hence measured here."""
        self._cost_s = perf_counter() - self.start
        return self._start_response

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Write:
        """Measure what is ours of starting the response."""
        began, forward = perf_counter(), self.forward
        self.forward = _start_nothing
        Exchange.start_response(self, status, headers)
        self.forward = forward
        self._cost_s += perf_counter() - began
        if exc_info is None:
            return forward(status, headers)
        return forward(status, headers, exc_info)

    def finished(self) -> None:
        """Measure the end of the response, and tell what it all took."""
        if self.complete:
            return
        began = perf_counter()
        super().finished()
        with _GUARD:
            self.middleware.own_cost.measured(self._cost_s + perf_counter() - began)


def _start_nothing(status: str, headers: list[tuple[str, str]]) -> Any:
    """Start nothing: for what is ours of starting a response alone."""


def _no_route(hint: object) -> Route | None:
    return None
