"""The route templates of an ASGI router, found once per endpoint.

Works on what Starlette's routers, and FastAPI's, leave in the ASGI scope and on their routes;
imports neither.
"""

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from re import Pattern
from typing import Any, Final

from watchkeeper.integrations.outcomes import Answer, Route

MAX_DEPTH: Final = 20  # of mounts within mounts, and of middleware around a mounted application
MAX_ENDPOINTS: Final = 10_000  # remembered; an application that makes more of them starts over
MISMATCH: Final = 405  # the status of a route that matched but for its method

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One place at which an endpoint can be reached."""

    route: Route
    mounts: tuple[Pattern[str], ...]
    pattern: Pattern[str] | None

    def matches(self, path: str, method: str) -> bool:
        """Tell whether a request for `path` comes out at this place."""
        for mount in self.mounts:
            found = mount.match(path)
            if found is None:
                return False
            path = "/" + found.group("path")
        fits = self.pattern is None or self.pattern.match(path) is not None
        return fits and (not self.route.methods or method in self.route.methods)


class Templates:
    """Tells the route of a request that a router has dispatched."""

    def __init__(self, unmatched: Route) -> None:
        """Use `unmatched` for requests that no route took."""
        self._unmatched = unmatched
        self._single: dict[int, Route] = {}
        self._several: dict[int, list[_Candidate]] = {}
        self._kept: dict[int, object] = {}  # endpoints, so that no id comes to mean another one
        # By an endpoint's id, hence kept here, to be forgotten together with the endpoint.
        self.answers: dict[int, Answer] = {}

    def is_single(self, scope: Scope) -> bool:
        """Tell whether a request's endpoint always means the same route."""
        endpoint = scope.get("endpoint")
        return endpoint is None or id(endpoint) in self._single

    def route(self, scope: Scope, status: int) -> Route:
        """Return the route of a request, from its scope after dispatching."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return self._unmatched
        route = self._single.get(id(endpoint))
        if route is None:
            route = self._find(endpoint, scope)
        if status == MISMATCH and route.methods and scope["method"] not in route.methods:
            return self._unmatched
        return route

    def _find(self, endpoint: object, scope: Scope) -> Route:
        """Learn the router's endpoints if this one is new, then choose among its places."""
        key = id(endpoint)
        if key not in self._kept:
            self._learn(scope)
            self._kept[key] = endpoint
        route = self._single.get(key)
        if route is not None:
            return route
        path, root = scope["path"], scope.get("app_root_path", scope.get("root_path", ""))
        if root and path.startswith(root):
            path = path[len(root) :]
        for candidate in self._several.get(key, ()):
            if candidate.matches(path, scope["method"]):
                return candidate.route
        return self._unmatched

    def _learn(self, scope: Scope) -> None:
        if len(self._kept) > MAX_ENDPOINTS:
            self._kept.clear()
            self._single.clear()
            self._several.clear()
            self.answers.clear()
        places: dict[int, list[_Candidate]] = {}
        for endpoint, candidate in _places(getattr(scope.get("router"), "routes", ()), "", ()):
            self._kept[id(endpoint)] = endpoint
            places.setdefault(id(endpoint), []).append(candidate)
        for key, found in places.items():
            if len(found) == 1:
                self._single.setdefault(key, found[0].route)
            else:
                if self._single.pop(key, None) is not None:
                    self.answers.clear()
                self._several[key] = found


def _places(
    routes: Iterable[Any], prefix: str, mounts: tuple[Pattern[str], ...]
) -> Iterator[tuple[object, _Candidate]]:
    """Walk routes, included routers and mounts; yield each endpoint with its place."""
    if len(mounts) > MAX_DEPTH:
        return
    for route in _flat(routes):
        endpoint = getattr(route, "endpoint", None)
        template = prefix + getattr(route, "path_format", "")
        if endpoint is not None:
            methods = frozenset(getattr(route, "methods", None) or ())
            yield (
                endpoint,
                _Candidate(
                    route=Route(template, endpoint=endpoint, methods=methods),
                    mounts=mounts,
                    pattern=getattr(route, "path_regex", None),
                ),
            )
            continue
        inner = routes_of(getattr(route, "app", None))
        pattern = getattr(route, "path_regex", None)
        if inner:
            below = (*mounts, pattern) if pattern is not None else mounts
            yield from _places(inner, template.removesuffix("/{path}"), below)
        elif hasattr(route, "app"):
            is_static = type(route.app).__name__ == "StaticFiles"
            mounted = Route(template, is_quiet=is_static)
            place = _Candidate(route=mounted, mounts=mounts, pattern=pattern)
            yield route.app, place


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield routes with those of included routers in their place, prefixed as they are there."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from _flat(route.effective_candidates())
        else:
            yield getattr(route, "starlette_route", None) or route


def routes_of(app: object) -> list[Any]:
    """Return the routes of an application, looking through the middleware around it."""
    for _ in range(MAX_DEPTH):
        routes = getattr(app, "routes", None)
        if routes is not None:
            return list(routes)
        app = getattr(app, "app", None)
    return []
