"""The hooks in Django: around its handlers, and where its exceptions vanish.

A middleware of Django's sees a response object, not the bytes that go out, and no request that
another middleware answers before it. So requests are measured around `WSGIHandler.__call__` and
`ASGIHandler.__call__`, by the wrappers that any application gets: streams, files, clients that
leave, `close()`, all middleware, static files and Watchkeeper's own pages are within. What only
Django knows is added from inside: `Middleware` shows the request, whose `resolver_match` is the
route; the signal `got_request_exception` and the exception middleware show exceptions that Django
answers itself.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.asgi_middleware import AsgiMiddleware
from watchkeeper.integrations.django.routes import Routes, resolved
from watchkeeper.integrations.django.seen import Seen, seen
from watchkeeper.integrations.outcomes import FAILED, Route
from watchkeeper.integrations.taken import taken
from watchkeeper.integrations.wsgi_middleware import Exchange, WsgiMiddleware
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import current

MAX_CAUSES: Final = 20  # exceptions behind an exception that are looked through

_GUARD: Final = guard("request")
_SIGNAL: Final = "watchkeeper"  # under which our receiver of Django's signal is known


class Hooks:
    """The hooks of one Watchkeeper in this process' Django."""

    _middleware: AsgiMiddleware

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        """Prepare; `install` puts them in their places."""
        self.watchkeeper = watchkeeper
        self._routes = Routes()
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Hook Django's handlers; those that exist already are hooked too."""
        from django.core.handlers.asgi import ASGIHandler  # type: ignore[import-untyped]
        from django.core.handlers.base import BaseHandler  # type: ignore[import-untyped]
        from django.core.handlers.wsgi import WSGIHandler  # type: ignore[import-untyped]
        from django.core.signals import got_request_exception  # type: ignore[import-untyped]

        self._replace(WSGIHandler, "__call__", self._wsgi)
        self._replace(ASGIHandler, "__call__", self._asgi)
        self._replace(BaseHandler, "process_exception_by_middleware", self._exceptions)
        # The signal would hold a plain function only weakly.
        got_request_exception.connect(self._unhandled, weak=False, dispatch_uid=_SIGNAL)
        self._undo.append(lambda: got_request_exception.disconnect(dispatch_uid=_SIGNAL))

    def uninstall(self) -> None:
        """Leave Django as it was, but for what others have put over our hooks since."""
        while self._undo:
            self._undo.pop()()

    def _replace(
        self, kind: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """Put what `make` makes of a method in its place."""
        original = getattr(kind, name)
        watched = make(original)
        setattr(kind, name, watched)

        def undo() -> None:
            if getattr(kind, name) is watched:
                setattr(kind, name, original)

        self._undo.append(undo)

    def _wsgi(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        """Make the call of a WSGI handler that is watched."""

        def app(environ: Any, start_response: Any) -> Any:
            try:
                return serve(_handler(), environ, start_response)
            finally:
                with _GUARD:
                    self._tell(current.get())

        middleware = WsgiMiddleware(app, self.watchkeeper, find_route=lambda _: self._route())
        middleware.own.is_taken = taken(resolved)

        @functools.wraps(serve)
        def watched(handler: Any, environ: Any, start_response: Any) -> Any:
            token = seen.set(Seen(handler))
            try:
                return middleware(environ, start_response)
            finally:
                seen.reset(token)

        return watched

    def _asgi(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        """Make the call of an ASGI handler that is watched; servers look for a coroutine."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await serve(_handler(), scope, receive, send)

        self._middleware = middleware = AsgiMiddleware(
            app, self.watchkeeper, find_route=self._settled_route
        )
        middleware.own.is_taken = taken(resolved)

        @functools.wraps(serve)
        async def watched(handler: Any, scope: Any, receive: Any, send: Any) -> None:
            seen.set(Seen(handler))  # in the context of this request's task, and gone with it
            await middleware(scope, receive, send)

        return watched

    def _exceptions(self, process: Callable[..., Any]) -> Callable[..., Any]:
        """Make the exception middleware that is watched: it may turn one into a response."""

        @functools.wraps(process)
        def watched(handler: Any, exception: BaseException, request: Any) -> Any:
            with _GUARD:
                self._suspect(exception, request)
            return process(handler, exception, request)

        return watched

    def _unhandled(self, sender: Any, request: Any = None, **more: Any) -> None:
        """Record an exception that Django answers with its 500."""
        with _GUARD:
            here, exc = seen.get(), sys.exception()
            if here is None or exc is None:
                return
            here.request, here.suspect = request, None
            if here.captured is None or not _follows(exc, here.captured):
                here.captured = exc
                self._capture(exc, request)

    def _suspect(self, exc: BaseException, request: Any) -> None:
        """Remember an exception that may get an answer."""
        here, exchange = seen.get(), current.get()
        if here is None:
            return
        here.request = request
        if isinstance(exchange, Exchange):
            self._tell(exchange)
            exchange.suspect = exc
        else:
            here.suspect = exc

    def _capture(self, exc: BaseException, request: Any) -> None:
        """Make an issue of an exception of the current request."""
        exchange = current.get()
        if isinstance(exchange, Exchange):
            self._tell(exchange)
            exchange.suspect = None
            exchange.capture(exc)
        else:
            self._middleware.capture(exc, request.scope, status=FAILED)

    def _tell(self, exchange: object) -> None:
        """Tell the route to an exchange, be it that of a wrapper around all of Django."""
        if isinstance(exchange, Exchange) and exchange.route is None:
            exchange.route = self._route()

    def _settled_route(self, scope: Any, status: int) -> Route | None:
        """Return the route of a request, whose suspect is now one or none."""
        here = seen.get()
        if here is not None and here.suspect is not None and status:
            suspect, here.suspect = here.suspect, None
            if status >= FAILED:
                self._middleware.capture(suspect, scope, status=status)
        return self._route()

    def _route(self) -> Route | None:
        """Return the route of the current request, as far as Django has come with it."""
        here = seen.get()
        return None if here is None or here.request is None else self._routes.of(here.request)


def _handler() -> Any:
    here = seen.get()
    return None if here is None else here.handler  # it is set around every call


def _follows(exc: BaseException | None, known: BaseException) -> bool:
    """Tell whether an exception is a known one, or was raised while that one was handled.

    A page for errors that fails itself does so once in each middleware, and in the end reaches
    the server: there it counts, once.
    """
    for _ in range(MAX_CAUSES):
        if exc is None or exc is known:
            break
        exc = exc.__context__
    return exc is known
