"""Names that the user gives to requests, or takes from them: the setting `route_name`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from watchkeeper.core.metrics import UNMATCHED
from watchkeeper.integrations.outcomes import Route

MAX_NAMES: Final = 1_000  # remembered; the recorder counts the routes past its own cap as one
MAX_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as `route_name` gets it: `route` is the template found, "" if none matched."""

    method: str
    path: str
    route: str


class Naming:
    """Applies the callback to the routes of requests."""

    def __init__(self, callback: Callable[[Seen], str | None]) -> None:
        """Ask `callback` for each request."""
        self._callback = callback
        self._named: dict[tuple[str, int], Route] = {}
        self._excluded = Route("", is_recorded=False)

    def named(self, route: Route, *, method: str, path: str) -> Route:
        """Return the route under the user's name; may raise what the callback raises."""
        template = "" if route.template == UNMATCHED else route.template
        name = self._callback(Seen(method=method, path=path, route=template))
        if name is None:
            return route
        if not name:
            return self._excluded
        name = str(name)[:MAX_NAME_CHARS]
        key = name, id(route.endpoint)
        found = self._named.get(key)
        if found is None:
            found = Route(name, endpoint=route.endpoint, methods=route.methods)
            if len(self._named) < MAX_NAMES:
                self._named[key] = found
        return found
