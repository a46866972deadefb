"""All of one issue: an occurrence, how often and where it happens, and what it belongs to."""

from typing import Final

from watchkeeper.core.hours import HOUR_S
from watchkeeper.dashboard.incidents import incidents_of_issue
from watchkeeper.dashboard.issues import bars, of_scope, summaries
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.samples import read_samples, row_of
from watchkeeper.dashboard.sums import Query
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
from watchkeeper.storage.store import Event, Issue

DAY_S: Final = 86_400
TRENDS: Final = {"day": (24, HOUR_S), "week": (28, 6 * HOUR_S), "month": (30, DAY_S)}
SAMPLES_S: Final = 7 * 86_400.0
MAX_SAMPLES: Final = 10
MAX_HISTORY: Final = 100


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
        samples=_samples(query, issue),
        incidents=incidents_of_issue(query, issue, routes=[one.value for one in routes]),
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
        fingerprint=event.fingerprint,
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


def _samples(query: Query, issue: Issue) -> tuple[SampleRow, ...]:
    found = read_samples(
        query,
        since=query.now - SAMPLES_S,
        until=query.now + 1,
        limit=MAX_SAMPLES,
        issue=issue.id,
    )
    return tuple(row_of(*one) for one in found)
