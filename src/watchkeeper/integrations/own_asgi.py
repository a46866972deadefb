"""Watchkeeper's own pages under ASGI: from scope and messages to a request of ours and back."""

import concurrent.futures.thread  # noqa: F401  # loaded here, not from the event loop
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from watchkeeper.dashboard.http import MAX_BODY_BYTES, Request
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
    """Answer a page: probes at once, everything else in a thread."""
    response = own.probe(page)
    if response is None:
        body = await _body(receive, most=MAX_BODY_BYTES)
        if body is None:
            response = failure(413)
        else:
            client = scope.get("client") or ("", 0)
            response = await own.answer_beside(
                Request(
                    method=scope["method"],
                    root=page.root,
                    path=page.path,
                    query=scope.get("query_string", b"").decode("latin-1"),
                    headers=_headers(scope),
                    body=body,
                    scheme=scope.get("scheme", "http"),
                    client=client[0],
                )
            )
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


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
