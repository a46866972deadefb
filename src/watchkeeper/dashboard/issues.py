"""Issues as a list, searched and sorted, each with its last 24 hours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Final

from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.issues import NEXT, State
from watchkeeper.core.rising import rise
from watchkeeper.dashboard.parameters import MAX_LIMIT, Page
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_issues import IssueSummary, IssuesView
from watchkeeper.dashboard.windows import align_up
from watchkeeper.storage.issues import Search
from watchkeeper.storage.store import Issue

QUARTER_S: Final = 900
HOURS: Final = 24
NEW_S: Final = 86_400.0  # an issue is new for a day
UNSOLVED: Final = (State.OPEN, State.CAME_BACK)  # what somebody should look at


def issues(query: Query, search: Search, *, page: Page, rising: bool = False) -> IssuesView:
    """List the issues that a search wants, whose scope and page are replaced by the query's.

    With `rising`, only those that are rising now, among the first 500 that it finds.
    """
    here = replace(search, service=query.service, environment=query.environment)
    if rising:
        here = replace(
            here,
            seen_since=max(here.seen_since, query.now - HOUR_S - QUARTER_S),
            limit=MAX_LIMIT,
            offset=0,
        )
    else:
        here = replace(here, limit=page.limit + 1, offset=page.offset)
    found = summaries(query, query.store.find_issues(here))
    if rising:
        found = [one for one in found if one.rising is not None][page.offset :]
    return IssuesView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        more=len(found) > page.limit,
        issues=tuple(found[: page.limit]),
    )


def summaries(query: Query, found: Sequence[Issue]) -> list[IssueSummary]:
    """Describe issues as they are now; takes one query for the counts of all of them."""
    end = align_up(query.now, QUARTER_S)
    counts = (
        query.store.issue_counts(
            [one.id for one in found],
            since=end - HOURS * HOUR_S,
            until=end,
            resolution=QUARTER_S,
        )
        if found
        else {}
    )
    query.pause()
    return [_summary(one, counts.get(one.id, {}), now=query.now, end=end) for one in found]


def of_scope(query: Query, issue_id: int) -> Issue | None:
    """Read an issue; None if there is none of this number in the scope."""
    found = query.store.issue(issue_id)
    if found is None or found.scope.place != (query.service, query.environment):
        return None
    return found


def until_of(issue: Issue) -> Mapping[str, Any] | None:
    """Return what ends an issue's mute; None if it is not muted, or for good."""
    until = issue.state_data.get("until") if issue.state == State.MUTED else None
    return until if isinstance(until, Mapping) else None


def is_next_release(issue: Issue) -> bool:
    """Tell whether an issue is resolved as from the next release."""
    return issue.state == State.RESOLVED and issue.state_data.get("release") == NEXT


def bars(counts: Mapping[int, int], *, start: int, bar_s: int, end: float) -> tuple[int, ...]:
    """Add counts of shorter spans up to those of the bars from `start` on, the last with `end`."""
    sums = [0] * ceil((end - start) / bar_s)
    for at, count in counts.items():
        index = (at - start) // bar_s
        if 0 <= index < len(sums):
            sums[index] += count
    return tuple(sums)


def _summary(issue: Issue, counts: Mapping[int, int], *, now: float, end: int) -> IssueSummary:
    # Hours end at the next quarter, so that the last one is never a few minutes long.
    hours = bars(counts, start=end - HOURS * HOUR_S, bar_s=HOUR_S, end=end)
    known = min(HOURS, int((end - issue.first_at) // HOUR_S) + 1)
    return IssueSummary(
        id=issue.id,
        fingerprint=issue.fingerprint,
        type=issue.type,
        title=issue.title,
        culprit=issue.culprit,
        level=issue.level,
        state=issue.state,
        state_at=issue.state_at or None,
        state_by=issue.state_by or None,
        until=until_of(issue),
        next_release=is_next_release(issue),
        is_new=issue.first_at >= now - NEW_S,
        rising=rise(hours[-known:]),
        count=issue.count,
        users=issue.users,
        first_at=issue.first_at,
        last_at=issue.last_at,
        first_release=issue.scope.release,
        last_release=issue.last_release,
        hours=hours,
    )
