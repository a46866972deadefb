"""What Django shows of a request while it answers it, found in a context variable."""

from contextvars import ContextVar
from typing import Any, Final


class Seen:
    """What Django shows of one request, from whichever thread works on it."""

    __slots__ = ("captured", "handler", "request", "suspect")

    def __init__(self, handler: Any) -> None:
        """Begin with the handler that was called."""
        self.handler = handler
        self.request: Any = None
        self.captured: BaseException | None = None
        self.suspect: BaseException | None = None  # an issue only if the answer is a failure


seen: Final[ContextVar[Seen | None]] = ContextVar("watchkeeper_django", default=None)
"""What is known of the request that Django answers in this context."""


def show(request: Any) -> None:
    """Remember the request that Django has made of the current exchange."""
    here = seen.get()
    if here is not None:
        here.request = request
