"""The skin for Flask: where the route is, and where exceptions vanish before WSGI sees them."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import ref

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.late import too_late
from watchkeeper.integrations.rules import Rules
from watchkeeper.integrations.taken import taken, werkzeug_rule
from watchkeeper.integrations.wsgi_middleware import (
    Application,
    Environ,
    Exchange,
    StartResponse,
    WsgiMiddleware,
)
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import current

_GUARD: Final = guard("request")


def install(app: Any, watchkeeper: Watchkeeper) -> None:
    """Wrap a Flask application in place.

    Raises ConfigurationError if the application has served something already.
    """
    from flask import got_request_exception

    if getattr(app, "_got_first_request", False):
        raise too_late()
    app.wsgi_app = middleware = WsgiMiddleware(
        _served_weakly(app),
        watchkeeper,
        find_route=Rules(ref(app)).route,
        hint=("werkzeug.request", "url_rule"),
    )
    middleware.own.is_taken = taken(partial(werkzeug_rule, app.url_map))
    handle = _weakly(app.handle_user_exception)

    def handle_seen(*args: Any) -> Any:
        """Remember an exception that a handler may turn into a response."""
        with _GUARD:
            exchange = _exchange()
            if exchange is not None:
                exchange.suspect = args[-1]
        return handle(*args)

    app.handle_user_exception = handle_seen
    # The signal holds a plain function only weakly: it lives as long as the application.
    got_request_exception.connect(_unhandled, sender=app, weak=False)


def _served_weakly(app: Any) -> Application:
    """Return what serves an application's requests, without keeping the application alive.

    What an application holds may not hold it: Flask sees to it that one without references is
    freed at once, and so do we.
    """
    method: Any = app.wsgi_app
    find = ref(app)
    if getattr(method, "__self__", None) is not app:  # somebody wrapped it before us
        served: Application = method
        return served
    function = method.__func__

    # Not any arguments, as below, since this is called for every request.
    def serve(environ: Environ, start_response: StartResponse) -> Any:
        return function(find(), environ, start_response)

    return serve


def _weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls a method of an application, likewise."""
    app = getattr(method, "__self__", None)
    if app is None:
        return method
    function, find = method.__func__, ref(app)  # type: ignore[attr-defined]

    def call(*args: Any) -> Any:
        return function(find(), *args)

    return call


def _unhandled(sender: Any, exception: BaseException, **extra: Any) -> None:
    """Record an exception that Flask answers with its 500, or raises again when testing."""
    with _GUARD:
        exchange = _exchange()
        if exchange is not None:
            exchange.suspect = None
            exchange.find_route()
            exchange.capture(exception)


def _exchange() -> Exchange | None:
    """Return the exchange of the current request."""
    from flask import has_request_context, request

    exchange = current.get()
    if not isinstance(exchange, Exchange) or not has_request_context():
        return None
    return exchange if exchange.environ is request.environ else None
