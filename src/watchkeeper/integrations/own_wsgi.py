"""Watchkeeper's own pages under WSGI: from environ to a request of ours and back."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from watchkeeper.integrations.own import OwnPages, Page, failure

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]


def serve_page(
    own: OwnPages, page: Page, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a page of ours."""
    response = own.probe(page)
    if response is None:
        from watchkeeper.dashboard.http import MAX_BODY_BYTES, Request

        length = _length(environ)
        if not 0 <= length <= MAX_BODY_BYTES:
            response = failure(413)
        else:
            response = own.answer(
                Request(
                    method=environ["REQUEST_METHOD"],
                    root=page.root,
                    path=page.path,
                    query=environ.get("QUERY_STRING", ""),
                    headers=_headers(environ),
                    body=environ["wsgi.input"].read(length) if length else b"",
                    scheme=environ.get("wsgi.url_scheme", "http"),
                    client=environ.get("REMOTE_ADDR", ""),
                )
            )
    headers = [*response.headers, ("content-length", str(len(response.body)))]
    start_response(f"{response.status} {_reason(response.status)}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]


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
