"""What frames add up to: per point of a chart, per route and over a whole window."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, Gauge, Value
from watchkeeper.core.tallies import is_failure
from watchkeeper.dashboard.reading import Reading
from watchkeeper.storage.store import HourTotal

Route = tuple[str, str]  # method and route template


class _Part(IntEnum):
    """What a series contributes to."""

    NOTHING = 0
    DURATION = 1
    BAD = 2  # broken, unhandled or called bad: an error that the status does not tell
    LEFT = 3  # the client left: a request without a duration
    APP_CPU = 4
    HOST_CPU = 5
    HOST_MEMORY = 6
    EXCUSED = 7  # an error by its status that the settings do not call bad


_PARTS: Final[dict[str, _Part]] = {
    catalogue.HTTP_DURATION.name: _Part.DURATION,
    catalogue.HTTP_BROKEN.name: _Part.BAD,
    catalogue.HTTP_UNHANDLED.name: _Part.BAD,
    catalogue.HTTP_BAD.name: _Part.BAD,
    catalogue.HTTP_EXCUSED.name: _Part.EXCUSED,
    catalogue.HTTP_DISCONNECTS.name: _Part.LEFT,
    catalogue.PROCESS_CPU.name: _Part.APP_CPU,
    catalogue.HOST_CPU.name: _Part.HOST_CPU,
    catalogue.HOST_MEMORY.name: _Part.HOST_MEMORY,
}

METRICS: Final = tuple(_PARTS)
"""The names of the metrics that are added up here; those of others may be left unread."""

SUMMED_METRICS: Final = (
    catalogue.HTTP_ALL.name,
    *(name for name in METRICS if name != catalogue.HTTP_DURATION.name),
)
"""What the minutes of sealed hours are added up from where routes need not be told apart."""

ROUTE_METRICS: Final = tuple(
    name
    for name, part in _PARTS.items()
    if part not in (_Part.APP_CPU, _Part.HOST_CPU, _Part.HOST_MEMORY)
)
"""What routes are told apart by."""

_PARTS[catalogue.HTTP_ALL.name] = _Part.DURATION


class Counted:
    """Requests, and how many of them are errors; `bad` is below 0 until they add up."""

    __slots__ = ()
    bad: int
    requests: int

    @property
    def errors(self) -> int:
        """How many failed; what is excused may have failed before the span."""
        return max(self.bad, 0)

    @property
    def error_rate(self) -> float | None:
        """(5xx + broken + unhandled + bad - excused) / (with a duration + left), 0 to 1."""
        return min(self.errors / self.requests, 1.0) if self.requests else None


class RouteTally(Counted):
    """Requests of one route: how many, how many of them errors, and seconds spent in all."""

    __slots__ = ("bad", "histograms", "requests", "seconds")

    def __init__(self) -> None:
        """Start at nothing."""
        self.requests = 0
        self.bad = 0
        self.seconds = 0.0
        self.histograms: list[Histogram] = []

    def latency(self) -> Histogram:
        """Return all latencies in seconds, merged."""
        return merged(self.histograms)

    def shrink(self) -> None:
        """Merge the histograms into one, so that those of the frames are let go."""
        if len(self.histograms) > 1:
            self.histograms = [merged(self.histograms)]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A series, resolved once: its part, whether it counts errors, and its route's tally."""

    series: Series
    part: _Part
    failed: bool
    route: RouteTally


class Tally(Counted):
    """The requests and resources of one span of time, added up frame by frame."""

    __slots__ = (
        "_app_cpu",
        "_host_cpu",
        "_host_memory",
        "_latency",
        "bad",
        "histograms",
        "requests",
        "spans",
    )

    def __init__(self) -> None:
        """Start at nothing."""
        self.requests = 0
        self.bad = 0
        self.histograms: list[Histogram] = []
        self._latency: Histogram | None = None
        self.spans: dict[int, int] = {}  # start → seconds of each slot or minute that was there
        self._app_cpu: dict[int, dict[Series, float]] = {}
        self._host_cpu: dict[int, float] = {}
        self._host_memory: dict[int, float] = {}

    def covered_s(self, *, now: float) -> float:
        """Return the seconds that there is data for; what lies ahead of `now` is not counted."""
        return sum(
            min(start + length, now) - start for start, length in self.spans.items() if start < now
        )

    @property
    def latency(self) -> Histogram:
        """All latencies in seconds, merged at the first look, after everything was added."""
        if self._latency is None:
            self._latency = merged(self.histograms)
        return self._latency

    def quantile(self, q: float) -> float | None:
        """Return a quantile of the latency in seconds, None without requests."""
        return self.latency.quantile(q) if self.latency.count else None

    @property
    def app_cpu(self) -> float | None:
        """CPU of all workers together, 1 being one core; the mean of the span."""
        return self._mean({at: sum(found.values()) for at, found in self._app_cpu.items()})

    @property
    def host_cpu(self) -> float | None:
        """Busy share of the busiest host, 0 to 1; the mean of the span."""
        return self._mean(self._host_cpu)

    @property
    def host_memory(self) -> float | None:
        """Used share of the fullest host's memory, 0 to 1; the mean of the span."""
        return self._mean(self._host_memory)

    def _mean(self, values: Mapping[int, float]) -> float | None:
        """Return the mean of values by start, each for as long as there is data from it on."""
        lengths = {start: self.spans.get(start, 0) or 1 for start in values}
        whole = sum(lengths.values())
        return sum(values[at] * lengths[at] for at in values) / whole if whole else None

    def read(self, part: _Part, start: int, series: Series, value: Gauge) -> None:
        """Add a gauge's reading: a later one of the same worker and slot takes its place."""
        if part is _Part.APP_CPU:
            self._app_cpu.setdefault(start, {})[series] = value.last
        elif part in (_Part.HOST_CPU, _Part.HOST_MEMORY):
            by_start = self._host_cpu if part is _Part.HOST_CPU else self._host_memory
            by_start[start] = max(value.last, by_start.get(start, 0.0))

    def shrink(self) -> None:
        """Merge the histograms into one, so that those of the frames are let go."""
        if len(self.histograms) > 1:
            self.histograms = [merged(self.histograms)]

    def absorb(self, other: "Tally") -> None:
        """Add the tally of another span."""
        self.requests += other.requests
        self.bad += other.bad
        self.histograms.append(other.latency)
        self.spans.update(other.spans)
        self._app_cpu.update(other._app_cpu)
        self._host_cpu.update(other._host_cpu)
        self._host_memory.update(other._host_memory)


