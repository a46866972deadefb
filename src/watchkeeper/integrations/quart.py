"""The skin for Quart: where the route is, and where exceptions vanish before ASGI sees them."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.asgi_middleware import AsgiMiddleware, Scope
from watchkeeper.integrations.late import too_late
from watchkeeper.integrations.outcomes import FAILED, Route
from watchkeeper.integrations.rules import Rules
from watchkeeper.integrations.suspects import acquit, settle, suspect
from watchkeeper.integrations.taken import taken, werkzeug_rule
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import RequestContext

Handler = Callable[..., Awaitable[Any]]

ANSWERED: Final = 200  # by the time a background task fails its request is over, and was fine

_GUARD: Final = guard("request")
_RULE: Final = "watchkeeper.rule"  # the key under which an ASGI scope holds its request's rule
_scope: Final[ContextVar[Scope | None]] = ContextVar("watchkeeper_quart_scope", default=None)
"""Of the current request, also in a background task that it began."""


def install(app: Any, watchkeeper: Watchkeeper) -> None:
    """Wrap a Quart application in place.

    Raises ConfigurationError if the application has started already.
    """
    if getattr(app, "shutdown_event", None) is not None:  # made at its start
        raise too_late()
    routes = _Routes(app)
    routes.middleware = AsgiMiddleware(app.asgi_app, watchkeeper, find_route=routes.of)
    routes.middleware.own.is_taken = taken(partial(werkzeug_rule, app.url_map))
    app.asgi_app = routes.middleware
    watcher = _Watcher(routes, watchkeeper)
    for name in (
        "full_dispatch_request",
        "full_dispatch_websocket",
        "handle_user_exception",
        "handle_exception",
        "handle_websocket_exception",
        "handle_background_exception",
    ):
        setattr(app, name, _before(getattr(app, name), getattr(watcher, name)))


def _before(handle: Handler, see: Callable[..., None]) -> Handler:
    """Let `see` look at the last argument of each call; Quart 0.23 puts its context first."""

    def seen(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        with _GUARD:
            see(*args[-1:])
        return handle(*args, **kwargs)

    return seen


class _Routes:
    """The routes of one application, by what its requests remember."""

    middleware: AsgiMiddleware

    def __init__(self, app: Any) -> None:
        """Start with none."""
        self._rules = Rules(lambda: app)

    def of(self, scope: Scope, status: int) -> Route | None:
        """Return the route that Quart dispatched a request to, without the mount point."""
        settle(self.middleware, scope, status)
        return self._rules.route(scope.get(_RULE))


class _Watcher:
    """Sees what the methods of the same names of an application are called with."""

    def __init__(self, routes: _Routes, watchkeeper: Watchkeeper) -> None:
        self._routes = routes
        self._middleware = routes.middleware
        self._watchkeeper = watchkeeper

    def full_dispatch_request(self, context: Any = None) -> None:
        """Remember the rule: the response is sent when the context is gone already."""
        _remember(getattr(context, "request", None))
        _scope.set(None if context is None else context.request.scope)

    def full_dispatch_websocket(self, context: Any = None) -> None:
        """Remember the rule, as of a request."""
        _remember(getattr(context, "websocket", None))
        _scope.set(None)

    def handle_user_exception(self, error: BaseException) -> None:
        """Remember an exception that a handler may turn into a response."""
        scope = _scope.get()
        if scope is not None:
            suspect(scope, error)

    def handle_exception(self, error: BaseException) -> None:
        """Record an exception that Quart answers with its 500, or raises again when testing."""
        scope = _scope.get()
        if scope is not None:
            acquit(scope)
            self._middleware.capture(error, scope, status=FAILED)

    def handle_websocket_exception(self, error: BaseException) -> None:
        """Record an exception that ends a websocket."""
        from quart import websocket

        rule: Any = websocket.scope.get(_RULE)
        route = "" if rule is None else rule.rule
        self._watchkeeper.issues.capture(error, request=RequestContext(route=route))

    def handle_background_exception(self, error: BaseException) -> None:
        """Record an exception of a background task, which Quart only logs."""
        scope = _scope.get()
        if scope is None:
            self._watchkeeper.issues.capture(error)
            return
        outcomes = self._middleware.outcomes
        route = self._routes.of(scope, ANSWERED) or outcomes.unmatched
        if not outcomes.is_expected(error, route):
            outcomes.unhandled(route, scope["method"])
        self._middleware.capture(error, scope, status=ANSWERED)


def _remember(request: Any) -> None:
    rule = getattr(request, "url_rule", None)
    if rule is not None:
        request.scope[_RULE] = rule
