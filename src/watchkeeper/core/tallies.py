"""What a rule keeps of a slot: small sums, so that a window is judged by adding them up."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from watchkeeper.core.catalogue import (
    HTTP_BAD,
    HTTP_BROKEN,
    HTTP_DISCONNECTS,
    HTTP_DURATION,
    HTTP_EXCUSED,
    HTTP_UNHANDLED,
)
from watchkeeper.core.conditions import Comparison, Measure, Selector, write_labels
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import OTHER, Across, Kind, Series
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, FrameKey, Gauge

MAX_GROUPS: Final = 100  # instances of one rule; series beyond it are judged together
MAX_SERIES: Final = 50_000  # series whose group is remembered; then they are looked at again

_FAILURES: Final = (HTTP_BROKEN.name, HTTP_UNHANDLED.name, HTTP_BAD.name)
_REQUESTS: Final = (
    HTTP_DURATION.name,
    HTTP_DISCONNECTS.name,
    *_FAILURES,
    HTTP_EXCUSED.name,
)
_GAUGES: Final = (Measure.LAST, Measure.MIN, Measure.MAX)


@dataclass(slots=True)
class Tally:
    """What one rule needs of one group in one slot, over all workers. Adding is exact.

    `total` counts requests, observations or a counter's increase; `bad` those among them that
    the rule is about; `unclear` those that are still bad by the clear threshold. Requests that
    are excused are taken from `bad`: in the slot after their own it may be below zero.
    """

    total: float = 0.0
    bad: float = 0.0
    unclear: float = 0.0
    histogram: Histogram | None = None  # of a quantile: to name its value when a rule fires
    gauges: dict[tuple[int, Series], tuple[int, Gauge]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Add the tally of another frame of the same slot and group."""
        self.total += other.total
        self.bad += other.bad
        self.unclear += other.unclear
        if other.histogram is not None:
            if self.histogram is None:
                self.histogram = Histogram()
            self.histogram.merge(other.histogram)
        for key, (sequence, gauge) in other.gauges.items():
            mine = self.gauges.get(key)
            self.gauges[key] = (
                (sequence, gauge) if mine is None else _over_time(mine, (sequence, gauge))
            )

    def gauge(self) -> Gauge | None:
        """Combine the gauges of all workers and series in this slot; None without any."""
        combined: Gauge | None = None
        for (_, series), (_, gauge) in sorted(
            self.gauges.items(), key=lambda item: (item[0][0], item[0][1].labels)
        ):
            combined = gauge if combined is None else _side_by_side(combined, gauge, series.across)
        return combined


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is known of one group: its tallies, and the slots that any worker wrote at all.

    Both by the start of the slot, in seconds since the epoch. A slot that was written without a
    tally means zero; a slot that was not written means nothing.
    """

    tallies: Mapping[int, Tally] = field(default_factory=dict)
    written: Collection[int] = frozenset()


class Meter:
    """Reduces frames to the tallies of one rule; remembers which series belong to which group."""

    def __init__(self, rule: Rule) -> None:
        """Take a rule with a comparison; raises TypeError for any other."""
        if not isinstance(rule.when, Comparison):
            raise TypeError(f"{rule.name} measures nothing")
        self.rule = rule
        self.selector = rule.when.selector
        self.threshold = rule.when.threshold
        self.clear_threshold = (
            rule.clear.threshold if isinstance(rule.clear, Comparison) else self.threshold
        )
        self.groups: dict[str, tuple[tuple[str, str], ...]] = {}
        self._group_of: dict[Series, str | None] = {}

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that this rule reads."""
        return metrics_of(self.selector)

    def measure(self, frame: Frame) -> dict[str, Tally]:
        """Return a frame's tally per group of the rule.

        Looks at each series once in its life; a frame costs one look-up per series of the metrics
        that the rule reads, and one merge or comparison for those that match.
        """
        tallies: dict[str, Tally] = {}
        metrics = self.metrics
        for series, value in frame.values.items():
            if series.metric not in metrics:
                continue
            try:
                group = self._group_of[series]
            except KeyError:
                if len(self._group_of) >= MAX_SERIES:
                    self._group_of.clear()
                group = self._group_of[series] = self._resolve(series)
            if group is None:
                continue
            tally = tallies.get(group)
            if tally is None:
                tally = tallies[group] = Tally()
            self._count(tally, series, value, frame.key)
        for tally in tallies.values():
            if self.selector.measure is Measure.QUANTILE and tally.histogram is not None:
                tally.bad = tally.histogram.count_above(self.threshold)
                tally.unclear = tally.histogram.count_above(self.clear_threshold)
        return tallies

    def forget(self, groups: Iterable[str]) -> None:
        """Drop groups that have no data left in any window, and what led to them."""
        gone = set(groups)
        for group in gone:
            self.groups.pop(group, None)
        self._group_of = {
            series: group for series, group in self._group_of.items() if group not in gone
        }

    def _resolve(self, series: Series) -> str | None:
        """Return the group of a series, or None if the rule is not about it."""
        labels = dict(series.labels)
        if series.kind is not Kind.GAUGE and self.selector.measure in _GAUGES:
            return None
        if not all(part.accepts(labels.get(part.label, "")) for part in self.selector.filters):
            return None
        if self.rule.skips(labels):
            return None
        pairs = tuple((label, labels.get(label, "")) for label in self.rule.by)
        group = write_labels(pairs)
        if group not in self.groups and len(self.groups) >= MAX_GROUPS:
            pairs = tuple((label, OTHER) for label in self.rule.by)
            group = write_labels(pairs)
        self.groups[group] = pairs
        return group

    def _count(self, tally: Tally, series: Series, value: object, key: FrameKey) -> None:
        measure = self.selector.measure
        if isinstance(value, Gauge):
            if measure in _GAUGES:
                tally.gauges[key.worker, series] = (key.sequence, value)
        elif measure is Measure.QUANTILE:
            if isinstance(value, Histogram):
                if tally.histogram is None:
                    tally.histogram = Histogram()
                tally.histogram.merge(value)
                tally.total += value.count
        elif measure is Measure.RATE:
            tally.total += _count_of(value)
        elif series.metric in _FAILURES:
            tally.bad += _count_of(value)  # such a request is in the duration's count already
        elif series.metric == HTTP_EXCUSED.name:
            tally.bad -= _count_of(value)  # its status has counted it
        else:
            count = _count_of(value)
            tally.total += count
            if series.metric == HTTP_DURATION.name and is_failure(series.label("status")):
                tally.bad += count


def metrics_of(selector: Selector) -> tuple[str, ...]:
    """Return the names of the metrics that a selector reads."""
    return (selector.metric,) if selector.metric else _REQUESTS


def is_failure(status: str) -> bool:
    """Tell whether a response of this status counts as failed: 5xx."""
    return len(status) == 3 and status[0] == "5"


def _count_of(value: object) -> float:
    if isinstance(value, Histogram):
        return value.count
    return value if isinstance(value, float | int) else 0.0


def _over_time(one: tuple[int, Gauge], two: tuple[int, Gauge]) -> tuple[int, Gauge]:
    early, late = sorted((one, two), key=lambda part: part[0])
    return late[0], Gauge(
        late[1].last, min(early[1].min, late[1].min), max(early[1].max, late[1].max)
    )


def _side_by_side(one: Gauge, two: Gauge, across: Across) -> Gauge:
    if across is Across.SUM:
        return Gauge(one.last + two.last, one.min + two.min, one.max + two.max)
    last = max(one.last, two.last) if across is Across.MAX else two.last
    return Gauge(last, min(one.min, two.min), max(one.max, two.max))
