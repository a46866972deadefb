"""An hour of one series: its minutes, and the figures that they add up to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from sys import float_info
from typing import Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Series
from watchkeeper.core.rollup import merge_frames, merge_workers
from watchkeeper.core.slot import Frame, Gauge, Value, slot_start

HOUR_S: Final = 3_600
MINUTE_S: Final = 60
MAX_SCALE: Final = 4  # 16 buckets an octave: error ≤ 2.2 %, half the room of scale 5

Minutes = Mapping[int, Value]
"""One series' values by the number of the minute within its hour, 0 to 59."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What one series adds up to within one hour.

    Of a histogram `count`, `sum`, `min` and `max` are of the observations. Of a gauge they are of
    its minutes: how many had a reading, the sum of their last readings (so that sum / count is the
    mean) and the extremes; `last` is the hour's last reading. Of a counter they are of the
    increases of its minutes. None where a kind has no such figure.
    """

    count: int
    sum: float
    min: float
    max: float
    last: float | None = None
    histogram: Histogram | None = None

    def quantile(self, q: float) -> float | None:
        """Estimate a quantile of a histogram (relative error ≤ 2.2 %), None of anything else."""
        one = self.histogram
        return None if one is None or not one.count else one.quantile(q)

    def value(self) -> Value:
        """Return the hour as a frame would hold it."""
        if self.histogram is not None:
            return self.histogram
        if self.last is not None:
            return Gauge(self.last, self.min, self.max)
        return self.sum


def summed(minutes: Minutes) -> Hour:
    """Add up the minutes of an hour, at least one, all values of one kind."""
    ordered = [minutes[minute] for minute in sorted(minutes)]
    histograms = [one for one in ordered if isinstance(one, Histogram)]
    if histograms:
        return _of_histogram(coarse(histograms))
    gauges = [one for one in ordered if isinstance(one, Gauge)]
    if gauges:
        return Hour(
            count=len(gauges),
            sum=finite(sum(one.last for one in gauges)),
            min=finite(min(one.min for one in gauges)),
            max=finite(max(one.max for one in gauges)),
            last=finite(gauges[-1].last),
        )
    counts = [one for one in ordered if isinstance(one, float | int)]
    return Hour(
        count=len(counts),
        sum=finite(sum(counts)),
        min=finite(min(counts)),
        max=finite(max(counts)),
    )


def with_late(before: Hour, late: Hour) -> Hour:
    """Add to an hour what came after its minutes were let go; the last reading stays."""
    if before.histogram is not None and late.histogram is not None:
        return _of_histogram(coarse([before.histogram, late.histogram]))
    return Hour(
        count=before.count + late.count,
        sum=finite(before.sum + late.sum),
        min=min(before.min, late.min),
        max=max(before.max, late.max),
        last=before.last,
        histogram=before.histogram,
    )


def joined(series: Series, before: Minutes, late: Minutes) -> dict[int, Value]:
    """Merge a series' late minutes into those that there are, each beside what it met."""
    minutes = dict(before)
    for minute, value in late.items():
        parts = [{series: minutes[minute]}] if minute in minutes else []
        minutes[minute] = merge_workers([*parts, {series: value}])[series]
    return minutes


def by_series(
    frames: Iterable[Frame], *, pause: Callable[[], object]
) -> dict[Series, dict[int, Value]]:
    """Turn the minute frames of one hour around: series → minute → value.

    Several frames of one minute stand beside each other. `pause` is called for each minute.
    """
    by_minute: dict[int, list[Frame]] = {}
    for frame in frames:
        by_minute.setdefault(slot_start(frame.key.start, MINUTE_S), []).append(frame)
    turned: dict[Series, dict[int, Value]] = {}
    for start, some in sorted(by_minute.items()):
        minute = start % HOUR_S // MINUTE_S
        values = some[0].values if len(some) == 1 else merge_frames(some)
        for series, value in values.items():
            turned.setdefault(series, {})[minute] = value
        pause()
    return turned


def coarse(histograms: Iterable[Histogram]) -> Histogram:
    """Merge histograms at the scale of an hour."""
    whole = Histogram()
    whole.scale = MAX_SCALE  # still empty: what is merged comes down to it
    for one in histograms:
        whole.merge(one)
    return whole


def finite(value: float) -> float:
    """Return a number that every database's column takes: infinity is the largest, nan is 0."""
    if isfinite(value):
        return value
    return float_info.max if value > 0 else -float_info.max if value < 0 else 0.0


def _of_histogram(one: Histogram) -> Hour:
    if not one.count:
        return Hour(count=0, sum=0.0, min=0.0, max=0.0, histogram=one)
    return Hour(count=one.count, sum=finite(one.sum), min=one.min, max=one.max, histogram=one)
