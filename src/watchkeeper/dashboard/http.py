"""A request and a response, free of any framework, for everything served under the prefix."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_BODY_BYTES: Final = 64 * 1024  # forms are small; adapters refuse more before reading it

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an adapter (ASGI, WSGI) hands over.

    `root` is the computed path in front of ours: the host's mount point plus the prefix, as the
    browser sees it, without a trailing slash; every link is built from it. `path` is the rest,
    beginning with a slash. Header names are lower case.
    """

    method: str
    root: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    scheme: str = "http"
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back: headers as pairs, since a cookie may be set twice."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def is_loopback(request: Request) -> bool:
    """Tell whether the browser was sent to this machine by that name: no rebound DNS name is."""
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower() in _LOOPBACK and request.client in ("127.0.0.1", "::1")


def json_response(
    content: Any, *, status: int = 200, media_type: str = "application/json"
) -> Response:
    """Answer with JSON that no cache keeps."""
    return Response(
        status=status,
        headers=(("content-type", media_type), ("cache-control", "no-store")),
        body=json.dumps(content, separators=(",", ":"), allow_nan=False).encode(),
    )
