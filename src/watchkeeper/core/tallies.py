"""What is kept of a slot for the rules: small sums, so that a window is judged by adding them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from watchkeeper.core.catalogue import (
    HTTP_BAD,
    HTTP_BROKEN,
    HTTP_DISCONNECTS,
    HTTP_DURATION,
    HTTP_EXCUSED,
    HTTP_UNHANDLED,
)
from watchkeeper.core.conditions import (
    Comparison,
    Condition,
    Filter,
    Measure,
    Selector,
    comparisons,
    glob_matches,
    write_labels,
)
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import OTHER, QUIET, Across, Kind, Series
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, FrameKey, Gauge

MAX_GROUPS: Final = 1_000  # told apart by one rule; series beyond them are judged together
MAX_SERIES: Final = 50_000  # series whose group is remembered; then they are looked at again

_FAILURES: Final = (HTTP_BROKEN.name, HTTP_UNHANDLED.name, HTTP_BAD.name)
_REQUESTS: Final = (
    HTTP_DURATION.name,
    HTTP_DISCONNECTS.name,
    *_FAILURES,
    HTTP_EXCUSED.name,
)


class Counting(StrEnum):
    """How values become tallies."""

    REQUESTS = "requests"  # all requests, and the failed ones among them
    APDEX = "apdex"  # these, and how long the good ones took
    HISTOGRAM = "histogram"  # observations, and where they lie
    COUNT = "count"  # a counter's increase, or how many observations
    SHARE = "share"  # these, and those among them that pass the filters
    GAUGE = "gauge"


_COUNTING: Final[Mapping[Measure, Counting]] = {
    Measure.ERROR_RATE: Counting.REQUESTS,
    Measure.REQUESTS: Counting.REQUESTS,
    Measure.ERRORS: Counting.REQUESTS,
    Measure.APDEX: Counting.APDEX,
    Measure.QUANTILE: Counting.HISTOGRAM,
    Measure.RATE: Counting.COUNT,
    Measure.INCREASE: Counting.COUNT,
    Measure.SHARE: Counting.SHARE,
    Measure.LAST: Counting.GAUGE,
    Measure.MIN: Counting.GAUGE,
    Measure.MAX: Counting.GAUGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is counted of which series, in which groups: rules with the same source share tallies.

    Workers younger than `warmup_s` are left out.
    """

    counting: Counting
    metric: str = ""
    filters: tuple[Filter, ...] = ()
    by: tuple[str, ...] = ()
    skip: tuple[tuple[str, tuple[str, ...]], ...] = ()
    warmup_s: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that are read."""
        return (self.metric,) if self.metric else _REQUESTS


def source_of(rule: Rule, selector: Selector) -> Source:
    """Return what a rule needs counted for one of its selectors."""
    counting = _COUNTING[selector.measure]
    is_slow_or_large = counting in (Counting.HISTOGRAM, Counting.APDEX) or (
        counting is Counting.GAUGE and "memory" in selector.metric
    )
    return Source(
        counting=counting,
        metric=selector.metric,
        filters=selector.filters,
        by=rule.by,
        skip=rule.skip,
        warmup_s=rule.warmup_s if is_slow_or_large else 0.0,
    )


def conditions_of(rule: Rule) -> tuple[Condition, ...]:
    """Return every condition of a rule."""
    worse = rule.worse.when if rule.worse is not None else None
    return tuple(one for one in (rule.when, rule.clear, worse, rule.only_if) if one is not None)


def comparisons_of(rule: Rule) -> tuple[Comparison, ...]:
    """Return the comparisons of every condition of a rule."""
    return tuple(one for condition in conditions_of(rule) for one in comparisons(condition))


@dataclass(slots=True)
class Tally:
    """What was counted of one group in one slot, over all workers. Adding is exact.

    `total` counts requests, observations or a counter's increase; `bad` those among them that
    failed, or pass the filters of a share. Requests that are excused are taken from `bad`: in the
    slot after their own it may be below zero.
    """

    total: float = 0.0
    bad: float = 0.0
    histogram: Histogram | None = None
    gauges: dict[tuple[int, Series], tuple[int, Gauge]] = field(default_factory=dict)
    _above: dict[float, float] = field(default_factory=dict, repr=False, compare=False)

    def add(self, other: "Tally") -> None:
        """Add the tally of another frame of the same slot and group."""
        self.total += other.total
        self.bad += other.bad
        if other.histogram is not None:
            if self.histogram is None:
                self.histogram = Histogram()
            self.histogram.merge(other.histogram)
            self._above.clear()
        for key, (sequence, gauge) in other.gauges.items():
            mine = self.gauges.get(key)
            self.gauges[key] = (
                (sequence, gauge) if mine is None else _over_time(mine, (sequence, gauge))
            )

    def above(self, limit: float) -> float:
        """Count the observations above a limit; looked up in the histogram once."""
        known = self._above.get(limit)
        if known is None:
            one = self.histogram
            known = 0.0 if one is None or one.max <= limit else float(one.count_above(limit))
            self._above[limit] = known
        return known

    def gauge(self) -> Gauge | None:
        """Combine the gauges of all workers and series in this slot; None without any."""
        combined: Gauge | None = None
        for (_, series), (_, gauge) in sorted(
            self.gauges.items(), key=lambda item: (item[0][0], item[0][1].labels)
        ):
            combined = gauge if combined is None else _side_by_side(combined, gauge, series.across)
        return combined


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of one group from before the slots: minutes, and whole hours.

    Tallies by the start of the minute or hour, each moment in one of them or in the slots, which
    serve from `slots_from` on. Complete from the moment `since` on.
    """

    since: float
    slots_from: int
    minutes: Mapping[int, Tally] = field(default_factory=dict)
    hours: Mapping[int, Tally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is known of one group: its tallies, and the slots that any worker wrote at all.

    Both by the start of the slot, in seconds since the epoch. A slot that was written without a
    tally means zero; a slot that was not written means nothing. `past` is there for windows that
    are longer than an hour.
    """

    tallies: Mapping[int, Tally] = field(default_factory=dict)
    written: Collection[int] = frozenset()
    past: Past | None = None


class Meter:
    """Reduces frames to tallies; remembers which series belong to which group."""

    def __init__(self, source: Source) -> None:
        """Take what to count."""
        self.source = source
        self.groups: dict[str, tuple[tuple[str, str], ...]] = {}
        self._metrics = frozenset(source.metrics)
        self._group_of: dict[Series, tuple[str, bool] | None] = {}

    def measure(self, frame: Frame) -> dict[str, Tally]:
        """Return a frame's tally per group.

        Looks at each series once in its life; a frame costs one look-up per series of the metrics
        that are read, and one merge or addition for those that are meant.
        """
        return self.measure_series(frame, frame.values)

    def measure_series(self, frame: Frame, among: Iterable[Series]) -> dict[str, Tally]:
        """Return the tallies of those series of a frame that are given, per group."""
        tallies: dict[str, Tally] = {}
        metrics, known, values = self._metrics, self._group_of, frame.values
        for series in among:
            if series.metric not in metrics:
                continue
            try:
                found = known[series]
            except KeyError:
                if len(known) >= MAX_SERIES:
                    known.clear()
                found = known[series] = self._resolve(series)
            if found is None:
                continue
            group, passes = found
            tally = tallies.get(group)
            if tally is None:
                tally = tallies[group] = Tally()
            self._count(tally, series, values[series], frame.key, passes=passes)
        return tallies

    def forget(self, groups: Iterable[str]) -> None:
        """Drop groups that have no data left in any window, and what led to them."""
        gone = set(groups)
        for group in gone:
            self.groups.pop(group, None)
        self._group_of = {
            series: found
            for series, found in self._group_of.items()
            if found is None or found[0] not in gone
        }

    def _resolve(self, series: Series) -> tuple[str, bool] | None:
        """Return the group of a series and whether it passes the filters; None: not meant."""
        source, labels = self.source, dict(series.labels)
        if (series.kind is Kind.GAUGE) is not (source.counting is Counting.GAUGE):
            return None
        if _is_quiet(source, series.metric, labels):
            return None
        passes = all(part.accepts(labels.get(part.label, "")) for part in source.filters)
        if not passes and source.counting is not Counting.SHARE:
            return None
        if any(
            glob_matches(pattern, labels.get(label, ""))
            for label, patterns in source.skip
            for pattern in patterns
        ):
            return None
        pairs = tuple((label, labels.get(label, "")) for label in source.by)
        group = write_labels(pairs)
        if group not in self.groups and len(self.groups) >= MAX_GROUPS:
            pairs = tuple((label, OTHER) for label in source.by)
            group = write_labels(pairs)
        self.groups[group] = pairs
        return group, passes

    def _count(
        self, tally: Tally, series: Series, value: object, key: FrameKey, *, passes: bool
    ) -> None:
        counting = self.source.counting
        if isinstance(value, Gauge):  # of a source of gauges: others leave them out
            tally.gauges[key.worker, series] = (key.sequence, value)
        elif counting is Counting.HISTOGRAM:
            if isinstance(value, Histogram):
                _merge(tally, value)
                tally.total += value.count
        elif counting in (Counting.COUNT, Counting.SHARE):
            count = _count_of(value)
            tally.total += count
            tally.bad += count if passes and counting is Counting.SHARE else 0.0
        else:
            self._count_request(tally, series, value)

    def _count_request(self, tally: Tally, series: Series, value: object) -> None:
        count = _count_of(value)
        if series.metric in _FAILURES:
            tally.bad += count  # such a request is in the duration's count already
        elif series.metric == HTTP_EXCUSED.name:
            tally.bad -= count  # its status has counted it
        else:
            tally.total += count
            if series.metric != HTTP_DURATION.name:
                return
            if is_failure(series.label("status")):
                tally.bad += count
            elif self.source.counting is Counting.APDEX and isinstance(value, Histogram):
                _merge(tally, value)


def is_failure(status: str) -> bool:
    """Tell whether a response of this status counts as failed: 5xx."""
    return len(status) == 3 and status[0] == "5"


def _is_quiet(source: Source, metric: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a request is a probe's or of a static file, and those were not asked for.

    Probes would hide that nobody else comes, and files that every request of a person fails.
    """
    return (
        metric in _REQUESTS
        and labels.get("route") == QUIET
        and not any(part.label == "route" and part.value == QUIET for part in source.filters)
    )


def _merge(tally: Tally, value: Histogram) -> None:
    if tally.histogram is None:
        tally.histogram = value.copy()
    else:
        tally.histogram.merge(value)


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
