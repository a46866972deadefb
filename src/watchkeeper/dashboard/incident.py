"""One incident, with the issues that began or rose while it lasted and its requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from watchkeeper.core.rising import LEAST
from watchkeeper.core.sampling import Reason
from watchkeeper.dashboard.alerts import acknowledged, silencing, standing, timeline
from watchkeeper.dashboard.issues import of_scope
from watchkeeper.dashboard.parameters import MAX_LIMIT
from watchkeeper.dashboard.queries import incident_row
from watchkeeper.dashboard.samples import read_samples, row_of
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_inside import SampleRow
from watchkeeper.dashboard.views_issues import IncidentView, IssueWithin
from watchkeeper.dashboard.within import Counts, Within
from watchkeeper.storage.issues import Search, Sort
from watchkeeper.storage.store import Issue

MAX_LOOKED: Final = 1_000  # issues of an incident's time, of the new ones and of the frequent ones
MAX_ISSUES: Final = 10
MAX_SAMPLES: Final = 10
MAX_SAMPLES_LOOKED: Final = 200


def incident_view(
    query: Query, incident_id: int, *, planned: Sequence[Mapping[str, Any]] = ()
) -> IncidentView | None:
    """Tell of an incident; None if there is none of this number in the scope.

    `planned` are the silences of the settings.
    """
    found = query.store.incident(incident_id)
    if found is None or (found.service, found.environment) != (query.service, query.environment):
        return None
    within = Within.of(found, now=query.now)
    told, messages = standing(query, found)
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
        acknowledged=acknowledged(found),
        told=messages,
        silenced=silencing(query, found, planned) if found.resolved_at is None else None,
        why=told.why or None,
        held_by=told.by or None,
        timeline=timeline(found, messages),
        issues=_issues(query, within),
        samples=_samples(query, within),
    )


def _issues(query: Query, within: Within) -> tuple[IssueWithin, ...]:
    """List the issues that may be why; new ones first, then by their count."""
    candidates = _candidates(query, within)
    counts = query.store.issue_counts(
        list(candidates), since=within.before, until=within.until, resolution=within.step
    )
    query.pause()
    found = []
    for number, issue in candidates.items():
        counted = Counts(counts.get(number, {}))
        if within.issue is None and not within.explains(issue, counted):
            continue
        before, count = within.figures(counted)
        found.append(
            IssueWithin(
                id=number,
                type=issue.type,
                title=issue.title,
                culprit=issue.culprit,
                state=issue.state,
                is_new=within.began(issue),
                count=count,
                before=before,
            )
        )
    found.sort(key=lambda one: (one.is_new, one.count), reverse=True)
    return tuple(found[:MAX_ISSUES])


def _candidates(query: Query, within: Within) -> dict[int, Issue]:
    """Read the issues that happened within: the latest of those that began, the most frequent."""
    if within.issue is not None:
        about = of_scope(query, within.issue)
        return {} if about is None else {about.id: about}
    here = Search(
        service=query.service,
        environment=query.environment,
        route=within.route or "",
        seen_since=within.start,
    )
    began = replace(here, first_seen_since=within.start, sort=Sort.FIRST_SEEN)
    often = replace(here, sort=Sort.COUNT)
    found = [*_pages(query, began, least=1), *_pages(query, often, least=LEAST)]
    return {one.id: one for one in found if within.overlaps(one)}


def _pages(query: Query, search: Search, *, least: int) -> Iterator[Issue]:
    """Read what a search finds, page by page, until an issue happened less than `least` times."""
    for offset in range(0, MAX_LOOKED, MAX_LIMIT):
        some = query.store.find_issues(replace(search, limit=MAX_LIMIT, offset=offset))
        yield from some
        query.pause()
        if len(some) < MAX_LIMIT or some[-1].count < least:
            return


def _samples(query: Query, within: Within) -> tuple[SampleRow, ...]:
    """List requests of its time, the newest first: those that failed, then slow ones."""
    about = None if within.issue is None else of_scope(query, within.issue)
    if about is not None:
        within = replace(within, issue=about.id)
    rows: list[SampleRow] = []
    for reason in (Reason.FAILED, Reason.SLOW):
        found = read_samples(
            query,
            since=within.start,
            until=within.end,
            limit=MAX_SAMPLES_LOOKED,
            reason=reason,
            issue=None if about is None else about.id,
        )
        rows += [row_of(one, issue) for one, issue in found if within.holds(one, issue)]
    return tuple(rows[:MAX_SAMPLES])
