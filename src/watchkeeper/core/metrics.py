"""What a metric is, and the catalogue of the metrics that Watchkeeper records by itself."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The three instruments."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """How the gauges of several workers combine into one figure."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The declaration of one metric: its name carries the base unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    across: Across = Across.SUM


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one set of label values; the identity of everything stored.

    `labels` are (name, value) pairs sorted by name, the scope labels among them.
    """

    metric: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    across: Across = Across.SUM
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the hash once: a series is looked up in a dictionary for every value read."""
        identity = (self.metric, self.kind, self.labels, self.across)
        object.__setattr__(self, "_hash", hash(identity))

    def __hash__(self) -> int:
        """Return the hash of all fields."""
        return self._hash

    def label(self, name: str) -> str:
        """Return the value of a label, or the empty text."""
        for key, value in self.labels:
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The deployment that a process belongs to; labels of every series it records."""

    service: str
    environment: str
    release: str = ""

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """The scope as sorted label pairs."""
        return (
            ("environment", self.environment),
            ("release", self.release),
            ("service", self.service),
        )


OTHER: Final = "(other)"  # where label values beyond a cap are counted
UNMATCHED: Final = "(unmatched)"  # the route of requests that no route template matched

HTTP_DURATION: Final = Metric(
    name="http_server_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time from the first byte in to the last byte out, per request.",
    labels=("method", "route", "status"),
)
HTTP_BROKEN: Final = Metric(
    name="http_server_broken_responses_total",
    kind=Kind.COUNTER,
    help="Responses below 500 that an exception of the application cut off.",
    labels=("method", "route"),
)
HTTP_UNHANDLED: Final = Metric(
    name="http_server_unhandled_exceptions_total",
    kind=Kind.COUNTER,
    help="Unhandled exceptions after a complete response below 500 (a background task's).",
    labels=("method", "route"),
)
HTTP_DISCONNECTS: Final = Metric(
    name="http_server_disconnects_total",
    kind=Kind.COUNTER,
    help="Requests whose client left before the response was complete; they have no duration.",
    labels=("method", "route"),
)
HTTP_ACTIVE: Final = Metric(
    name="http_server_active_requests",
    kind=Kind.GAUGE,
    help="Requests being answered at the end of the slot.",
)
WEBSOCKET_CONNECTIONS: Final = Metric(
    name="websocket_server_connections_total",
    kind=Kind.COUNTER,
    help="Websocket connections accepted or refused, apart from requests.",
)
PROCESS_CPU: Final = Metric(
    name="process_cpu_utilization_ratio",
    kind=Kind.GAUGE,
    help="CPU time used by the process since the last look, 1 being one whole core.",
    labels=("host", "worker"),
)
PROCESS_MEMORY: Final = Metric(
    name="process_memory_usage_bytes",
    kind=Kind.GAUGE,
    help="Resident memory (RSS) of the process.",
    labels=("host", "worker"),
)
PROCESS_FDS: Final = Metric(
    name="process_open_file_descriptors",
    kind=Kind.GAUGE,
    help="File descriptors that the process holds open.",
    labels=("host", "worker"),
)
PROCESS_THREADS: Final = Metric(
    name="process_threads",
    kind=Kind.GAUGE,
    help="Threads of the process.",
    labels=("host", "worker"),
)
HOST_CPU: Final = Metric(
    name="host_cpu_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share of all cores of the host in use, 0 to 1.",
    labels=("host",),
    across=Across.MAX,
)
HOST_MEMORY: Final = Metric(
    name="host_memory_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share of the host's memory in use, 0 to 1.",
    labels=("host",),
    across=Across.MAX,
)
SELF_ERRORS: Final = Metric(
    name="watchkeeper_internal_errors_total",
    kind=Kind.COUNTER,
    help="Exceptions of Watchkeeper's own that its guard swallowed, by border.",
    labels=("where",),
)
SELF_DROPPED: Final = Metric(
    name="watchkeeper_dropped_total",
    kind=Kind.COUNTER,
    help="Things left out because a cap was reached, by what was dropped.",
    labels=("what",),
)
SELF_FLUSH: Final = Metric(
    name="watchkeeper_flush_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time to write one slot to the database.",
)
SELF_SERIES: Final = Metric(
    name="watchkeeper_series",
    kind=Kind.GAUGE,
    help="Series in use in this worker.",
)

CATALOGUE: Final = (
    HTTP_DURATION,
    HTTP_BROKEN,
    HTTP_UNHANDLED,
    HTTP_DISCONNECTS,
    HTTP_ACTIVE,
    WEBSOCKET_CONNECTIONS,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_FDS,
    PROCESS_THREADS,
    HOST_CPU,
    HOST_MEMORY,
    SELF_ERRORS,
    SELF_DROPPED,
    SELF_FLUSH,
    SELF_SERIES,
)
