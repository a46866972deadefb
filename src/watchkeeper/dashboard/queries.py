"""From the store to view models, for the pages, the JSON API and the CLI alike."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.issues import State
from watchkeeper.core.messages import without_name
from watchkeeper.core.metrics import Series
from watchkeeper.core.silences import rank
from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.dashboard.figures import part, quantile
from watchkeeper.dashboard.issues import bars
from watchkeeper.dashboard.reading import SETTLING_S, read_pieces
from watchkeeper.dashboard.releases import marks_between
from watchkeeper.dashboard.status import judge
from watchkeeper.dashboard.tallies import (
    METRICS,
    ROUTE_METRICS,
    SUMMED_METRICS,
    Adding,
    Route,
    RouteTally,
    Tallies,
    Tally,
)
from watchkeeper.dashboard.views import (
    Figures,
    IncidentRow,
    IssuePage,
    IssueRow,
    Overview,
    Point,
    RouteRow,
)
from watchkeeper.dashboard.windows import MINUTE_S, align_up, is_fine, step_s
from watchkeeper.storage.issues import Search
from watchkeeper.storage.store import HourTotal, Incident, Store, Worker

MAX_ROUTES: Final = 8
MAX_ISSUES: Final = 8
MAX_FIRING: Final = 1_000  # of those the status is told, the newest; more are not read
MAX_INCIDENTS: Final = 20  # listed, the worst
MAX_RELEASES: Final = 50  # drawn on the charts, the newest
_LISTED: Final = [one for one in State if one is not State.IGNORED]
SPARK_BARS: Final = 24
TREND_S: Final = 86_400
TREND_BAR_S: Final = 1_800
HEARTBEATS_S: Final = 86_400.0
LIVE_S: Final = 90.0  # a worker that wrote within so long counts as running


def overview(
    store: Store,
    *,
    service: str,
    environment: str,
    start: float,
    end: float,
    now: float,
    slot_s: int,
    pause: Callable[[], None] = lambda: None,
) -> Overview:
    """Compose the overview of [start, end), seconds since the epoch.

    It takes seven queries, and those of `read_pieces`: at most an hour's minutes, or the rows of
    some hours, are in memory at once. The window's start is aligned to a point of the charts,
    so that refreshing moves no point. Figures are compared with the span of the same length
    before. `pause` is called often, so that the host's threads get their turn. Raises
    StorageError if the store does not answer.
    """
    step = step_s(end - start, slot_s=slot_s)
    fine = is_fine(end - start)
    begin = slot_start(start, MINUTE_S) if fine else align_up(start, step)
    earlier = begin - align_up(end - begin, MINUTE_S)
    minutes: set[int] = set()
    hours: set[int] = set()
    summed: set[int] = set()  # hours of which routes were not told apart
    grid = _Grid(minutes=minutes, hours=hours, step=step)
    shown, sooner = Adding(), Adding(by_route=False)
    for piece in read_pieces(
        store,
        service=service,
        environment=environment,
        since=earlier,
        border=begin,
        until=end,
        slot_s=slot_s,
        metrics=METRICS,
        minutes_from=begin if step < HOUR_S else None,
        fine_from=begin if fine else None,
        means=True,
        summed_metrics=SUMMED_METRICS,
    ):
        minutes |= piece.minutes
        hours |= piece.hours
        if piece.start >= begin:
            summed |= piece.summed
            shown.add(piece, point_of=grid.point_of, pause=pause)
        else:
            sooner.add(piece, point_of=lambda _: earlier, pause=pause)
    routes = _HourRoutes(store, service, environment, _spans(summed))
    shown.add_totals(routes.totals)
    pause()
    tallies = shown.tallies(pause=pause)
    before = sooner.tallies(pause=pause).whole
    workers = store.workers(
        service=service, environment=environment, seen_since=now - HEARTBEATS_S
    )
    age_s = _data_age_s(workers, {**before.spans, **tallies.whole.spans}, now=now)
    firing = store.incidents(
        service=service, environment=environment, states=("firing",), since=0, limit=MAX_FIRING
    )
    worst = sorted(firing, key=lambda one: -rank(one.severity))[:MAX_INCIDENTS]
    alive = [one for one in workers if one.stopped_at is None and one.seen_at > now - LIVE_S]
    return Overview(
        service=service,
        environment=environment,
        storage=store.description(),
        at=now,
        start=begin,
        end=end,
        step_s=step,
        status=judge(
            firing,
            data_age_s=age_s,
            evaluated_at=store.evaluated_at(service=service, environment=environment),
            slot_s=slot_s,
            now=now,
        ),
        data_age_s=age_s,
        workers=len(alive),
        hosts=len({one.host for one in alive}),
        incidents=tuple(incident_row(one, now=now) for one in worst),
        more_incidents=len(firing) - len(worst),
        releases=tuple(
            marks_between(
                store,
                service=service,
                environment=environment,
                since=begin,
                until=end,
                limit=MAX_RELEASES,
            )
        ),
        figures=_figures(tallies.whole, now=now),
        before=_comparable(before, span_s=begin - earlier, now=now),
        points=grid.points(tallies, begin=begin, end=end, settled=now - slot_s - SETTLING_S),
        routes=_worst(tallies, routes, now=now, pause=pause),
        issues=_issues(store, service, environment, begin=begin, end=end),
    )


def issue_page(store: Store, issue_id: int, *, now: float) -> IssuePage | None:
    """Compose the page of one issue; None if there is no such issue."""
    issue = store.issue(issue_id)
    if issue is None:
        return None
    events = store.events(issue_id, limit=1)
    trend_from = align_up(now - TREND_S, TREND_BAR_S)
    counts = store.issue_counts(
        [issue_id], since=trend_from, until=now, resolution=TREND_BAR_S
    ).get(issue_id, {})
    return IssuePage(
        issue=issue,
        event=events[0] if events else None,
        trend=bars(counts, start=trend_from, bar_s=TREND_BAR_S, end=now),
        trend_from=trend_from,
        trend_bar_s=TREND_BAR_S,
        at=now,
    )


def incident_row(incident: Incident, *, now: float) -> IncidentRow:
    """Describe an incident as it is now; its summary without rule and group, shown beside it."""
    data: Mapping[str, Any] = incident.data
    threshold = data.get("threshold")
    summary, labels = str(data.get("summary") or incident.reason), data.get("labels", {})
    return IncidentRow(
        id=incident.id,
        rule=incident.rule,
        group=incident.group,
        severity=incident.severity,
        since=incident.started_at,
        lasted_s=max((incident.resolved_at or now) - incident.started_at, 0.0),
        value=incident.value,
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        summary=without_name(summary, incident.rule, labels),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Where the points of the charts lie: `step` seconds apart, or as far as the data are.

    `minutes` and `hours` are the starts of those of which no more than the whole is known; they
    grow as pieces are read.
    """

    minutes: Set[int]
    hours: Set[int]
    step: int

    def point_of(self, frame: Frame) -> int:
        """Return the start of the point that a frame belongs to."""
        return slot_start(frame.key.start, self._width(frame.key.start))

    def points(
        self, tallies: Tallies, *, begin: int, end: float, settled: float
    ) -> tuple[Point, ...]:
        """Return every point of the window; those without data are gaps."""
        points: list[Point] = []
        at = begin
        while at < end:
            width = self._width(at)
            tally = tallies.points.get(at)
            points.append(
                Point(
                    start=at,
                    width_s=width,
                    partial=at + width > settled,
                    figures=None if tally is None else _figures(tally, now=end),
                )
            )
            at += width
        return tuple(points)

    def _width(self, at: int) -> int:
        if slot_start(at, HOUR_S) in self.hours:
            return max(self.step, HOUR_S)
        if self.step >= MINUTE_S or slot_start(at, MINUTE_S) not in self.minutes:
            return self.step
        return MINUTE_S


