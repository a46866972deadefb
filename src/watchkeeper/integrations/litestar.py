"""The skin for Litestar: where the route is, and where exceptions vanish before ASGI sees them."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
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
from watchkeeper.integrations.outcomes import Route
from watchkeeper.integrations.suspects import settle, suspect
from watchkeeper.integrations.templates import MAX_ENDPOINTS, Templates, routes_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import RequestContext

Find = Callable[[Scope, int], Route | None]

_GUARD: Final = guard("request")
_LEFT: Final = (
    "client disconnected prematurely"  # Litestar's words for what is no error of anybody
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where within mounted applications a request is, and who knows its route there."""

    scope: Scope
    prefix: str
    find: Find

    def holds(self, scope: Scope) -> bool:
        """Tell whether this is the same request: a copied scope shares the headers."""
        return self.scope.get("headers") is scope.get("headers")


_place: Final[ContextVar[_Place | None]] = ContextVar("watchkeeper_litestar_place", default=None)


def install(app: Any, watchkeeper: Watchkeeper) -> None:
    """Wrap a Litestar application outside of its own error handling and hooks.

    The application gets a class of its own, since Litestar's have no room for attributes.
    Raises ConfigurationError if the application has served something already.
    """
    if _has_started(app):
        raise too_late()
    watcher = _Watcher(watchkeeper)
    routes = _AllRoutes(app, watcher)
    routes.middleware = AsgiMiddleware(app.__call__, watchkeeper, find_route=routes.of)
    kind = type(app)
    app.__class__ = type(
        kind.__name__,
        (kind,),
        {
            "__slots__": (),
            "__call__": routes.middleware.__call__,
            "__doc__": kind.__doc__,
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
        },
    )


def _has_started(app: Any) -> bool:
    """Tell whether an application has begun its lifespan or found a route."""
    if getattr(app.event_emitter, "_exit_stack", None) is not None:
        return True
    find = app.asgi_router.handle_routing
    # Before Litestar 2.25 one cache served all applications, and tells nothing of this one.
    return not ismethod(find) and hasattr(find, "cache_info") and find.cache_info().currsize > 0


class _Watcher:
    """Sees what an application's exception handlers are about to answer."""

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
                request = RequestContext(route=_template(scope))
                self._watchkeeper.issues.capture(exc, request=request)


class _AllRoutes:
    """The routes of a watched application with those of what is mounted in it."""

    middleware: AsgiMiddleware

    def __init__(self, app: Any, watcher: _Watcher) -> None:
        self._routes = _Routes(app, watcher)
        self._joined: dict[tuple[str, Route], Route] = {}

    def of(self, scope: Scope, status: int) -> Route | None:
        """Return the route that Litestar dispatched a request to."""
        settle(self.middleware, scope, status)
        place = _place.get()
        if place is None or not place.holds(scope):
            return self._routes.of(scope, status)
        settle(self.middleware, place.scope, status)
        route = place.find(place.scope, status)
        return None if route is None else self._join(place.prefix, route)

    def _join(self, prefix: str, route: Route) -> Route:
        """Return a mounted application's route with where it is mounted."""
        joined = self._joined.get((prefix, route))
        if joined is None:
            if len(self._joined) >= MAX_ENDPOINTS:
                self._joined.clear()
            template = prefix + route.template
            joined = Route(template, endpoint=route.endpoint, methods=route.methods)
            self._joined[prefix, route] = joined
        return joined


class _Routes:
    """The routes of one application, by handler: a handler may have several paths."""

    def __init__(self, app: Any, watcher: _Watcher) -> None:
        self._app = app
        self._watcher = watcher
        self._known: dict[object, list[tuple[str, Route]]] = {}  # path without types, and route
        self._learned = 0
        with _GUARD:
            watcher.join(app)
            self._learn()

    def of(self, scope: Scope, status: int) -> Route | None:
        """Return the route of a request to this application, mounted ones aside."""
        handler = scope.get("route_handler")
        if handler is None:
            return None
        places = self._known.get(handler)
        if places is None:
            if self._learned != len(self._app.routes):
                self._learn()
            places = self._known.get(handler, [])
        if len(places) > 1:
            return _among(places, scope)
        return places[0][1] if places else None

    def _learn(self) -> None:
        """Go through the routes; an application may register more of them at any time."""
        self._learned = len(self._app.routes)
        self._known = {}
        for path, handler in _handlers(self._app):
            route = Route(path.path, endpoint=_function(handler))
            self._known.setdefault(handler, []).append((path.path_format, route))
            if getattr(handler, "is_mount", False):
                self._follow(handler, path.path)

    def _follow(self, handler: Any, prefix: str) -> None:
        """Get word of where requests come out in a mounted application that has routes."""
        mounted = handler.fn
        if isinstance(mounted, _Mounted):
            return
        if hasattr(mounted, "asgi_router"):
            find: Find = _Routes(mounted, self._watcher).of
        elif routes_of(mounted):
            find = _found_by_templates()
        else:
            return
        handler._fn = _Mounted(mounted, prefix.rstrip("/"), find)


class _Mounted:
    """A mounted application, that leaves word of the scope that its routes will be found in."""

    def __init__(self, app: Any, prefix: str, find: Find) -> None:
        self._app = app
        self._prefix = prefix
        self._find = find
        self.__name__ = self.__qualname__ = type(app).__name__
        self.__module__ = type(app).__module__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        above = _place.get()
        prefix = self._prefix
        if above is not None and above.holds(scope):
            prefix = above.prefix + prefix
        _place.set(_Place(scope, prefix, self._find))
        await self._app(scope, receive, send)


def _found_by_templates() -> Find:
    unmatched = Route("")
    templates = Templates(unmatched)

    def find(scope: Scope, status: int) -> Route | None:
        route = templates.route(scope, status)
        return None if route is unmatched else route

    return find


def _handlers(app: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each route of an application with each of its handlers."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", None) or (route.route_handler,):
            yield route, handler


def _among(places: list[tuple[str, Route]], scope: Scope) -> Route:
    """Choose between the paths of one handler."""
    template = scope.get("path_template")
    path = bytes(scope.get("raw_path") or b"").decode("latin-1")
    for path_format, route in places:
        if path_format == template:
            return route
    for path_format, route in places:  # mounts: Litestar does not tell which
        if path.startswith(path_format):
            return route
    return places[0][1]


def _function(handler: Any) -> Callable[..., object]:
    """Return the function that a handler calls, also where that happens in a thread."""
    function: Callable[..., object] = getattr(handler.fn, "func", handler.fn)
    return function


def _template(scope: Scope) -> str:
    return str(scope.get("path_template", ""))
