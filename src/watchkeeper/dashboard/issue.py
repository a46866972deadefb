"""All of one issue: an occurrence, how often and where it happens, and what it belongs to."""

from collections.abc import Collection, Sequence
from typing import Final

from watchkeeper.core.issues import Reason
from watchkeeper.dashboard.issues import HOUR_S, bars, of_scope, summaries
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.samples import sample_rows
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.dashboard.views_inside import SampleRow
from watchkeeper.dashboard.views_issues import (
    EventRow,
    EventsView,
    EventView,
    HistoryRow,
    IssueView,
    Share,
    Trend,
)
from watchkeeper.dashboard.windows import align_up
from watchkeeper.storage.issues import MAX_FACETS, FacetKind, IssueEntry
from watchkeeper.storage.store import Event, Incident, Issue

DAY_S: Final = 86_400
TRENDS: Final = {"day": (24, HOUR_S), "week": (28, 6 * HOUR_S), "month": (30, DAY_S)}
SAMPLES_S: Final = 7 * 86_400.0
MAX_SAMPLES: Final = 10
MAX_INCIDENTS: Final = 10
MAX_LOOKED: Final = 500  # incidents looked through for those of one issue
MAX_HISTORY: Final = 100
STATES: Final = ("event", "firing", "resolved", "pending")


def issue_view(query: Query, issue_id: int, *, number: int = 1) -> IssueView | None:
    """Tell all of an issue, with the `number`th newest of its stored occurrences.

    None if there is no such issue; where there are fewer occurrences, the oldest one is shown.
    """
    issue = of_scope(query, issue_id)
    if issue is None:
        return None
    history = query.store.issue_entries(issue.id, limit=MAX_HISTORY)
    fingerprints = query.store.issue_fingerprints(issue.id)
    routes = _shares(query, issue, FacetKind.ROUTE)
    query.pause()
    return IssueView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        issue=summaries(query, [issue])[0],
        fingerprints=tuple(fingerprints),
        event=_event(query, issue, number=number),
        **_trends(query, issue),
        routes=routes,
        releases=_shares(query, issue, FacetKind.RELEASE),
        paths=_shares(query, issue, FacetKind.PATH),
        history=tuple(_history(one) for one in history),
        samples=_samples(query, fingerprints),
        incidents=_incidents(query, issue, history=history, routes=routes),
    )


def events_view(query: Query, issue_id: int, *, page: Page) -> EventsView | None:
    """List the stored occurrences of an issue, newest first; None if there is no such issue."""
    issue = of_scope(query, issue_id)
    if issue is None:
        return None
    found = query.store.events(issue.id, limit=page.limit + 1, offset=page.offset)
    return EventsView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        more=len(found) > page.limit,
        events=tuple(event_row(one, issue.id) for one in found[: page.limit]),
    )


def event_row(event: Event, issue_id: int | None) -> EventRow:
    """Describe a stored occurrence of an issue."""
    return EventRow(
        id=event.id,
        issue=issue_id,
        at=event.at,
        method=event.method,
        route=event.route,
        status=event.status,
        release=event.release,
        request_id=event.request_id,
        path=event.path,
    )


def _event(query: Query, issue: Issue, *, number: int) -> EventView | None:
    kept = len(query.store.event_marks(issue.id))
    number = max(1, min(number, kept))
    found = query.store.events(issue.id, limit=1, offset=number - 1)
    if not found:
        return None
    return EventView(
        event=event_row(found[0], issue.id), number=number, kept=kept, data=found[0].data
    )


def _trends(query: Query, issue: Issue) -> dict[str, Trend]:
    trends = {}
    for name, (count, bar_s) in TRENDS.items():
        end = align_up(query.now, HOUR_S)
        start = end - count * bar_s
        counts = query.store.issue_counts([issue.id], since=start, until=end, resolution=HOUR_S)
        found = bars(counts.get(issue.id, {}), start=start, bar_s=bar_s, end=end)
        trends[name] = Trend(start=start, bar_s=bar_s, counts=found)
        query.pause()
    return trends


def _shares(query: Query, issue: Issue, kind: FacetKind) -> tuple[Share, ...]:
    return tuple(
        Share(value=one.value, count=one.count, first_at=one.first_at, last_at=one.last_at)
        for one in query.store.facets(issue.id, kind, limit=MAX_FACETS[kind])
    )


def _history(entry: IssueEntry) -> HistoryRow:
    return HistoryRow(
        at=entry.at,
        actor=entry.actor,
        before=entry.before,
        after=entry.after,
        reason=entry.reason.value if entry.reason is not None else None,
        comment=entry.comment,
        data=entry.data,
    )


def _samples(query: Query, fingerprints: Collection[str]) -> tuple[SampleRow, ...]:
    found = query.store.samples(
        service=query.service,
        environment=query.environment,
        since=query.now - SAMPLES_S,
        until=query.now + 1,
        limit=MAX_SAMPLES,
        fingerprints=fingerprints,
    )
    return sample_rows(query, found)


def _incidents(
    query: Query, issue: Issue, *, history: Sequence[IssueEntry], routes: Sequence[Share]
) -> tuple[IncidentRow, ...]:
    """Find the incidents that tell of an issue, and those on its routes while it happened."""
    numbers = {issue.id, *(one.data.get("from") for one in history if one.reason is Reason.MERGED)}
    templates = {one.value.rpartition(" ")[2] for one in routes}
    found = query.store.incidents(
        service=query.service,
        environment=query.environment,
        states=STATES,
        since=issue.first_at - HOUR_S,
        limit=MAX_LOOKED,
    )
    related = [
        one
        for one in found
        if one.data.get("issue") in numbers or (_route(one) in templates and _overlaps(one, issue))
    ]
    return tuple(incident_row(one, now=query.now) for one in related[:MAX_INCIDENTS])


def _route(incident: Incident) -> str | None:
    labels = incident.data.get("labels")
    route = labels.get("route") if isinstance(labels, dict) else None
    return route if isinstance(route, str) else None


def _overlaps(incident: Incident, issue: Issue) -> bool:
    ended = incident.resolved_at
    return incident.started_at <= issue.last_at and (ended is None or ended >= issue.first_at)
