"""The skin for Starlette, and FastAPI, which is one: where to wrap, where exceptions vanish."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

from watchkeeper.app import Watchkeeper
from watchkeeper.integrations.asgi_middleware import AsgiMiddleware
from watchkeeper.integrations.late import too_late
from watchkeeper.integrations.outcomes import FAILED
from watchkeeper.integrations.taken import starlette_route, taken
from watchkeeper.integrations.templates import MAX_DEPTH
from watchkeeper.runtime.guard import guard

Handler = Callable[[Any, Exception], Any]

_GUARD: Final = guard("request")
_WRAPPED: Final = "_watchkeeper_wrapped"


def install(app: Any, watchkeeper: Watchkeeper) -> None:
    """Wrap a Starlette or FastAPI application outside of its own error middleware.

    Raises ConfigurationError if the application has served something already.
    """
    if app.middleware_stack is not None:
        raise too_late()
    build = app.build_middleware_stack

    def build_watched() -> AsgiMiddleware:
        middleware = AsgiMiddleware(_unwatched, watchkeeper)
        middleware.own.is_taken = taken(partial(starlette_route, app.router.routes))
        middleware.wrap(_with_seen_handlers(app, build, middleware))
        with _GUARD:
            _see_handlers_below(app, middleware)
        return middleware

    app.build_middleware_stack = build_watched


def _with_seen_handlers(app: Any, build: Callable[[], Any], middleware: AsgiMiddleware) -> Any:
    """Build the application's stack with its exception handlers wrapped."""
    registered = app.exception_handlers
    app.exception_handlers = {
        # What these two handle is raised again afterwards, and so seen by the wrapper anyway.
        key: handler if key in (500, Exception) else _seen(handler, middleware)
        for key, handler in registered.items()
    }
    try:
        stack = build()
    finally:
        app.exception_handlers = registered
    with _GUARD:
        _see_default_handlers(stack, middleware)
    return stack


def _see_default_handlers(stack: Any, middleware: AsgiMiddleware) -> None:
    """Wrap the handlers that Starlette adds by itself, for HTTPException."""
    for _ in range(MAX_DEPTH):
        for name in ("_exception_handlers", "_status_handlers"):
            handlers = getattr(stack, name, None)
            if isinstance(handlers, dict):
                for key, handler in handlers.items():
                    handlers[key] = _seen(handler, middleware)
        stack = getattr(stack, "app", None)
        if stack is None:
            return


def _see_handlers_below(app: Any, middleware: AsgiMiddleware, depth: int = 0) -> None:
    """Wrap the handlers of mounted applications, built already or not."""
    for route in app.routes if depth < MAX_DEPTH else ():
        mounted = _application(getattr(route, "app", None))
        if mounted is None:
            continue
        if mounted.middleware_stack is not None:
            _see_default_handlers(mounted.middleware_stack, middleware)
        elif not hasattr(mounted.build_middleware_stack, _WRAPPED):
            mounted.build_middleware_stack = _build_seen(mounted, middleware)
        _see_handlers_below(mounted, middleware, depth + 1)


def _build_seen(app: Any, middleware: AsgiMiddleware) -> Callable[[], Any]:
    build = app.build_middleware_stack

    def build_seen() -> Any:
        return _with_seen_handlers(app, build, middleware)

    setattr(build_seen, _WRAPPED, True)
    return build_seen


def _application(app: Any) -> Any:
    """Find the Starlette application behind the middleware of a mount, if there is one."""
    for _ in range(MAX_DEPTH):
        if app is None or hasattr(app, "build_middleware_stack"):
            return app
        app = getattr(app, "app", None)
    return None


def _seen(handler: Handler, middleware: AsgiMiddleware) -> Handler:
    """Wrap a handler so that an exception answered with a failure becomes an issue.

    A handler stays what it was, a coroutine function or a plain one that runs in a thread.
    """
    if hasattr(handler, _WRAPPED):
        return handler
    if _is_async(handler):
        answer = cast("Callable[[Any, Exception], Awaitable[Any]]", handler)

        async def seen_async(request: Any, exc: Exception) -> Any:
            response = await answer(request, exc)
            with _GUARD:
                _capture(exc, request, response, middleware)
            return response

        wrapped: Handler = seen_async
    else:

        def seen(request: Any, exc: Exception) -> Any:
            response = handler(request, exc)
            with _GUARD:
                _capture(exc, request, response, middleware)
            return response

        wrapped = seen
    setattr(wrapped, _WRAPPED, True)
    return wrapped


def _capture(exc: Exception, request: Any, response: Any, middleware: AsgiMiddleware) -> None:
    status = getattr(response, "status_code", 0)
    if status >= FAILED and request.scope["type"] == "http":
        middleware.capture(exc, request.scope, status=status)


def _is_async(handler: Any) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  # whether calling it gives a coroutine
    )


async def _unwatched(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the application until its stack is built."""
