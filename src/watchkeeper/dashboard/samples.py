"""Stored requests, as a list and one by one with what happened inside."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from watchkeeper.storage.store import Sample

MAX_EVENTS: Final = 20  # of one request
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
    fingerprints = None
    if issue is not None:
        found = of_scope(query, issue)
        if found is None:
            return None
        fingerprints = query.store.issue_fingerprints(found.id)
    rows = query.store.samples(
        service=query.service,
        environment=query.environment,
        since=query.begin,
        until=query.end,
        limit=page.offset + page.limit + 1,
        route=route,
        reason=reason,
        fingerprints=fingerprints,
        request_id=request_id,
    )
    return SamplesView(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        more=len(rows) > page.offset + page.limit,
        samples=sample_rows(query, page.of(rows)),
    )


def sample_rows(query: Query, found: Sequence[Sample]) -> tuple[SampleRow, ...]:
    """Describe samples, each with the issue that its request failed with."""
    issues = _issues(query, found)
    return tuple(_row(one, issues) for one in found)


def sample(query: Query, sample_id: str) -> SampleView | None:
    """Tell all of one sample, with its waterfall; None if there is none, or no more."""
    found = query.store.sample(sample_id, service=query.service, environment=query.environment)
    if found is None:
        return None
    data = found.data
    details = _details(data)
    spans = _spans(data)
    tags = data.get("tags")
    return SampleView(
        sample=_row(found, _issues(query, (found,))),
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
    )


def _row(one: Sample, issues: Mapping[str, int]) -> SampleRow:
    return SampleRow(
        id=one.id,
        at=one.at,
        reason=one.reason,
        method=one.method,
        route=one.route,
        status=one.status,
        duration_s=one.duration_s,
        request_id=one.request_id,
        issue=issues.get(one.fingerprint),
        release=one.release,
        kinds=_kinds(one.data.get("kinds")),
        own_s=_number(one.data.get("own_s")),
    )


def _issues(query: Query, found: Sequence[Sample]) -> Mapping[str, int]:
    fingerprints = {one.fingerprint for one in found if one.fingerprint}
    if not fingerprints:
        return {}
    return query.store.issue_ids(
        fingerprints, service=query.service, environment=query.environment
    )


def _events(query: Query, found: Sample) -> tuple[SampleEvent, ...]:
    """Find the errors of a sample's request: by its id, which others may have sent as well."""
    if not found.request_id:
        return ()
    scope = {"service": query.service, "environment": query.environment}
    events = query.store.events_of_request(found.request_id, **scope, limit=MAX_EVENTS)
    issues = query.store.issue_ids({one.fingerprint for one in events}, **scope) if events else {}
    return tuple(
        SampleEvent(id=one.id, issue=issues.get(one.fingerprint), at=one.at) for one in events
    )


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
