"""Deploy marks, for charts to draw."""

from dataclasses import dataclass

from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query
from watchkeeper.storage.store import MarkKind, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMark:
    """A release and when it was first seen or back; `by` is who set the mark, None: a worker."""

    release: str
    at: float
    by: str | None
    kind: MarkKind


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
    place = {"service": query.service, "environment": query.environment}
    most = page.offset + page.limit + 1
    marks = marks_between(query.store, **place, since=query.begin, until=query.end, limit=most)
    earlier = marks_between(query.store, **place, since=0.0, until=query.begin, limit=1)
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


def marks_between(
    store: Store, *, service: str, environment: str, since: float, until: float, limit: int
) -> list[ReleaseMark]:
    """Read the marks of a scope in [since, until), newest first; one query."""
    found = store.releases(
        service=service, environment=environment, since=since, until=until, limit=limit
    )
    return [
        ReleaseMark(release=one.scope.release, at=one.at, by=one.by or None, kind=one.kind)
        for one in found
    ]
