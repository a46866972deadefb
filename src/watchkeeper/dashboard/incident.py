"""One incident, with the issues that began or rose while it lasted."""

from collections.abc import Sequence
from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.rising import LEAST, TIMES
from watchkeeper.core.slot import slot_start
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_issues import IncidentView, IssueWithin
from watchkeeper.dashboard.windows import align_up
from watchkeeper.storage.store import Incident, Issue

MARGIN_S: Final = 600.0  # an alert takes a while to see what began before it
MAX_LOOKED: Final = 200  # issues seen while it lasted that are looked at
MAX_ISSUES: Final = 10
MINUTES_S: Final = 48 * 3_600.0  # how long counts are known by the minute, then by the hour


def incident_view(query: Query, incident_id: int) -> IncidentView | None:
    """Tell of an incident; None if there is none of this number in the scope."""
    found = query.store.incident(incident_id)
    if found is None or (found.service, found.environment) != (query.service, query.environment):
        return None
    return IncidentView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        incident=incident_row(found, now=query.now),
        state=found.state,
        started_at=found.started_at,
        resolved_at=found.resolved_at,
        peak=found.peak,
        reason=found.reason,
        issues=_within(query, found),
    )


def _within(query: Query, incident: Incident) -> tuple[IssueWithin, ...]:
    """List the issues that began or rose between ten minutes before it and its end.

    Each is compared with the span of the same length before; new ones first, then by their count.
    """
    told = incident.data.get("issue")
    if isinstance(told, int):
        one = query.store.issue(told)
        candidates = [] if one is None else [one]
    else:
        candidates = query.store.issues(
            service=query.service,
            environment=query.environment,
            seen_since=incident.started_at - MARGIN_S,
            limit=MAX_LOOKED,
        )
    start = incident.started_at - MARGIN_S
    end = query.now + 1 if incident.resolved_at is None else incident.resolved_at
    if incident.state == "event":  # it has no end
        end = incident.started_at + MARGIN_S
    counts = _counts(query, candidates, start=start, end=end)
    found = [
        IssueWithin(
            id=one.id,
            type=one.type,
            title=one.title,
            culprit=one.culprit,
            state=one.state,
            is_new=start <= one.first_at < end,
            count=counts[one.id][1],
            before=counts[one.id][0],
        )
        for one in candidates
    ]
    shown = [
        one
        for one in found
        if told is not None or (one.is_new and one.count) or _rose(one.before, one.count)
    ]
    shown.sort(key=lambda one: (one.is_new, one.count), reverse=True)
    return tuple(shown[:MAX_ISSUES])


def _counts(
    query: Query, found: Sequence[Issue], *, start: float, end: float
) -> dict[int, tuple[int, int]]:
    """Count each issue in the span of the same length before `start`, and from there to `end`.

    In whole minutes, or hours where no more is known; each span gets what it begins and ends in.
    """
    if not found:
        return {}
    step = MINUTE_S if query.now - start < MINUTES_S else HOUR_S
    begin, until = slot_start(start, step), align_up(end, step)
    spans = query.store.issue_counts(
        [one.id for one in found], since=begin - (until - begin), until=until, resolution=step
    )
    query.pause()
    counts = {}
    for one in found:
        slots = spans.get(one.id, {})
        within = sum(count for at, count in slots.items() if at >= begin)
        counts[one.id] = sum(slots.values()) - within, within
    return counts


def _rose(before: int, within: int) -> bool:
    return within >= LEAST and within >= TIMES * before
