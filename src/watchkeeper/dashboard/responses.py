"""What the dashboard's answers have in common: headers, compression, plain refusals."""

import gzip
from dataclasses import replace
from typing import Final

from watchkeeper.dashboard.assets import accepts_gzip
from watchkeeper.dashboard.http import Request, Response

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HTML: Final = ("content-type", "text/html; charset=utf-8")
_FAILED: Final = (
    b'<!doctype html><html lang="en"><title>Watchkeeper</title>'
    b"<h1>This page failed</h1><p>The fault is in Watchkeeper's dashboard, not in your "
    b"application, and is in its log.</p>"
)


def html(body: bytes, *headers: tuple[str, str], status: int = 200) -> Response:
    """Answer with a page."""
    return Response(status=status, headers=(_HTML, *headers), body=body)


def failed() -> Response:
    """Answer with the page for a fault of ours, drawn without anything that may be at fault."""
    return html(_FAILED, status=500)


def see_other(location: str, *headers: tuple[str, str]) -> Response:
    """Send the browser on."""
    return Response(status=303, headers=(("location", location), *headers))


def secured(response: Response) -> Response:
    """Add what every answer carries; nothing is kept by a cache unless it said so itself."""
    names = {name for name, _ in response.headers}
    keep = () if "cache-control" in names else (("cache-control", "no-store"),)
    return replace(
        response,
        headers=(
            *response.headers,
            *keep,
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ),
    )


def packed(request: Request, response: Response) -> Response:
    """Compress an answer that holds no secret, if the browser takes it."""
    headers = (*response.headers, ("vary", "accept-encoding"))
    if not accepts_gzip(request):
        return replace(response, headers=headers)
    return replace(
        response,
        headers=(*headers, ("content-encoding", "gzip")),
        body=gzip.compress(response.body, 6, mtime=0),
    )


def not_allowed(allow: str) -> Response:
    """Refuse a method, naming those that are allowed."""
    return Response(
        status=405,
        headers=(("allow", allow), ("content-type", "text/plain; charset=utf-8")),
        body=b"Method not allowed.",
    )
