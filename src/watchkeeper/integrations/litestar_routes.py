"""The routes of a Litestar application, with those of the applications that are mounted in it."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.integrations.asgi_middleware import AsgiMiddleware, Receive, Scope, Send
from watchkeeper.integrations.outcomes import Route
from watchkeeper.integrations.suspects import settle
from watchkeeper.integrations.templates import MAX_ENDPOINTS, Templates, routes_of
from watchkeeper.runtime.guard import guard

Find = Callable[[Scope, int], Route | None]
_Places = list[tuple[str, Route]]  # the paths of one handler, without types, and their routes

UNWATCHED: Final = "_watchkeeper_unwatched"  # on a watched application: how to call it as it was

_GUARD: Final = guard("request")


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


class Routes:
    """The routes of a watched application with those of what is mounted in it."""

    middleware: AsgiMiddleware

    def __init__(self, app: Any, *, join: Callable[[Any], None]) -> None:
        """Learn the routes; `join` is called with each Litestar application that is met."""
        self._routes = _Level(app, join)
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
            joined = Route(
                template,
                endpoint=route.endpoint,
                methods=route.methods,
                is_quiet=route.is_quiet,
            )
            self._joined[prefix, route] = joined
        return joined


class _Level:
    """The routes of one application, by handler: a handler may have several paths."""

    def __init__(self, app: Any, join: Callable[[Any], None]) -> None:
        self._app = app
        self._join = join
        self._known: dict[object, _Places] = {}
        self._learned = 0
        with _GUARD:
            join(app)
            self._learn()

    def of(self, scope: Scope, status: int) -> Route | None:
        """Return the route of a request to this application, mounted ones aside."""
        handler = scope.get("route_handler")
        if handler is None:
            return None
        places = self._known.get(handler)
        if places is None and self._learned != len(self._app.routes):
            self._learn()
            places = self._known.get(handler)
        return None if places is None else _among(places, scope)

    def _learn(self) -> None:
        """Go through the routes; an application may register more of them at any time."""
        self._learned = len(self._app.routes)
        self._known = {}
        for path, handler in _handlers(self._app):
            endpoint = _function(handler)
            route = Route(path.path, endpoint=endpoint, is_quiet=_is_static(handler, endpoint))
            places = self._known.setdefault(handler, [])
            places.append((path.path_format, route))
            if getattr(handler, "is_mount", False):
                self._follow(handler, places)

    def _follow(self, handler: Any, places: _Places) -> None:
        """Get word of where requests come out in a mounted application that has routes."""
        mounted = handler.fn
        if isinstance(mounted, _Mounted):
            return
        if hasattr(mounted, "asgi_router"):
            find: Find = _Level(mounted, self._join).of
        elif routes_of(mounted):
            find = _found_by_templates()
        else:
            return
        handler._fn = _Mounted(mounted, places, find)


class _Mounted:
    """A mounted application, that leaves word of the scope that its routes will be found in."""

    def __init__(self, app: Any, places: _Places, find: Find) -> None:
        # Litestar copies the scope: a mounted application would count its requests once more.
        self._app = getattr(app, UNWATCHED, app)
        self._places = places
        self._find = find
        self.__name__ = self.__qualname__ = type(app).__name__
        self.__module__ = type(app).__module__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        above = _place.get()
        prefix = _among(self._places, scope).template.rstrip("/")
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


def _among(places: _Places, scope: Scope) -> Route:
    """Choose between the paths of one handler."""
    if len(places) == 1:
        return places[0][1]
    template = scope.get("path_template")
    path = bytes(scope.get("raw_path") or b"").decode("latin-1")
    for path_format, route in places:
        if path_format == template:
            return route
    for path_format, route in places:  # mounts: Litestar does not tell which
        if path.startswith(path_format):
            return route
    return places[0][1]


def _is_static(handler: Any, endpoint: object) -> bool:
    """Tell whether a handler serves static files, as a mount or as one of Litestar's router."""
    module = getattr(endpoint, "__module__", None) or ""
    return getattr(handler, "is_static", False) or module.startswith("litestar.static_files")


def _function(handler: Any) -> Callable[..., object]:
    """Return the function that a handler calls, also where that happens in a thread."""
    function: Callable[..., object] = getattr(handler.fn, "func", handler.fn)
    return function