@dataclass(frozen=True, slots=True)
class Tallies:
    """What a window adds up to: by start of a chart's point, by route, and in all."""

    points: dict[int, Tally]
    routes: dict[Route, RouteTally]
    whole: Tally


class Adding:
    """Adds frames up piece by piece, keeping no more of a piece than its sums."""

    def __init__(self, *, by_route: bool = True) -> None:
        """Start at nothing; without `by_route` only the points and the whole are added up."""
        self._points: dict[int, Tally] = {}
        self._routes: dict[Route, RouteTally] | None = {} if by_route else None

    def add(
        self,
        piece: Reading,
        *,
        point_of: Callable[[Frame], int],
        pause: Callable[[], None],
    ) -> None:
        """Add one piece; `point_of` says which point of the chart a frame belongs to.

        A piece of summed metrics adds to the points only: see `add_totals`. `pause` is called
        between frames, so that the host's threads get their turn.
        """
        points: dict[int, Tally] = {}
        # Keyed by identity: frames read together share their series, which are kept by their
        # meanings meanwhile, so that no id is used again. That is faster than by their hash.
        meanings: dict[int, _Meaning] = {}
        routes = None if piece.summed else self._routes
        for frame in piece.frames:
            at, start = point_of(frame), frame.key.start
            point = points[at] = self._points.setdefault(at, Tally())
            point.spans[start] = piece.covered_s.get(start, frame.key.resolution)
            for series, value in frame.values.items():
                meaning = meanings.get(id(series))
                if meaning is None:
                    meaning = meanings[id(series)] = _meaning(series, routes)
                if meaning.part:
                    _add(point, meaning, value, frame.key.start)
            pause()
        for point in points.values():
            point.shrink()
            pause()
        for route in (self._routes or {}).values():
            route.shrink()
            pause()

    def add_totals(self, totals: Mapping[Series, HourTotal]) -> None:
        """Add what was left out of the routes: counts and seconds, no histograms."""
        for series, total in totals.items():
            meaning = _meaning(series, self._routes)
            route = meaning.route
            if meaning.part is _Part.DURATION:
                route.requests += total.count
                route.seconds += total.sum
                route.bad += total.count if meaning.failed else 0
            else:
                _count(route, meaning.part, int(total.sum))

    def tallies(self, *, pause: Callable[[], None]) -> Tallies:
        """Return the sums, after everything was added."""
        whole = Tally()
        for point in self._points.values():
            whole.absorb(point)
            pause()
        return Tallies(self._points, self._routes or {}, whole)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Merge many small histograms at once, in half the time of merging them one by one.

    Those of a scale are added up first: slots and minutes have one, hours have another. One alone
    is returned itself: what this returns is for reading.
    """
    every = list(histograms)
    if len(every) == 1:
        return every[0]
    scales: dict[int, Histogram] = {}
    for one in every:
        whole = scales.get(one.scale)
        if whole is None:
            scales[one.scale] = one.copy()
            continue
        if one.zero or one.negative or whole.scale != one.scale:
            whole.merge(one)  # which may make it coarser; what follows is merged as well
            continue
        buckets = whole.buckets
        get = buckets.get
        for index, count in one.buckets.items():
            buckets[index] = get(index, 0) + count
        whole.count += one.count
        whole.sum += one.sum
        if one.min < whole.min:
            whole.min = one.min
        if one.max > whole.max:
            whole.max = one.max
    if not scales:
        return Histogram()
    first, *others = sorted(scales.values(), key=lambda one: one.scale)
    for one in others:
        first.merge(one)
    return first


def _meaning(series: Series, routes: dict[Route, RouteTally] | None) -> _Meaning:
    part = _PARTS.get(series.metric, _Part.NOTHING)
    of_requests = part in (_Part.DURATION, _Part.BAD, _Part.LEFT, _Part.EXCUSED)
    route = (series.label("method"), series.label("route"))
    return _Meaning(
        series=series,
        part=part,
        failed=is_failure(series.label("status")),
        route=RouteTally()
        if routes is None or not of_requests
        else routes.setdefault(route, RouteTally()),
    )


def _add(point: Tally, meaning: _Meaning, value: Value, start: int) -> None:
    route = meaning.route
    part = meaning.part
    if isinstance(value, Histogram):
        count = value.count
        if part is _Part.DURATION and count:
            point.requests += count
            point.histograms.append(value)
            route.requests += count
            route.seconds += value.sum
            route.histograms.append(value)
            if meaning.failed:
                point.bad += count
                route.bad += count
    elif isinstance(value, Gauge):
        point.read(part, start, meaning.series, value)
    else:
        _count(point, part, int(value))
        _count(route, part, int(value))


def _count(counted: Tally | RouteTally, part: _Part, count: int) -> None:
    if part is _Part.LEFT:
        counted.requests += count
    elif part is _Part.BAD:
        counted.bad += count
    elif part is _Part.EXCUSED:
        counted.bad -= count
