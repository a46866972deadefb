"""The routes of an application of Flask's kind, by Werkzeug's rules."""

from collections.abc import Callable
from typing import Any

from watchkeeper.integrations.outcomes import Route


class Rules:
    """The routes of one application, each made when its rule is first met."""

    def __init__(self, find_app: Callable[[], Any]) -> None:
        """Start with none; the application's rules bound how many there will be.

        `find_app` returns the application, or None when it is gone.
        """
        self._find_app = find_app
        self._routes: dict[tuple[str, str], Route] = {}

    def route(self, rule: Any) -> Route | None:
        """Return the route of a rule, without the mount point; None without a rule."""
        if rule is None:
            return None
        key = rule.rule, rule.endpoint  # each method of a path may have a view of its own
        route = self._routes.get(key)
        if route is None:
            app = self._find_app()  # None: it went before the last of its responses
            endpoint = app and app.view_functions.get(rule.endpoint)
            is_static = rule.endpoint.rpartition(".")[2] == "static"
            route = Route(rule.rule, endpoint=endpoint, is_quiet=is_static)
            self._routes[key] = route
        return route
