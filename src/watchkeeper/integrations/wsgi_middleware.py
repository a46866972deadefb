"""The WSGI wrapper: sees each request of an application begin and end, and changes nothing."""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.outcomes import FAILED, Outcomes, Route
from watchkeeper.integrations.own import PROBES, OwnPages
from watchkeeper.integrations.own_wsgi import serve_page
from watchkeeper.runtime.guard import guard

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
FindRoute = Callable[[Environ], Route | None]

EXCHANGE: Final = "watchkeeper.exchange"  # the key under which `environ` holds the exchange

_GUARD: Final = guard("request")


class WsgiMiddleware:
    """Wraps a WSGI application; to be the outermost of its middleware."""

    def __init__(
        self, app: Application, watchkeeper: Watchkeeper, *, find_route: FindRoute | None = None
    ) -> None:
        """Wrap `app`; `find_route` tells a request's route when the response starts."""
        self.app = app
        self.outcomes = Outcomes(watchkeeper)
        self.find_route = find_route or _no_route
        self.active = watchkeeper.recorder.active
        self._watchkeeper = watchkeeper
        self._prefix = watchkeeper.settings.dashboard_prefix
        self._own = OwnPages(watchkeeper)
        # endswith(()) is never true: without probes at the root this check costs nothing.
        self._at_root = tuple(PROBES) if watchkeeper.settings.health_at_root else ()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; exceptions of the application go on as they came."""
        if not self._watchkeeper.started:
            with _GUARD:
                self._watchkeeper.start()
        path = environ.get("PATH_INFO", "")
        if self._prefix in path or path.endswith(self._at_root):
            page = self._own.find(path, root=environ.get("SCRIPT_NAME", "").rstrip("/"))
            if page is not None:
                return serve_page(self._own, page, environ, start_response)
        if EXCHANGE in environ:  # a wrapper further out counts this request already
            return self.app(environ, start_response)
        exchange = Exchange(self, environ, start_response)
        environ[EXCHANGE] = exchange
        try:
            result = self.app(environ, exchange.start_response)
        except BaseException as exc:
            with _GUARD:
                exchange.failed(exc)
            raise
        return _watched(result, exchange, environ.get("wsgi.file_wrapper"))


class Exchange:
    """One request and its response, as seen from outside of the application."""

    __slots__ = (
        "_environ",
        "_middleware",
        "_start_response",
        "complete",
        "route",
        "start",
        "status",
        "suspect",
    )

    def __init__(
        self, middleware: WsgiMiddleware, environ: Environ, start_response: StartResponse
    ) -> None:
        """Begin: the request counts as being answered from now on."""
        self._middleware = middleware
        self._environ = environ
        self._start_response = start_response
        self.complete = False
        self.route: Route | None = None
        self.status = 0
        self.suspect: BaseException | None = None  # handled, hence an issue only if we see a 5xx
        self.start = perf_counter()
        middleware.active[id(self)] = self.start

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Write:
        """Note status and route, then pass on; may come twice if the first was not sent yet."""
        with _GUARD:
            self.status = int(status[:3])
            self.find_route()
            suspect, self.suspect = self.suspect, None
            if suspect is not None and self.status >= FAILED:
                self.capture(suspect)
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def find_route(self) -> None:
        """Ask for the route while the framework still knows it."""
        self.route = self._middleware.find_route(self._environ) or self.route

    def finished(self) -> None:
        """Record the end of the response, once."""
        if self.complete:
            return
        self._end()
        self._middleware.outcomes.finished(
            self._known_route(), self._method(), self.status or FAILED, self._seconds()
        )

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised: before, in the midst of or after its response."""
        outcomes, route = self._middleware.outcomes, self._known_route()
        method, status = self._method(), self.status or FAILED
        if self.complete:
            if status < FAILED:
                outcomes.unhandled(route, method)
        else:
            self._end()
            if isinstance(exc, GeneratorExit):
                outcomes.disconnected(route, method)
                return
            outcomes.broken(route, method, status, self._seconds())
        self.capture(exc)

    def capture(self, exc: BaseException) -> None:
        """Record an exception as an issue of this request."""
        self._middleware.outcomes.capture(
            exc,
            self._known_route(),
            method=self._method(),
            status=self.status or FAILED,
            request_id=self._environ.get("HTTP_X_REQUEST_ID", ""),
        )

    def _end(self) -> None:
        self.complete = True
        self._middleware.active.pop(id(self), None)

    def _known_route(self) -> Route:
        return self.route or self._middleware.outcomes.unmatched

    def _method(self) -> str:
        return str(self._environ.get("REQUEST_METHOD", ""))

    def _seconds(self) -> float:
        return perf_counter() - self.start


class _Body:
    """A response's body on its way out: finished at its end, its close or its failure."""

    __slots__ = ("_exchange", "_next", "_result")

    def __init__(self, result: Iterable[bytes], exchange: Exchange) -> None:
        self._exchange = exchange
        self._result = result
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._next is None:
                self._next = iter(self._result).__next__
            return self._next()
        except StopIteration:
            if not self._exchange.complete:
                with _GUARD:
                    self._exchange.finished()
            raise
        except BaseException as exc:
            with _GUARD:
                self._exchange.failed(exc)
            raise

    def close(self) -> None:
        """Close the application's body."""
        close = getattr(self._result, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as exc:
            with _GUARD:
                self._exchange.failed(exc)
            raise
        if not self._exchange.complete:
            with _GUARD:
                self._exchange.finished()

    def __del__(self) -> None:
        # Neither exhausted nor closed, as test clients like to do: it ends when it is dropped.
        if not self._exchange.complete:
            with _GUARD:
                self._exchange.finished()


class _SizedBody(_Body):
    """A body whose number of blocks is known, from which a server may tell Content-Length."""

    __slots__ = ("_size",)

    def __init__(self, result: Iterable[bytes], exchange: Exchange) -> None:
        super().__init__(result, exchange)
        self._size: Callable[[], int] = result.__len__  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return self._size()


def _watched(result: Iterable[bytes], exchange: Exchange, file_wrapper: object) -> Iterable[bytes]:
    """Return the body so that its end is seen; what is complete already goes on as it is."""
    kind = type(result)
    if kind is list or kind is tuple or kind is file_wrapper:
        # The response is made; sending it, with sendfile for a file, is the server's business.
        with _GUARD:
            exchange.finished()
        return result
    if hasattr(result, "__len__"):
        return _SizedBody(result, exchange)
    return _Body(result, exchange)


def _no_route(environ: Environ) -> Route | None:
    return None
