"""The incidents that an issue, or a stored request, belongs to."""

from collections.abc import Collection, Iterable
from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.issues import Reason
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.dashboard.within import MARGIN_S, Counts, Within
from watchkeeper.storage.issues import IssueEntry
from watchkeeper.storage.store import Incident, Issue, Sample

MAX_INCIDENTS: Final = 10
MAX_LOOKED: Final = 500  # incidents that last, and as many that ended
MAX_HISTORY: Final = 100
LASTING: Final = ("pending", "firing")
ENDED: Final = ("event", "resolved")


def incidents_of_issue(
    query: Query, issue: Issue, *, history: Iterable[IssueEntry], routes: Collection[str]
) -> tuple[IncidentRow, ...]:
    """List the incidents that tell of an issue, and those within which it began or rose."""
    numbers = _numbers(issue.id, history)
    found = [
        (one, within)
        for one in _incidents(query, since=issue.first_at - MARGIN_S)
        if (within := Within.of(one, now=query.now)).issue in numbers
        or (within.issue is None and within.overlaps(issue) and within.is_of(routes))
    ]
    counts = _counts(query, issue, [within for _, within in found if within.issue is None])
    related = [
        one
        for one, within in found
        if within.issue is not None or within.explains(issue, counts[within.step])
    ]
    return tuple(incident_row(one, now=query.now) for one in related[:MAX_INCIDENTS])


def incidents_of_sample(
    query: Query, sample: Sample, issue: int | None
) -> tuple[IncidentRow, ...]:
    """List the incidents that a request is one of, which failed (with an issue) or was slow."""
    history = () if issue is None else query.store.issue_entries(issue, limit=MAX_HISTORY)
    numbers = set() if issue is None else _numbers(issue, history)
    related = [
        one
        for one in _incidents(query, since=sample.at - MARGIN_S)
        if Within.of(one, now=query.now).holds(sample, numbers)
    ]
    return tuple(incident_row(one, now=query.now) for one in related[:MAX_INCIDENTS])


def _numbers(issue_id: int, history: Iterable[IssueEntry]) -> set[int]:
    """Return the numbers that an issue was told of by: its own, and those merged into it."""
    merged = (one.data.get("from") for one in history if one.reason is Reason.MERGED)
    return {issue_id, *(one for one in merged if isinstance(one, int))}


def _incidents(query: Query, *, since: float) -> list[Incident]:
    """Read the incidents that last, and those that ended since a moment, the newest first."""
    found = [
        one
        for states, begin in ((LASTING, 0.0), (ENDED, since))
        for one in query.store.incidents(
            service=query.service,
            environment=query.environment,
            states=states,
            since=begin,
            limit=MAX_LOOKED,
        )
    ]
    query.pause()
    return sorted(found, key=lambda one: (one.started_at, one.id), reverse=True)


def _counts(query: Query, issue: Issue, asked: Iterable[Within]) -> dict[int, Counts]:
    """Read an issue's counts once for all that is asked, by the minute and by the hour."""
    spans = list(asked)
    counts = {}
    for step in (MINUTE_S, HOUR_S):
        some = [one for one in spans if one.step == step]
        if some:
            found = query.store.issue_counts(
                [issue.id],
                since=min(one.before for one in some),
                until=max(one.until for one in some),
                resolution=step,
            )
            counts[step] = Counts(found.get(issue.id, {}))
            query.pause()
    return counts
