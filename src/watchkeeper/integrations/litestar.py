"""The skin for Litestar: where the route is, and where exceptions vanish before ASGI sees them."""

from inspect import ismethod
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.asgi_middleware import (
    AsgiMiddleware,
    Receive,
    Scope,
    Send,
)
from watchkeeper.integrations.late import too_late
from watchkeeper.integrations.litestar_routes import UNWATCHED, Routes
from watchkeeper.integrations.outcomes import Exchange, Outcomes, Route
from watchkeeper.integrations.suspects import suspect
from watchkeeper.integrations.templates import MAX_DEPTH
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import RequestContext

_GUARD: Final = guard("request")
_STARTED: Final = "Exception caught after response started"  # what another one is put into
_LEFT: Final = "client disconnected prematurely"  # Litestar's words for nobody's error


def install(app: Any, watchkeeper: Watchkeeper) -> None:
    """Wrap a Litestar application outside of its own error handling and hooks.

    The application gets a class of its own, since Litestar's have no room for attributes.
    Raises ConfigurationError if the application has served something already.
    """
    if _has_started(app):
        raise too_late()
    watcher = _Watcher(watchkeeper)
    watcher.routes = routes = Routes(app, join=watcher.join)
    routes.middleware = AsgiMiddleware(app.__call__, watchkeeper, find_route=routes.of)
    routes.middleware.outcomes = _Outcomes(watchkeeper)
    routes.middleware.own.is_taken = lambda path: path in app.route_handler_method_map
    app.__class__ = _watched(type(app), routes.middleware)


def _watched(kind: type, serve: AsgiMiddleware) -> type:
    """Make a class for one application, that differs from its own in how it is called."""

    # Litestar reads the annotations where the application is mounted in another one.
    async def call(self: object, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(scope, receive, send)

    own = {"__slots__": (), "__call__": call, UNWATCHED: staticmethod(serve.app)}
    same = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    return type(kind.__name__, (kind,), own | same)


def _has_started(app: Any) -> bool:
    """Tell whether an application has begun its lifespan or found a route."""
    if getattr(app.event_emitter, "_exit_stack", None) is not None:
        return True
    find = app.asgi_router.handle_routing
    # Before Litestar 2.25 one cache served all applications, and tells nothing of this one.
    return not ismethod(find) and hasattr(find, "cache_info") and find.cache_info().currsize > 0


class _Outcomes(Outcomes):
    """Outcomes of requests, with the application's exceptions as they were."""

    def is_expected(self, exc: BaseException, route: Route) -> bool:
        """Tell whether the settings expect the exception behind this one."""
        return super().is_expected(_cause(exc), route)

    def capture(
        self, exc: BaseException, exchange: Exchange, route: Route, *, method: str, status: int
    ) -> None:
        """Record the exception behind this one as an issue."""
        cause = _cause(exc)
        super().capture(cause, exchange, route, method=method, status=status)
        if cause is not exc:
            self._watchkeeper.issues.pass_over(exc)  # the server will log it


def _cause(exc: BaseException) -> BaseException:
    """Return what was raised: Litestar puts it into another one once the response has begun."""
    for _ in range(MAX_DEPTH):
        if getattr(exc, "detail", None) == _STARTED and exc.__cause__ is not None:
            exc = exc.__cause__
        elif isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:  # of a stream
            exc = exc.exceptions[0]
        else:
            break
    return exc


class _Watcher:
    """Sees what an application's exception handlers are about to answer."""

    routes: Routes

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        self._watchkeeper = watchkeeper

    def join(self, app: Any) -> None:
        """Be one of the `after_exception` hooks of an application, once and first."""
        if self.told not in app.after_exception:
            app.after_exception.insert(0, self.told)

    async def told(self, exc: Exception, scope: Scope) -> None:
        """Remember an exception until its answer's status is known."""
        with _GUARD:
            if scope["type"] == "http":
                if getattr(exc, "detail", None) != _LEFT:
                    suspect(scope, exc)
            else:
                route = self.routes.of(scope, 0)
                request = RequestContext(route=route.template if route else "")
                self._watchkeeper.issues.capture(exc, request=request)
