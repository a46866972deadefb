"""What the pages, the JSON API and the CLI show: frozen view models of plain numbers."""

from dataclasses import dataclass

from watchkeeper.dashboard.releases import ReleaseMark
from watchkeeper.dashboard.status import Status
from watchkeeper.storage.store import Event, Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The key figures of one span; None where there is nothing to tell them from."""

    requests: int
    errors: int
    requests_per_s: float | None
    error_rate: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    host_cpu: float | None
    host_memory: float | None
    app_cpu: float | None


NO_FIGURES = Figures(
    requests=0,
    errors=0,
    requests_per_s=None,
    error_rate=None,
    p50_s=None,
    p95_s=None,
    p99_s=None,
    host_cpu=None,
    host_memory=None,
    app_cpu=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the charts, `width_s` seconds from `start` on; None is a gap.

    `partial`: not every worker has told of it yet.
    """

    start: int
    width_s: int
    partial: bool
    figures: Figures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """One route among the worst: `time_share` is its part of all time spent in requests."""

    method: str
    route: str
    requests: int
    requests_per_s: float | None
    error_rate: float | None
    p95_s: float | None
    time_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRow:
    """One issue: `count` and the bars `counts` are of the window, `total` of all time."""

    id: int
    type: str
    title: str
    culprit: str
    state: str
    is_new: bool
    count: int
    total: int
    first_at: float
    last_at: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """One firing incident."""

    id: int
    rule: str
    group: str
    severity: str
    since: float
    lasted_s: float
    value: float | None
    threshold: float | None
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Is it well, since when not, and what changed: everything on the first page."""

    service: str
    environment: str
    storage: str
    at: float
    start: int
    end: float
    step_s: int
    status: Status
    data_age_s: float | None
    workers: int
    hosts: int
    incidents: tuple[IncidentRow, ...]  # that fire, the worst first, then the newest
    more_incidents: int  # that fire as well
    releases: tuple[ReleaseMark, ...]
    figures: Figures
    before: Figures | None
    points: tuple[Point, ...]
    routes: tuple[RouteRow, ...]
    issues: tuple[IssueRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePage:
    """One issue with its newest event and its counts over the last 24 hours."""

    issue: Issue
    event: Event | None
    trend: tuple[int, ...]
    trend_from: int
    trend_bar_s: int
    at: float
