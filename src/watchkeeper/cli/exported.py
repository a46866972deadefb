"""What can be exported: for each kind its columns, and its rows page by page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from watchkeeper.cli.formats import Row
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.storage import Store
from watchkeeper.storage.store import Event, HourRow, Incident, Issue, Sample
from watchkeeper.storage.upkeep import Kind

PAGE: Final = 200  # rows with details read at once
MAX_HOUR_ROWS: Final = 5_000  # rows of hours read at once, unless one hour has more
MONTH_S: Final = 30 * 86_400
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be exported: a scope, from a moment on, up to now (seconds since the epoch)."""

    store: Store
    service: str
    environment: str
    since: float
    now: float

    @property
    def scope(self) -> dict[str, str]:
        """The scope as arguments of the store's methods."""
        return {"service": self.service, "environment": self.environment}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One kind of rows. `pages` gives lists of rows, each with how much is done (0 to 1) by it."""

    columns: Sequence[str]
    pages: Callable[[Asked], Iterator[tuple[float, list[Row]]]]


def _hours(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    for done, rows in _hour_rows(asked, metrics=None):
        yield done, [_hour(row) for row in rows]


def _requests(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    for done, rows in _hour_rows(asked, metrics=[HTTP_DURATION.name]):
        yield done, [_request(row) for row in rows]


def _hour_rows(
    asked: Asked, *, metrics: Sequence[str] | None
) -> Iterator[tuple[float, list[HourRow]]]:
    """Read sealed hours, several at once as long as they are small."""
    store = asked.store
    starts = _sealed(asked)
    at, step = 0, 1
    while at < len(starts):
        some = starts[at : at + step]
        rows = store.hours(
            since=some[0],
            until=some[-1] + 1,
            service=asked.scope["service"],
            environment=asked.scope["environment"],
            metrics=metrics,
        )
        at += len(some)
        yield at / len(starts), rows
        step = max(1, MAX_HOUR_ROWS * len(some) // max(1, len(rows)))
        step = min(step, 4 * len(some))  # the next hours may be larger than these


def _sealed(asked: Asked) -> list[int]:
    """List the sealed hours, oldest first, asking for a month of them at a time."""
    (past,) = asked.store.past(Kind.HOURS, before=asked.now)
    begin = max(asked.since, past.oldest or asked.now)
    months = range(int(begin), int(asked.now), MONTH_S)
    return [
        start
        for month in months
        for start in sorted(
            asked.store.sealed_hours(
                since=max(month, begin),
                until=min(month + MONTH_S, asked.now),
                **asked.scope,
            )
        )
    ]


def _samples(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    after, begin = (asked.since, ""), 0.0
    while page := asked.store.next_samples(after=after, limit=PAGE, **asked.scope):
        begin = begin or page[0].at
        after = (page[-1].at, page[-1].id)
        yield _share(asked, begin, after[0]), [_row(one, _SAMPLE, at=one.at) for one in page]


def _events(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    after, begin = (asked.since, ""), 0.0
    while page := asked.store.next_events(after=after, limit=PAGE, **asked.scope):
        begin = begin or page[0][1].at
        after = (page[-1][1].at, page[-1][1].id)
        rows: list[Row] = [{**_row(one, _EVENT, at=one.at), "issue": issue} for issue, one in page]
        yield _share(asked, begin, after[0]), rows


def _issues(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    after = 0
    while page := asked.store.next_issues(
        seen_since=asked.since, after=after, limit=PAGE, **asked.scope
    ):
        after = page[-1].id
        yield (
            0.0,
            [{**_row(one, _ISSUE, at=one.first_at), "release": one.scope.release} for one in page],
        )


def _incidents(asked: Asked) -> Iterator[tuple[float, list[Row]]]:
    after = 0
    while page := asked.store.next_incidents(
        since=asked.since, after=after, limit=PAGE, **asked.scope
    ):
        after = page[-1].id
        yield 0.0, [_row(one, _INCIDENT, at=one.started_at) for one in page]


def _share(asked: Asked, begin: float, at: float) -> float:
    """Tell how far a moment lies between the beginning and now."""
    return (at - begin) / (asked.now - begin) if asked.now > at > begin else 0.0


def _hour(row: HourRow) -> Row:
    one = row.hour
    return {
        "time": _iso(row.start),
        "start": row.start,
        "metric": row.series.metric,
        "kind": row.series.kind.value,
        "labels": dict(row.series.labels),
        "count": one.count,
        "sum": one.sum,
        "min": one.min,
        "max": one.max,
        **{name: one.quantile(q) for name, q in QUANTILES.items()},
        "last": one.last,
    }


def _request(row: HourRow) -> Row:
    plain = {**_hour(row), **{name: row.series.label(name) for name in _LABELS}}
    return {name: plain[name] for name in _REQUEST}


def _row(one: object, names: Sequence[str], *, at: float) -> dict[str, Any]:
    """Return the fields of a row of the store, with its moment to be read by people."""
    return {"time": _iso(at), **{name: getattr(one, name) for name in names}}


def _iso(at: float) -> str:
    """Write a moment to the millisecond, in UTC."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name != "scope")


_SAMPLE: Final = _fields(Sample)
_EVENT: Final = tuple(name for name in _fields(Event) if name != "issue")
_ISSUE: Final = _fields(Issue)
_INCIDENT: Final = _fields(Incident)
_LABELS: Final = ("method", "route", "status", "release")
_FIGURES: Final = ("count", "sum", "min", "max", *QUANTILES)
_REQUEST: Final = ("time", "start", *_LABELS, *_FIGURES)

EXPORTS: Final[Mapping[str, Exported]] = {
    "requests": Exported(columns=_REQUEST, pages=_requests),
    "hours": Exported(
        columns=("time", "start", "metric", "kind", "labels", *_FIGURES, "last"), pages=_hours
    ),
    "issues": Exported(columns=("time", *_ISSUE, "release"), pages=_issues),
    "events": Exported(columns=("time", "issue", *_EVENT), pages=_events),
    "samples": Exported(columns=("time", *_SAMPLE), pages=_samples),
    "incidents": Exported(columns=("time", *_INCIDENT), pages=_incidents),
}
