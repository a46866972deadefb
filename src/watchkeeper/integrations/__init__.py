"""Watching applications: by framework with `watch`, any other callable with `asgi` or `wsgi`."""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.app import Watchkeeper, obtain
from watchkeeper.settings import Settings

if TYPE_CHECKING:
    from watchkeeper.integrations.asgi_middleware import Application as AsgiApplication
    from watchkeeper.integrations.wsgi_middleware import Application as WsgiApplication

SCRIPT_STOP_WITHIN_S: Final = 5.0  # a script may end before the database's packages are loaded

_WATCHED: Final = "_watchkeeper_watched_at"  # where watch() was called first, on the application
_PACKAGE: Final = __name__.split(".", maxsplit=1)[0]

_log = logging.getLogger("watchkeeper")


def watch(app: object = None, settings: Settings | None = None) -> Watchkeeper:
    """Watch a FastAPI, Starlette, Litestar, Quart or Flask application, changed in place.

    Without an application it watches a script or worker, beginning at once; what it recorded is
    written at its end at the latest. Returns the Watchkeeper of this process. A second call for
    the same application does nothing. Raises TypeError for anything else than such an
    application, and ConfigurationError if it has started already, if a setting is wrong, or if
    this process is watched with other settings.
    """
    if app is None:
        return _watch_script(settings)
    install = _installer(app)
    watchkeeper = obtain(settings)
    if not watchkeeper.enabled:
        return watchkeeper
    first = getattr(app, _WATCHED, "")
    if first:
        _log.warning(
            "watchkeeper: already installed on this app (%s); the second call (%s) is ignored.",
            first,
            _caller(),
        )
        return watchkeeper
    _instrument(watchkeeper)
    install(app, watchkeeper)
    # An application without room for attributes was given a class of its own by its skin.
    setattr(app if hasattr(app, "__dict__") else type(app), _WATCHED, _caller())
    return watchkeeper


def asgi(app: "AsgiApplication", settings: Settings | None = None) -> "AsgiApplication":
    """Return any ASGI application wrapped so that its requests are watched.

    Routes are known where a Starlette router is within. Raises ConfigurationError as `watch` does.
    """
    watchkeeper = obtain(settings)
    if not watchkeeper.enabled:
        return app
    from watchkeeper.integrations.asgi_middleware import AsgiMiddleware

    if _is_watched(app, AsgiMiddleware):
        return app
    _instrument(watchkeeper)
    return AsgiMiddleware(app, watchkeeper)


def wsgi(app: "WsgiApplication", settings: Settings | None = None) -> "WsgiApplication":
    """Return any WSGI application wrapped so that its requests are watched.

    All of them count as one route, "(unmatched)". Raises ConfigurationError as `watch` does.
    """
    watchkeeper = obtain(settings)
    if not watchkeeper.enabled:
        return app
    from watchkeeper.integrations.wsgi_middleware import WsgiMiddleware

    if _is_watched(app, WsgiMiddleware):
        return app
    _instrument(watchkeeper)
    return WsgiMiddleware(app, watchkeeper)


def _watch_script(settings: Settings | None) -> Watchkeeper:
    watchkeeper = obtain(settings)
    if watchkeeper.enabled:
        _instrument(watchkeeper)
        # Loaded here, not by the thread: a worker may fork at once, and a fork in the midst of an
        # import leaves half a module to the child. What comes later passes this gate.
        from watchkeeper.storage import fork_gate as fork_gate

        watchkeeper.stop_within_s = SCRIPT_STOP_WITHIN_S
        watchkeeper.quiet = True
        watchkeeper.start()
    return watchkeeper


def _instrument(watchkeeper: Watchkeeper) -> None:
    """Switch on the instruments of the libraries in use, and prepare the hooks of the process."""
    from watchkeeper.integrations.hooks import hook
    from watchkeeper.integrations.instruments import instrument

    instrument(watchkeeper)
    hook(watchkeeper)


def _installer(app: object) -> Callable[[Any, Watchkeeper], None]:
    """Find the skin of an application by its class, without importing any framework."""
    if isinstance(app, Settings):
        raise TypeError(
            "watchkeeper.watch() takes the application first; "
            "for a script or worker write watchkeeper.watch(settings=Settings(…))"
        )
    for kind in type(app).__mro__:
        name = f"{kind.__module__.split('.', maxsplit=1)[0]}.{kind.__name__}"
        if name == "starlette.Starlette":
            from watchkeeper.integrations import starlette

            return starlette.install
        if name == "flask.Flask":
            from watchkeeper.integrations import flask

            return flask.install
        if name == "litestar.Litestar":
            from watchkeeper.integrations import litestar

            return litestar.install
        if name == "quart.Quart":
            from watchkeeper.integrations import quart

            return quart.install
    raise TypeError(
        "watchkeeper.watch() knows FastAPI, Starlette, Litestar, Quart and Flask, "
        f"not {type(app).__qualname__}; wrap any other application: "
        "app = watchkeeper.asgi(app), or watchkeeper.wsgi(app)"
    )


def _is_watched(app: object, wrapper: type) -> bool:
    watched = isinstance(app, wrapper) or hasattr(app, _WATCHED)
    if watched:
        _log.warning("watchkeeper: second wrapping at %s ignored", _caller())
    return watched


def _caller() -> str:
    """Name the place outside of this package from which we were called."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").split(".", maxsplit=1)[0] != _PACKAGE:
            break
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


__all__ = ["asgi", "watch", "wsgi"]
