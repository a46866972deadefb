"""The id of the request that runs: in log lines, and sent back in a response header."""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import current

NOTHING: Final = "-"  # what a line says that was logged outside of requests

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

_GUARD: Final = guard("request id")


class _Thread(threading.local):
    naming: bool = False  # a callback that names routes may log, and so come back here


_thread = _Thread()


class RequestIdFilter(logging.Filter):
    """Gives every record a `request_id` and a `route`, for formats such as `%(request_id)s`.

    They are those of the request in which a line is logged, the same as its stored error, sample
    and response header have: as the client sent it, or made for the first line. A line of a job
    has "job:" and its name as route. Outside, and in threads that a request's context does not
    follow into, both are "-". What a record has already stays. To be added to handlers, since
    filters of loggers do not see the records of their children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark a record; every one passes."""
        marks = record.__dict__
        marks.setdefault("request_id", NOTHING)
        marks.setdefault("route", NOTHING)
        here = current.get()
        if here is None or _thread.naming:
            return True
        _thread.naming = True
        try:
            with _GUARD:
                if marks["request_id"] == NOTHING:
                    marks["request_id"] = here.request_id() or NOTHING
                if marks["route"] == NOTHING and (about := here.describe()) is not None:
                    marks["route"] = about.route or NOTHING
        finally:
            _thread.naming = False
        return True


class AsgiAnswering:
    """Stands between the wrapper and an ASGI application, whose answers get the id's header.

    So the wrapper itself has nothing to do where the header is not wanted.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], header: str) -> None:
        """Send `header` with every answer of `app` that has none of this name."""
        self.app = app
        self._name = header.lower().encode("latin-1")

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        record = current.get() if scope["type"] == "http" else None
        if record is None:
            await self.app(scope, receive, send)
            return

        def answer(message: Message) -> Any:
            if message["type"] == "http.response.start":
                with _GUARD:
                    headers = list(message.get("headers", ()))
                    if all(bytes(name).lower() != self._name for name, _ in headers):
                        headers.append((self._name, record.request_id().encode("latin-1")))
                        message = {**message, "headers": headers}
            return send(message)

        await self.app(scope, receive, answer)


class WsgiAnswering:
    """Stands between the wrapper and a WSGI application, whose answers get the id's header."""

    def __init__(self, app: Callable[..., Iterable[bytes]], header: str) -> None:
        """Send `header` with every answer of `app` that has none of this name."""
        self.app = app
        self._name = header

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        record = current.get()
        if record is None:
            return self.app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *more: Any, **named: Any) -> Any:
            with _GUARD:
                wanted = self._name.lower()
                if all(name.lower() != wanted for name, _ in headers):
                    headers = [*headers, (self._name, record.request_id())]
            return start_response(status, headers, *more, **named)

        return self.app(environ, start)
