"""What is told of issues: frozen view models of plain values. None is for what is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.dashboard.views_alerts import Acknowledged, Delivery, Happened, SilenceView
from watchkeeper.dashboard.views_inside import SampleRow


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueSummary:
    """One issue in a list; `count` and `users` are totals, `hours` the last 24 hours.

    `rising` is how many times as often it happened in the last hour as in the mean one before;
    None if it is not rising.
    """

    id: int
    fingerprint: str
    type: str
    title: str
    culprit: str
    level: str
    state: str
    state_at: float | None
    state_by: str | None
    until: Mapping[str, Any] | None
    next_release: bool
    is_new: bool
    rising: float | None
    count: int
    users: int
    first_at: float
    last_at: float
    first_release: str
    last_release: str
    hours: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuesView:
    """The issues that a search found, in its order."""

    service: str
    environment: str
    at: float
    more: bool
    issues: tuple[IssueSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Counts of spans of `bar_s` seconds each, the first of which begins at `start`."""

    start: int
    bar_s: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One route, release or call path of an issue, and how often it happened there."""

    value: str
    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of an issue's history; `reason` is None for a comment."""

    at: float
    actor: str
    before: str
    after: str
    reason: str | None
    comment: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One stored occurrence; `issue` is the number of the issue that it is of."""

    id: str
    issue: int | None
    fingerprint: str
    at: float
    method: str
    route: str
    status: int
    release: str
    request_id: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One stored occurrence in full: the `number`th newest of the `kept` ones."""

    event: EventRow
    number: int
    kept: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueView:
    """All of one issue; `event` is None where none is stored any more."""

    service: str
    environment: str
    at: float
    issue: IssueSummary
    fingerprints: tuple[str, ...]
    event: EventView | None
    day: Trend
    week: Trend
    month: Trend
    routes: tuple[Share, ...]
    releases: tuple[Share, ...]
    paths: tuple[Share, ...]
    history: tuple[HistoryRow, ...]
    samples: tuple[SampleRow, ...]
    incidents: tuple[IncidentRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """The stored occurrences of an issue, newest first."""

    service: str
    environment: str
    at: float
    more: bool
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWithin:
    """An issue that began or rose within an incident; `count` is of the incident's time."""

    id: int
    type: str
    title: str
    culprit: str
    state: str
    is_new: bool
    count: int
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """One incident, the issues that may be why, and requests of it."""

    service: str
    environment: str
    at: float
    incident: IncidentRow
    state: str
    started_at: float
    resolved_at: float | None
    peak: float | None
    reason: str
    acknowledged: Acknowledged | None
    told: tuple[Delivery, ...]
    silenced: SilenceView | None
    why: str | None
    held_by: str | None
    timeline: tuple[Happened, ...]
    issues: tuple[IssueWithin, ...]
    samples: tuple[SampleRow, ...]
