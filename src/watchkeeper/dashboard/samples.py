"""Stored requests, as a list and one by one with what happened inside."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from watchkeeper.dashboard.incidents import incidents_of_sample
from watchkeeper.dashboard.issues import of_scope
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.views_inside import (
    Calls,
    SampleEvent,
    SampleRow,
    SamplesView,
    SampleView,
    SampleWorker,
    WaterfallSpan,
)
from watchkeeper.storage.issue_rows import row_names, whole
from watchkeeper.storage.store import Sample

MAX_EVENTS: Final = 20  # of one request
MAX_READ: Final = 2_000  # to find those of one issue among those of its fingerprints
COMPLETE: Final = "complete"
TRUNCATED: Final = "truncated"
DAMAGED: Final = "damaged"


def samples(
    query: Query,
    *,
    page: Page,
    route: str | None = None,
    reason: str | None = None,
    request_id: str | None = None,
    issue: int | None = None,
) -> SamplesView | None:
    """List the samples of a window, newest first; None if there is no such issue."""
    found = None if issue is None else of_scope(query, issue)
    if issue is not None and found is None:
        return None
    rows = read_samples(
        query,
        since=query.begin,
        until=query.end,
        limit=page.offset + page.limit + 1,
        route=route,
        reason=reason,
        request_id=request_id,
        issue=None if found is None else found.id,
    )
    return SamplesView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        more=len(rows) > page.offset + page.limit,
        samples=tuple(row_of(*one) for one in page.of(rows)),
    )


def read_samples(
    query: Query,
    *,
    since: float,
    until: float,
    limit: int,
    issue: int | None = None,
    route: str | None = None,
    reason: str | None = None,
    request_id: str | None = None,
) -> list[tuple[Sample, int | None]]:
    """Read samples, newest first, each with the number of the issue that its request failed with.

    With `issue`, only those that failed with it.
    """
    names = None if issue is None else query.store.issue_fingerprints(issue)
    # One that came by a call path which was split off has the fingerprint of all others.
    wholes = None if names is None else {whole(one) for one in names}
    most = limit
    while True:
        found = query.store.samples(
            service=query.service,
            environment=query.environment,
            since=since,
            until=until,
            limit=most,
            route=route,
            reason=reason,
            fingerprints=wholes,
            request_id=request_id,
        )
        query.pause()
        numbers = _issues(query, found)
        told = [(one, _issue(one, numbers)) for one in found]
        wanted = [(one, number) for one, number in told if issue in (None, number)]
        if len(wanted) >= limit or len(found) < most or most >= MAX_READ:
            return wanted[:limit]
        most = max(min(most * 4, MAX_READ), limit)


def sample(query: Query, sample_id: str) -> SampleView | None:
    """Tell all of one sample, with its waterfall; None if there is none, or no more."""
    found = query.store.sample(sample_id, service=query.service, environment=query.environment)
    if found is None:
        return None
    issue = _issue(found, _issues(query, (found,)))
    data = found.data
    details = _details(data)
    spans = _spans(data)
    tags = data.get("tags")
    return SampleView(
        sample=row_of(found, issue),
        started_at=found.at - found.duration_s,
        worker=_worker(query, found),
        details=details,
        queue_s=_number(data.get("queue_s")),
        first_byte_s=_number(data.get("first_byte_s")),
        spans=spans,
        omitted=int(_number(data.get("omitted")) or 0) if spans is not None else None,
        user=str(data["user"]) if data.get("user") else None,
        tags={str(name): str(value) for name, value in tags.items()}
        if isinstance(tags, Mapping)
        else {},
        events=_events(query, found),
        incidents=incidents_of_sample(query, found, issue),
    )


def row_of(one: Sample, issue: int | None) -> SampleRow:
    """Describe a sample, whose request failed with an issue or with none."""
    return SampleRow(
        id=one.id,
        at=one.at,
        reason=one.reason,
        method=one.method,
        route=one.route,
        status=one.status,
        duration_s=one.duration_s,
        request_id=one.request_id,
        issue=issue,
        release=one.release,
        kinds=_kinds(one.data.get("kinds")),
        own_s=_number(one.data.get("own_s")),
    )


def _issues(query: Query, found: Sequence[Sample]) -> Mapping[str, int]:
    """Find the issues that the names of samples lead to."""
    names = {name for one in found for name in row_names(one)}
    if not names:
        return {}
    return query.store.issue_ids(names, service=query.service, environment=query.environment)


def _issue(one: Sample, numbers: Mapping[str, int]) -> int | None:
    return next((numbers[name] for name in row_names(one) if name in numbers), None)


def _events(query: Query, found: Sample) -> tuple[SampleEvent, ...]:
    """Find the errors of a sample's request: by its id, which others may have sent as well."""
    if not found.request_id:
        return ()
    events = query.store.events_of_request(
        found.request_id, service=query.service, environment=query.environment, limit=MAX_EVENTS
    )
    return tuple(SampleEvent(id=one.id, issue=one.issue or None, at=one.at) for one in events)


def _worker(query: Query, found: Sample) -> SampleWorker | None:
    """Find the process that served a sample; None once it is forgotten."""
    # It wrote the sample after the request had ended.
    workers = query.store.workers(
        service=query.service, environment=query.environment, seen_since=found.at
    )
    for one in workers:
        if one.id == found.worker:
            return SampleWorker(number=one.number, host=one.host)
    return None


def _details(data: Mapping[str, Any]) -> str:
    if data.get("damaged"):
        return DAMAGED
    return TRUNCATED if data.get("truncated") else COMPLETE


def _kinds(kinds: object) -> dict[str, Calls] | None:
    if not isinstance(kinds, Mapping):
        return None
    return {
        str(kind): Calls(count=int(figures[0]), seconds=float(figures[1]))
        for kind, figures in kinds.items()
        if isinstance(figures, list)
        and len(figures) == 2
        and all(_number(one) is not None for one in figures)
    }


def _spans(data: Mapping[str, Any]) -> tuple[WaterfallSpan, ...] | None:
    """Read the spans; one that is no span, for a callback may change what is stored, is not."""
    spans = data.get("spans")
    if not isinstance(spans, list):
        return None
    found = []
    for one in spans:
        fields = one if isinstance(one, Mapping) else {}
        start_s, seconds = _number(fields.get("start_s")), _number(fields.get("seconds"))
        if start_s is not None and seconds is not None:
            statement = fields.get("statement")
            found.append(
                WaterfallSpan(
                    kind=str(fields.get("kind", "")),
                    name=str(fields.get("name", "")),
                    statement=str(statement) if statement else None,
                    start_s=start_s,
                    seconds=seconds,
                )
            )
    return tuple(found)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
