"""Whether a host has a route of its own at a path: one of that name, not one that takes all."""

from collections.abc import Callable, Hashable
from typing import Any, Final

NONSENSE: Final = "/watchkeeper-looks-whether-any-path-is-taken"
MAX_MOUNTS: Final = 10  # within each other


def taken(find: Callable[[str], Hashable]) -> Callable[[str], bool]:
    """Return what tells so; `find` names what a path leads to, None if to nothing.

    What serves any other path as well, such as the page of an application in the browser, is no
    route of that name. One with a slash at its end is: frameworks lead there.
    """

    def is_taken(path: str) -> bool:
        for end in ("", "/"):
            found = find(path + end)
            if found is not None and found != find(NONSENSE + end):
                return True
        return False

    return is_taken


def starlette_route(routes: Any, path: str) -> Hashable:
    """Name the routes of Starlette's, or FastAPI's, that a path leads to with any method."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "headers": [],
        "query_string": b"",
        "path_params": {},
    }
    found: list[int] = []
    for _ in range(MAX_MOUNTS):
        matching = [(route, *route.matches(scope)) for route in routes]
        matching = [one for one in matching if one[1].value > 0]  # Match.NONE
        if not matching:
            break
        found += [id(route) for route, _, _ in matching]
        # The first that takes the method too serves it, else the first.
        route, _, child = max(matching, key=lambda one: one[1].value)
        routes = getattr(route, "routes", None)
        if not routes:
            break
        scope = {**scope, **child}
    return tuple(found) or None


def werkzeug_rule(rules: Any, path: str) -> Hashable:
    """Name the endpoint that a map of Flask's or Quart's has for a path, and its methods."""
    from werkzeug.exceptions import HTTPException, MethodNotAllowed

    adapter = rules.bind("localhost")
    methods = tuple(sorted(adapter.allowed_methods(path)))
    try:
        endpoint, _ = adapter.match(path, method="GET")
    except MethodNotAllowed:
        return methods
    except HTTPException:  # not found, or elsewhere
        return None
    return str(endpoint), methods
