"""Watchkeeper's own pages under WSGI: from environ to a request of ours and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.ping import MAX_DRAINED_BYTES, MAX_READ_BYTES
from watchkeeper.dashboard.http import MAX_BODY_BYTES, Request
from watchkeeper.dashboard.ping import is_ping
from watchkeeper.integrations.own import OwnPages, Page, failure

if TYPE_CHECKING:
    from watchkeeper.dashboard.http import Response

MAX_PART_BYTES: Final = 65_536  # read at a time

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]


def serve_page(
    own: OwnPages, page: Page, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a page of ours."""
    response = (_ping if is_ping(page.path) else _page)(own, page, environ)
    headers = [*response.headers, ("content-length", str(len(response.body)))]
    start_response(f"{response.status} {_reason(response.status)}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]


def _page(own: OwnPages, page: Page, environ: Environ) -> Response:
    request = Request(
        method=environ["REQUEST_METHOD"],
        root=page.root,
        path=page.path,
        query=environ.get("QUERY_STRING", ""),
        headers=_headers(environ),
        scheme=environ.get("wsgi.url_scheme", "http"),
        client=environ.get("REMOTE_ADDR", ""),
    )
    response = own.probe(request)
    if response is not None:
        return response
    length = _length(environ)
    if not 0 <= length <= MAX_BODY_BYTES:
        return failure(413)
    body = environ["wsgi.input"].read(length) if length else b""
    return own.answer(replace(request, body=body))


def _ping(own: OwnPages, page: Page, environ: Environ) -> Response:
    """Answer a ping; a long log that comes with it is no reason not to hear that a job failed."""
    left = min(_length(environ), MAX_DRAINED_BYTES)
    body = b""
    while left > 0 and (part := environ["wsgi.input"].read(min(left, MAX_PART_BYTES))):
        body += part[: MAX_READ_BYTES - len(body)]
        left -= len(part)
    return own.ping(page, environ["REQUEST_METHOD"], body)


def _length(environ: Environ) -> int:
    """Return the length of the request's body in bytes, -1 if what is given is no length."""
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() else -1


def _headers(environ: Environ) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