def _figures(tally: Tally, *, now: float) -> Figures:
    covered_s = tally.covered_s(now=now)
    return Figures(
        requests=tally.requests,
        errors=tally.errors,
        requests_per_s=part(tally.requests, covered_s),
        error_rate=tally.error_rate,
        p50_s=tally.quantile(0.50),
        p95_s=tally.quantile(0.95),
        p99_s=tally.quantile(0.99),
        host_cpu=tally.host_cpu,
        host_memory=tally.host_memory,
        app_cpu=tally.app_cpu,
    )


def _comparable(tally: Tally, *, span_s: int, now: float) -> Figures | None:
    """Return the earlier span's figures, unless data of more than half of it are missing."""
    return _figures(tally, now=now) if tally.covered_s(now=now) * 2 >= span_s else None


def _data_age_s(
    workers: Sequence[Worker], spans: Mapping[int, int], *, now: float
) -> float | None:
    """Return the seconds since the newest heartbeat, or else since the newest frame's end."""
    if workers:
        return max(now - max(one.seen_at for one in workers), 0.0)
    newest = max((start + length for start, length in spans.items()), default=None)
    return None if newest is None else max(now - newest, 0.0)


class _HourRoutes:
    """The routes of whole hours: all of them added up, the latencies of those that are shown."""

    def __init__(
        self, store: Store, service: str, environment: str, spans: Sequence[tuple[int, int]]
    ) -> None:
        """Add up the hours of each span (start, end)."""
        self._store = store
        self._scope = {"service": service, "environment": environment}
        self._spans = spans
        self.totals: dict[Series, HourTotal] = {}
        for start, end in spans:
            found = store.hour_totals(since=start, until=end, metrics=ROUTE_METRICS, **self._scope)
            for series, more in found.items():
                one = self.totals.get(series, HourTotal(count=0, sum=0.0))
                self.totals[series] = HourTotal(
                    count=one.count + more.count, sum=one.sum + more.sum
                )

    def latencies(self, routes: Collection[Route]) -> dict[Route, list[Histogram]]:
        """Read the latencies of some routes, hour by hour."""
        wanted = {
            series: (series.label("method"), series.label("route"))
            for series in self.totals
            if series.metric == HTTP_DURATION.name
        }
        chosen = [series for series, route in wanted.items() if route in routes]
        found: dict[Route, list[Histogram]] = {route: [] for route in routes}
        for start, end in self._spans if chosen else ():
            for row in self._store.hours(
                since=start, until=end, metrics=[HTTP_DURATION.name], series=chosen, **self._scope
            ):
                if row.hour.histogram is not None:
                    found[wanted[row.series]].append(row.hour.histogram)
        return found


