"""Deploy marks, for charts to draw."""

from dataclasses import dataclass

from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMark:
    """A release and when it was first seen; `by` is who set the mark, None: a worker ran it."""

    release: str
    at: float
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasesView:
    """The marks of a window, newest first, and the release that was live at its start."""

    service: str
    environment: str
    at: float
    start: int
    end: float
    more: bool
    before: ReleaseMark | None
    releases: tuple[ReleaseMark, ...]


def releases(query: Query, *, page: Page) -> ReleasesView:
    """List the deploy marks of a window, newest first."""
    marks = _marks(query, query.begin, query.end, page.offset + page.limit + 1)
    earlier = _marks(query, 0.0, query.begin, 1)
    return ReleasesView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        more=len(marks) > page.offset + page.limit,
        before=earlier[0] if earlier else None,
        releases=page.of(marks),
    )


def _marks(query: Query, since: float, until: float, limit: int) -> list[ReleaseMark]:
    found = query.store.releases(
        service=query.service,
        environment=query.environment,
        since=since,
        until=until,
        limit=limit,
    )
    return [ReleaseMark(release=one.scope.release, at=one.at, by=one.by or None) for one in found]
