"""Watchkeeper's own pages under ASGI: from scope and messages to a request of ours and back."""

import concurrent.futures.thread  # noqa: F401  # loaded here, not from the event loop
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from watchkeeper.core.ping import MAX_DRAINED_BYTES, MAX_READ_BYTES
from watchkeeper.dashboard.http import MAX_BODY_BYTES, Request, Response
from watchkeeper.dashboard.ping import is_ping
from watchkeeper.integrations.own import OwnPages, Page, failure

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def find_page(own: OwnPages, scope: Scope) -> Page | None:
    """Return the page of ours that a request asks for, whether or not `path` holds the mount."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return own.find(path, root=root)


async def serve_page(
    own: OwnPages, page: Page, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a page: probes and pings at once, on the loop, everything else in a thread."""
    if is_ping(page.path):
        response = await _ping(own, page, scope, receive)
    else:
        response = await _page(own, page, scope, receive)
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


async def _page(own: OwnPages, page: Page, scope: Scope, receive: Receive) -> Response:
    client = scope.get("client") or ("", 0)
    request = Request(
        method=scope["method"],
        root=page.root,
        path=page.path,
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=_headers(scope),
        scheme=scope.get("scheme", "http"),
        client=client[0],
    )
    response = own.probe(request)
    if response is not None:
        return response
    body = await _body(receive, most=MAX_BODY_BYTES)
    if body is None:
        return failure(413)
    return await own.beside(own.answer, replace(request, body=body))


async def _ping(own: OwnPages, page: Page, scope: Scope, receive: Receive) -> Response:
    """Answer a ping; a long log that comes with it is no reason not to hear that a job failed."""
    body = await _beginning(receive, keep=MAX_READ_BYTES, most=MAX_DRAINED_BYTES)
    return own.ping(page, scope["method"], body)


async def _beginning(receive: Receive, *, keep: int, most: int) -> bytes:
    """Read the beginning of a request's body, and throw the rest away, up to `most` bytes."""
    body, read = b"", 0
    while read <= most:
        message = await receive()
        part = bytes(message.get("body", b""))
        body += part[: keep - len(body)]
        read += len(part)
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    return body


async def _body(receive: Receive, *, most: int) -> bytes | None:
    """Read the request's body; None if it is larger than `most` bytes or was cut off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return body


def _headers(scope: Scope) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in scope.get("headers", ())
    }
