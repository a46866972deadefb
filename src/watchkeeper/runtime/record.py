"""What one request or job carries while it runs; instruments find it in a context variable."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from watchkeeper.core.sampling import Reason, RouteChoice
    from watchkeeper.runtime.endpoints import Endpoint
    from watchkeeper.runtime.known import Known
    from watchkeeper.runtime.operations import Operation

MAX_SPANS: Final = 1_000  # of one request; further ones are folded into one figure per operation
MAX_FOLDED: Final = 500  # operations that have such a figure

Span = tuple["Operation", float, float]
"""What was done, when it began (perf_counter) and how many seconds it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """The request in which an error happened; nothing that a client sent but its id."""

    method: str = ""
    route: str = ""
    status: int = 0
    request_id: str = ""


class Inside:
    """What happened inside one request or job so far; made when the first thing happens."""

    __slots__ = (
        "excused",
        "failure",
        "first_byte_s",
        "folded",
        "issue",
        "queue_s",
        "request_id",
        "spans",
        "tags",
        "user",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.spans: list[Span] = []
        self.folded: dict[Operation, tuple[int, float]] = {}  # number and seconds past MAX_SPANS
        self.excused = False  # failed in a way that the settings do not call bad
        self.failure: Taken | None = None  # a bad request that waits to be told its issue
        self.first_byte_s = 0.0  # of a streamed response
        self.issue: Known | None = None  # what the error is known as that the request failed with
        self.queue_s = 0.0  # between proxy and application
        self.request_id = ""  # as it was sent, or made when it was first wanted
        self.tags: dict[str, str] = {}
        self.user = ""  # a hash, never the id itself

    def cut(self) -> Inside:
        """Return what is inside so far as a part of its own, and go on without its spans."""
        part = Inside()
        part.spans, self.spans = self.spans, []
        part.folded, self.folded = self.folded, {}
        part.tags, part.user = self.tags, self.user
        part.first_byte_s, part.queue_s = self.first_byte_s, self.queue_s
        return part


def where_of(request: RequestContext | None, inside: Inside | None) -> tuple[str, str, str] | None:
    """Return the method, the route and the user's hash; None if there is nothing of them."""
    user = inside.user if inside is not None else ""
    if request is not None:
        return request.method, request.route, user
    return ("", "", user) if user else None


class Taken:
    """A request that may be stored, as its wrapper saw it; shaped later, by the flusher."""

    __slots__ = (
        "at",
        "choice",
        "inside",
        "issue",
        "method",
        "reason",
        "request_id",
        "route",
        "seconds",
        "start",
        "status",
    )

    def __init__(
        self,
        inside: Inside | None,
        *,
        start: float,
        at: float,
        reason: Reason,
        method: str,
        route: str,
        status: int,
        seconds: float,
        request_id: str,
        choice: RouteChoice | None,
    ) -> None:
        """Hold on to what is inside; `start` (perf_counter) is when it began, `at` its end."""
        self.inside = inside
        self.start = start
        self.at = at
        self.reason = reason
        self.method = method
        self.route = route
        self.status = status
        self.seconds = seconds
        self.request_id = request_id
        self.choice = choice
        self.issue: Known | None = None


class Record:
    """One request or job as it runs. Its wrapper makes it, several threads may add to it.

    It has no `__init__`: a call costs more than what it would do, and most records are made for
    every request. Their wrapper sets all fields itself.
    """

    __slots__ = ("inside", "start")

    inside: Inside | None
    start: float  # perf_counter

    @classmethod
    def beginning(cls, start: float) -> Self:
        """Make one that begins at `start` (perf_counter), with nothing inside."""
        record = cls()
        record.inside = None
        record.start = start
        return record

    def opened(self) -> Inside:
        """Return what is inside, which begins with this call if there was nothing."""
        inside = self.inside
        if inside is None:
            inside = self.inside = Inside()
        return inside

    def add(self, operation: Operation, start: float, seconds: float) -> None:
        """Add a span that has ended."""
        inside = self.inside
        if inside is None:
            inside = self.inside = Inside()
        spans = inside.spans
        if len(spans) < MAX_SPANS:
            spans.append((operation, start, seconds))
        elif operation in inside.folded or len(inside.folded) < MAX_FOLDED:
            count, total = inside.folded.get(operation, (0, 0.0))
            inside.folded[operation] = count + 1, total + seconds

    def serves(self, request: MutableMapping[str, Any]) -> bool:
        """Tell whether this is the record of a request: of its ASGI scope, or WSGI environ."""
        return False

    def endpoint(self) -> Endpoint | None:
        """Return the code of the view or of the job's function, if it is known by now."""
        return None

    def describe(self) -> RequestContext | None:
        """Tell of which request this is the record; None for anything else than a request."""
        return None

    def request_id(self) -> str:
        """Return the id of the request that this is the record of, or runs within, if any."""
        return ""


current: Final[ContextVar[Record | None]] = ContextVar("watchkeeper_record", default=None)
"""The record of the request or job that runs in this context."""