def _spans(hours: Collection[int]) -> list[tuple[int, int]]:
    """Join neighbouring hours: (start of the first, end of the last) of each run."""
    spans: list[tuple[int, int]] = []
    for start in sorted(hours):
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + HOUR_S)
        else:
            spans.append((start, start + HOUR_S))
    return spans


def _worst(
    tallies: Tallies, hours: _HourRoutes, *, now: float, pause: Callable[[], None]
) -> tuple[RouteRow, ...]:
    """Choose the routes that hurt most: their part of all errors plus their part of all time."""
    all_bad = sum(one.errors for one in tallies.routes.values()) or 1
    all_seconds = sum(one.seconds for one in tallies.routes.values())
    covered_s = tallies.whole.covered_s(now=now)

    def impact(entry: tuple[Route, RouteTally]) -> tuple[float, int, Route]:
        route, tally = entry
        return (
            tally.errors / all_bad + tally.seconds / (all_seconds or 1),
            tally.requests,
            route,
        )

    chosen = dict(sorted(tallies.routes.items(), key=impact, reverse=True)[:MAX_ROUTES])
    for route, histograms in hours.latencies(chosen).items():
        chosen[route].histograms += histograms
        pause()
    return tuple(
        RouteRow(
            method=route[0],
            route=route[1],
            requests=tally.requests,
            requests_per_s=part(tally.requests, covered_s),
            error_rate=tally.error_rate,
            p95_s=quantile(tally.latency(), 0.95),
            time_share=part(tally.seconds, all_seconds),
        )
        for route, tally in chosen.items()
    )


def _issues(
    store: Store, service: str, environment: str, *, begin: int, end: float
) -> tuple[IssueRow, ...]:
    found = store.find_issues(
        Search(
            service=service,
            environment=environment,
            states=_LISTED,
            seen_since=begin,
            limit=MAX_ISSUES,
        )
    )
    issues = [one for one in found if one.first_at < end]
    bar_s = max(align_up((end - begin) / SPARK_BARS, 1), 1)
    since = slot_start(begin, bar_s)
    counts = (
        store.issue_counts([one.id for one in issues], since=since, until=end, resolution=bar_s)
        if issues
        else {}
    )
    rows = []
    for issue in issues:
        shown = bars(counts.get(issue.id, {}), start=since, bar_s=bar_s, end=end)
        rows.append(
            IssueRow(
                id=issue.id,
                type=issue.type,
                title=issue.title,
                culprit=issue.culprit,
                state=issue.state,
                is_new=issue.first_at >= begin,
                count=sum(shown),
                total=issue.count,
                first_at=issue.first_at,
                last_at=issue.last_at,
                counts=shown,
            )
        )
    return tuple(rows)
