"""Requests as a server hands them to an application, without a socket."""

import io
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Environ = dict[str, Any]
AsgiApplication = Callable[..., Awaitable[None]]
WsgiApplication = Callable[..., Any]


async def receive() -> dict[str, object]:
    """Give an empty request body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: object) -> None:
    """Swallow the response."""


def scope(path: str = "/carts/7") -> Scope:
    """Make the scope of one request, as an ASGI server does."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"user-agent", b"bench")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def environ(path: str = "/carts/7") -> Environ:
    """Make the environ of one request, as a WSGI server does."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "bench",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def start_response(status: str, headers: object, exc_info: object = None) -> object:
    """Swallow the response's head."""
    return None


async def serve_asgi(app: AsgiApplication, scopes: list[Scope]) -> None:
    """Serve requests one after the other."""
    for each in scopes:
        await app(each, receive, send)


def serve_wsgi(app: WsgiApplication, environs: list[Environ]) -> None:
    """Serve requests one after the other, reading and closing each body."""
    for each in environs:
        body = app(each, start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
