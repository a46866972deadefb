"""What chosen metrics add up to over a window, by the labels of their own."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Across, Metric, Series
from watchkeeper.core.rollup import merge_frames, merge_time
from watchkeeper.core.slot import Frame, Gauge, slot_start
from watchkeeper.dashboard.reading import SETTLING_S, Reading, read_pieces
from watchkeeper.dashboard.tallies import merged
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.storage.store import Store

Labels = tuple[str, ...]
"""The values of a metric's own labels, in the order of its declaration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked about: a store's scope and a span of it, asked at `now`.

    `pause` is called often, so that the host's threads get their turn.
    """

    store: Store
    service: str
    environment: str
    start: float
    end: float
    now: float
    slot_s: int
    pause: Callable[[], None] = lambda: None

    @property
    def begin(self) -> int:
        """The start of the minute that the span begins in: as far as is read."""
        return slot_start(self.start, MINUTE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A gauge over a span: its latest value, when its slot began, and the extremes."""

    latest: float
    at: int
    lowest: float
    highest: float


class Sums:
    """Values added up piece by piece, over releases and workers; no more than sums are kept."""

    def __init__(self, metrics: Iterable[Metric], *, now: float) -> None:
        """Start at nothing; of other metrics nothing will be kept."""
        self.spans: dict[int, int] = {}  # start → seconds of each slot or minute that was there
        self._labels = {metric.name: metric.labels for metric in metrics}
        self._now = now
        self._counters: dict[tuple[str, Labels], float] = defaultdict(float)
        self._histograms: dict[tuple[str, Labels], list[Histogram]] = defaultdict(list)
        self._gauges: dict[Series, Gauge] = {}
        self._latest: dict[Series, int] = {}

    def covered_s(self) -> float:
        """Return the seconds that there is data for; what lies ahead is not counted."""
        return sum(
            min(start + length, self._now) - start
            for start, length in self.spans.items()
            if start < self._now
        )

    def counters(self, metric: Metric) -> dict[Labels, float]:
        """Return a counter's increase by its labels; without those that were not there."""
        return {key: total for (name, key), total in self._counters.items() if name == metric.name}

    def histograms(self, metric: Metric) -> dict[Labels, Histogram]:
        """Return a histogram by its labels; without those that were not there."""
        return {
            key: merged(parts)
            for (name, key), parts in self._histograms.items()
            if name == metric.name
        }

    def levels(self, metric: Metric) -> dict[Labels, Level]:
        """Return a gauge by its labels; without those that were not there."""
        series: dict[Labels, list[Series]] = defaultdict(list)
        for one in self._gauges:
            if one.metric == metric.name:
                series[self._key(one)].append(one)
        return {key: self._level(some) for key, some in series.items()}

    def add(self, piece: Reading, *, pause: Callable[[], None]) -> None:
        """Add one piece, later than those before."""
        # Keyed by identity: frames read together share their series, and live meanwhile.
        keys: dict[int, tuple[str, Labels]] = {}
        gauges: list[Frame] = []
        for frame in piece.frames:
            start = frame.key.start
            self.spans[start] = piece.covered_s.get(start, frame.key.resolution)
            levels: dict[Series, Gauge] = {}
            # Until a slot is settled a worker may be missing from what is combined over workers.
            settled = frame.key.start + frame.key.resolution <= self._now - SETTLING_S
            for series, value in frame.values.items():
                key = keys.get(id(series))
                if key is None:
                    key = keys[id(series)] = (series.metric, self._key(series))
                if isinstance(value, Histogram):
                    self._histograms[key].append(value)
                elif isinstance(value, Gauge):
                    if settled or series.across is Across.LAST:
                        levels[series] = value
                else:
                    self._counters[key] += value
            if levels:
                gauges.append(replace(frame, values=levels))
                self._latest.update(dict.fromkeys(levels, frame.key.start))
            pause()
        for parts in self._histograms.values():
            if len(parts) > 1:
                parts[:] = [merged(parts)]
                pause()
        read = merge_frames(gauges, pause=pause)
        self._gauges = {
            series: value
            for series, value in merge_time([self._gauges, read]).items()
            if isinstance(value, Gauge)
        }

    def _key(self, series: Series) -> Labels:
        labels = dict(series.labels)
        return tuple(labels.get(name, "") for name in self._labels.get(series.metric, ()))

    def _level(self, some: Sequence[Series]) -> Level:
        """Combine the releases of one gauge: the latest value is of those that ran last."""
        at = max(self._latest[one] for one in some)
        running = [self._gauges[one].last for one in some if self._latest[one] == at]
        return Level(
            latest=sum(running) if some[0].across is Across.SUM else max(running),
            at=at,
            lowest=min(self._gauges[one].min for one in some),
            highest=max(self._gauges[one].max for one in some),
        )


def read_sums(query: Query, metrics: Sequence[Metric]) -> Sums:
    """Read what metrics add up to, piece by piece; see `read_pieces` for its queries."""
    sums = Sums(metrics, now=query.now)
    for piece in read_pieces(
        query.store,
        service=query.service,
        environment=query.environment,
        since=query.begin,
        border=query.begin,
        until=query.end,
        slot_s=query.slot_s,
        metrics=[metric.name for metric in metrics],
    ):
        sums.add(piece, pause=query.pause)
    return sums
