"""What frames add up to: per point of a chart, per route and over a whole window."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from watchkeeper.core import metrics
from watchkeeper.core.histogram import SCALE, Histogram
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, Gauge, Value

Route = tuple[str, str]  # method and route template


class _Part(IntEnum):
    """What a series contributes to."""

    NOTHING = 0
    DURATION = 1
    BAD = 2  # broken or unhandled: an error that the status does not tell
    LEFT = 3  # the client left: a request without a duration
    APP_CPU = 4
    HOST_CPU = 5
    HOST_MEMORY = 6


_PARTS: Final = {
    metrics.HTTP_DURATION.name: _Part.DURATION,
    metrics.HTTP_BROKEN.name: _Part.BAD,
    metrics.HTTP_UNHANDLED.name: _Part.BAD,
    metrics.HTTP_DISCONNECTS.name: _Part.LEFT,
    metrics.PROCESS_CPU.name: _Part.APP_CPU,
    metrics.HOST_CPU.name: _Part.HOST_CPU,
    metrics.HOST_MEMORY.name: _Part.HOST_MEMORY,
}


class RouteTally:
    """Requests of one route: how many, how many of them errors, and seconds spent in all."""

    __slots__ = ("bad", "histograms", "requests", "seconds")

    def __init__(self) -> None:
        """Start at nothing."""
        self.requests = 0
        self.bad = 0
        self.seconds = 0.0
        self.histograms: list[Histogram] = []

    def latency(self) -> Histogram:
        """Merge the latencies: done for the few routes that are shown."""
        return merged(self.histograms)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A series, resolved once: its part, whether it counts errors, and its route's tally."""

    series: Series
    part: _Part
    failed: bool
    route: RouteTally


class Tally:
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

    @property
    def error_rate(self) -> float | None:
        """(5xx + broken + unhandled) / (requests with a duration + disconnects), 0 to 1."""
        return min(self.bad / self.requests, 1.0) if self.requests else None

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
        return _mean(sum(by_worker.values()) for by_worker in self._app_cpu.values())

    @property
    def host_cpu(self) -> float | None:
        """Busy share of the busiest host, 0 to 1; the mean of the span."""
        return _mean(self._host_cpu.values())

    @property
    def host_memory(self) -> float | None:
        """Used share of the fullest host's memory, 0 to 1; the mean of the span."""
        return _mean(self._host_memory.values())

    def read(self, part: _Part, start: int, series: Series, value: Gauge) -> None:
        """Add a gauge's reading: a later one of the same worker and slot takes its place."""
        if part is _Part.APP_CPU:
            self._app_cpu.setdefault(start, {})[series] = value.last
        elif part in (_Part.HOST_CPU, _Part.HOST_MEMORY):
            by_start = self._host_cpu if part is _Part.HOST_CPU else self._host_memory
            by_start[start] = max(value.last, by_start.get(start, 0.0))

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


def add_up(
    frames: Iterable[Frame], *, point_of: Callable[[Frame], int], pause: Callable[[], None]
) -> Tallies:
    """Add frames up; `point_of` says which point of the chart a frame belongs to.

    `pause` is called between frames, so that the host's threads get their turn.
    """
    points: dict[int, Tally] = {}
    routes: dict[Route, RouteTally] = {}
    # Keyed by identity: frames read together share their series, and hashing one costs more than
    # all else that is done with it. Each is kept by its meaning, so that no id is used again.
    meanings: dict[int, _Meaning] = {}
    for frame in frames:
        point = points.setdefault(point_of(frame), Tally())
        point.spans[frame.key.start] = frame.key.resolution
        for series, value in frame.values.items():
            meaning = meanings.get(id(series))
            if meaning is None:
                meaning = meanings[id(series)] = _meaning(series, routes)
            if meaning.part:
                _add(point, meaning, value, frame.key.start)
        pause()
    whole = Tally()
    for point in points.values():
        whole.absorb(point)
        pause()
    return Tallies(points, routes, whole)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Merge many small histograms at once, in half the time of merging them one by one."""
    whole = Histogram()
    buckets = whole.buckets
    get = buckets.get
    others = []
    for one in histograms:
        if one.scale != SCALE or one.zero or one.negative:
            others.append(one)
            continue
        for index, count in one.buckets.items():
            buckets[index] = get(index, 0) + count
        whole.count += one.count
        whole.sum += one.sum
        if one.min < whole.min:
            whole.min = one.min
        if one.max > whole.max:
            whole.max = one.max
    for one in others:
        whole.merge(one)
    return whole


def _meaning(series: Series, routes: dict[Route, RouteTally]) -> _Meaning:
    part = _PARTS.get(series.metric, _Part.NOTHING)
    of_requests = part in (_Part.DURATION, _Part.BAD, _Part.LEFT)
    route = (series.label("method"), series.label("route"))
    return _Meaning(
        series=series,
        part=part,
        failed=series.label("status").startswith("5"),
        route=routes.setdefault(route, RouteTally()) if of_requests else RouteTally(),
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
    elif part is _Part.LEFT:
        point.requests += int(value)
        route.requests += int(value)
    elif part is _Part.BAD:
        point.bad += int(value)
        route.bad += int(value)


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None
