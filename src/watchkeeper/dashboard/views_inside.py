"""What the JSON API tells of the inside of requests: frozen view models of plain numbers.

None is for what is not known, never for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.runtime.folded import FoldedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What an answer is about: `covered_s` seconds of [start, end) have data."""

    service: str
    environment: str
    at: float
    start: int
    end: float
    covered_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long something took that happened `count` times."""

    count: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Requests of a route that ran one statement ten times or more (N+1)."""

    statement: str
    text: str | None
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideFigures:
    """What happened inside the requests of one route template, all its methods together.

    By kind: db, http, cache and, of the seconds, own: what is left of the duration.
    """

    seconds: Mapping[str, float | None]
    calls_per_request: Mapping[str, float | None]
    queue: Timing | None
    first_byte: Timing | None
    repeated: tuple[Repeated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFigures:
    """One method and route; `seconds` is the time spent in its requests."""

    method: str
    route: str
    requests: int
    requests_per_s: float | None
    errors: int
    error_rate: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    seconds: float
    time_share: float | None
    apdex: float | None
    inside: InsideFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesView:
    """The routes, those with the most time first; `total` of them."""

    window: Covered
    apdex_threshold_s: float
    apdex: float | None
    total: int
    routes: tuple[RouteFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCount:
    """How often something happened within one route."""

    route: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFigures:
    """One statement without its values; text and callers are None once they are deleted."""

    fingerprint: str
    db: str
    operation: str | None
    text: str | None
    count: int
    seconds: float
    time_share: float | None
    p50_s: float | None
    p95_s: float | None
    rows_per_execution: float | None
    routes: tuple[RouteCount, ...]
    callers: tuple[str, ...] | None
    repeated: tuple[RouteCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementsView:
    """The statements, those with the most time first; `seconds` is the time of all."""

    window: Covered
    seconds: float
    total: int
    statements: tuple[StatementFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFigures:
    """Outgoing requests to one host by one method; `failures` got no answer."""

    host: str
    method: str
    count: int
    seconds: float
    p50_s: float | None
    p95_s: float | None
    statuses: Mapping[str, int]
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingView:
    """The outgoing requests, those with the most time first."""

    window: Covered
    total: int
    outgoing: tuple[OutgoingFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The connections of a pool, over all workers; `at` is when the slot of it began."""

    at: int
    size: float | None
    used: float | None
    idle: float | None
    max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """One pool: as it was last, the most of each in the window, and the wait for one."""

    pool: str
    latest: PoolState | None
    highest_used: float | None
    highest_idle: float | None
    highest_max: float | None
    wait: Timing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsView:
    """The pools by name."""

    window: Covered
    total: int
    pools: tuple[PoolFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The last run that is known of a job: when it ended, and how."""

    at: float
    outcome: str
    seconds: float | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """One job; moments (since the epoch), lateness and shares are None while unknown."""

    job: str
    state: str
    schedule: str | None
    grace_s: float | None
    pinged: bool
    runs: int
    failures: int
    outcomes: Mapping[str, int]
    success_share: float | None
    p50_s: float | None
    p95_s: float | None
    wait: Timing | None
    since: float | None
    last_run: LastRun | None
    last_success: float | None
    running_since: float | None
    due: float | None
    lateness_s: float | None
    late_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsView:
    """The jobs by name."""

    window: Covered
    total: int
    jobs: tuple[JobFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of one kind within one request."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One stored request (or run of a job) of a list; `at` is when it ended."""

    id: str
    at: float
    reason: str
    method: str
    route: str
    status: int
    duration_s: float
    request_id: str
    issue: int | None
    release: str
    kinds: Mapping[str, Calls] | None
    own_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesView:
    """Stored requests, newest first; `more` tells whether there are further ones."""

    service: str
    environment: str
    at: float
    start: int
    end: float
    more: bool
    samples: tuple[SampleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallSpan:
    """One timed part: where it began after the request did, and how long it took."""

    kind: str
    name: str
    statement: str | None
    start_s: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleWorker:
    """The process that served a sample."""

    number: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvent:
    """An occurrence of an error in the request of a sample."""

    id: str
    issue: int | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleView:
    """One stored request with its waterfall: the slowest spans in order of their start.

    `details` is complete, or truncated or damaged: then nothing of the inside is known. `events`
    are those of the same request id, `incidents` those that it is one of, both newest first.
    """

    sample: SampleRow
    started_at: float
    worker: SampleWorker | None
    details: str
    queue_s: float | None
    first_byte_s: float | None
    spans: tuple[WaterfallSpan, ...] | None
    omitted: int | None
    user: str | None
    tags: Mapping[str, str]
    events: tuple[SampleEvent, ...]
    incidents: tuple[IncidentRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfView:
    """How Watchkeeper itself is doing; `metrics` has every watchkeeper_… metric by name."""

    window: Covered
    storage: str
    stored_bytes: int
    storing: str
    storing_reason: str
    sampling_level: int | None
    series: float | None
    dropped: Mapping[str, int] | None
    folded: tuple[FoldedValue, ...]
    metrics: Mapping[str, Mapping[str, Any]]
