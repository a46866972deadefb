"""The incidents that an issue, or a stored request, belongs to."""

from collections.abc import Collection, Iterable
from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.dashboard.within import MARGIN_S, Counts, Within
from watchkeeper.storage.issue_rows import merged_name
from watchkeeper.storage.store import Incident, Issue, Sample

MAX_INCIDENTS: Final = 10
MAX_LOOKED: Final = 500  # incidents that last, and as many that ended
LASTING: Final = ("pending", "firing")
ENDED: Final = ("event", "resolved")


def incidents_of_issue(
    query: Query, issue: Issue, *, routes: Collection[str]
) -> tuple[IncidentRow, ...]:
    """List the incidents that tell of an issue, and those within which it began or rose."""
    found = [
        (one, within)
        for one, within in _incidents(query, since=issue.first_at - MARGIN_S)
        if within.issue == issue.id
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
    found = _incidents(query, since=sample.at - MARGIN_S)
    related = [one for one, within in found if within.holds(sample, issue)]
    return tuple(incident_row(one, now=query.now) for one in related[:MAX_INCIDENTS])


def _incidents(query: Query, *, since: float) -> list[tuple[Incident, Within]]:
    """Read the incidents that last, and those that ended since a moment, the newest first."""
    here = {"service": query.service, "environment": query.environment}
    found = [
        (one, Within.of(one, now=query.now))
        for states, begin in ((LASTING, 0.0), (ENDED, since))
        for one in query.store.incidents(**here, states=states, since=begin, limit=MAX_LOOKED)
    ]
    query.pause()
    # What an issue was told of by goes with it: of one that was merged it leads to the other one.
    told = {merged_name(one.issue) for _, one in found if one.issue is not None}
    owners = query.store.issue_ids(told, **here) if told else {}
    leading = [(one, within.leading(owners)) for one, within in found]
    return sorted(leading, key=lambda both: (both[0].started_at, both[0].id), reverse=True)


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
