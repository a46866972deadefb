"""The answers to pings: few words, which tell a stranger nothing."""

from __future__ import annotations

from typing import Final

from watchkeeper.core.ping import METHODS, PATH, Heard, parse_call, shown_output
from watchkeeper.dashboard.http import Response
from watchkeeper.runtime.pings import Pings

_TEXT: Final = (
    ("content-type", "text/plain; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
_WAIT: Final = (*_TEXT, ("retry-after", "10"))
_ANSWERS: Final = {
    Heard.TAKEN: Response(headers=_TEXT, body=b"OK"),
    Heard.UNKNOWN: Response(status=404, headers=_TEXT, body=b"not found"),
    Heard.TOO_OFTEN: Response(
        status=429, headers=(*_TEXT, ("retry-after", "60")), body=b"too many pings"
    ),
    Heard.FULL: Response(status=503, headers=_WAIT, body=b"try again later"),
    Heard.NOT_READY: Response(status=503, headers=_WAIT, body=b"try again later"),
}
_METHOD: Final = Response(
    status=405, headers=(*_TEXT, ("allow", ", ".join(METHODS))), body=b"method not allowed"
)


def is_ping(path: str) -> bool:
    """Tell whether a path below the prefix is for pings."""
    return path.startswith(PATH)


def answer_ping(pings: Pings, method: str, path: str, body: bytes) -> Response:
    """Answer a call from memory."""
    if method not in METHODS:
        return _METHOD
    call = parse_call(path, shown_output(body))
    return _ANSWERS[pings.hear(call) if call is not None else Heard.UNKNOWN]
