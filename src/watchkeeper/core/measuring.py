"""What a comparison measures over a window: sums of slots, a gauge, a percentile."""

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from watchkeeper.core.apdex import apdex
from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.moment import Moment
from watchkeeper.core.slot import slot_start
from watchkeeper.core.tallies import Tally, Window

COVERAGE: Final = 0.8  # share of a window's slots that must be written to tell what is missing
LONG_S: Final = 3_600.0  # longer windows are read from minutes and hours
APDEX_S: Final = 0.5  # up to there users are satisfied

_GAUGES: Final = (Measure.LAST, Measure.MIN, Measure.MAX)


class Counts(NamedTuple):
    """Sums over a window: bad ones of all."""

    bad: float
    total: float


def slots_of(comparison: Comparison, moment: Moment, window_s: float) -> range:
    """Return the slots by which a comparison is judged.

    What depends on something being absent looks at slots that every worker has written: the open
    slot still fills, and an unwritten one may hold the very thing that is missed.
    """
    if comparison.operator.is_upward or comparison.selector.is_share:
        return moment.live(window_s)
    return moment.final(window_s)


def is_complete(window: Window, slots: range) -> bool:
    """Tell whether a window is read from its beginning; one of slots only always is."""
    length = slots.stop - slots.start
    if length <= LONG_S:
        return True
    # The first hour of many may be half outside.
    slack = HOUR_S if length > 6 * HOUR_S else MINUTE_S
    return window.past is not None and window.past.since <= slots.start + slack


def counts(comparison: Comparison, window: Window, slots: range) -> Counts:
    """Add up a window: the failed or slow ones that a comparison is about, and all."""
    limit = comparison.threshold if comparison.selector.measure is Measure.QUANTILE else None
    bad = total = 0.0
    for tally in tallies(window, slots):
        bad += tally.bad if limit is None else tally.above(limit)
        total += tally.total
    return Counts(max(bad, 0.0), total)  # what is excused may have failed before the window


def measured(
    comparison: Comparison, window: Window, slots: range, *, length_s: float
) -> float | None:
    """Measure a window as a comparison needs it; None if that is not known."""
    measure = comparison.selector.measure
    if measure in _GAUGES:
        return _gauge(comparison, window, slots)
    needed = 1.0 if comparison.operator.is_upward else COVERAGE * len(slots)
    if sum(map(window.written.__contains__, slots)) < min(needed, _held(window, slots)):
        return None
    if measure is Measure.APDEX:
        return _apdex(window, slots)
    found = counts(comparison, window, slots)
    if measure is Measure.RATE:
        return found.total / length_s
    return found.bad if measure is Measure.ERRORS else found.total


def quantile(share: float, window: Window, slots: range) -> float | None:
    """Return a percentile (0 to 1) itself, in the unit observed; None without observations.

    Merges histograms, hence only for what is to be shown: a rule is judged by counts.
    """
    merged = _durations(window, slots)
    return merged.quantile(share) if merged.count else None


def tallies(window: Window, slots: range) -> Iterator[Tally]:
    """Return what is known of a window, oldest first: hours and minutes, then slots."""
    past = window.past
    if past is None or slots.stop - slots.start <= LONG_S:
        return _of_slots(window, slots)
    hours_from = slots.start - HOUR_S // 2  # an hour counts if most of it lies inside
    slots_from = max(slots.start, past.slots_from)
    return chain(
        (tally for at, tally in sorted(past.hours.items()) if hours_from <= at < slots.stop),
        (tally for at, tally in sorted(past.minutes.items()) if slots.start <= at < slots.stop),
        _of_slots(window, range(slots_from, slots.stop, slots.step)),
    )


def _of_slots(window: Window, slots: range) -> Iterator[Tally]:
    held = window.tallies
    if len(held) < len(slots):  # a window of days, nothing of which is rolled up
        return (held[slot] for slot in sorted(held) if slot in slots)
    return filter(None, map(held.get, slots))


def _held(window: Window, slots: range) -> float:
    """Return how many slots of a window can have been written, as far as slots are held."""
    if window.past is None or slots.stop - slots.start <= LONG_S:
        return float(len(slots))
    return float(
        max((slots.stop - slot_start(window.past.slots_from, slots.step)) // slots.step, 0)
    )


def _gauge(comparison: Comparison, window: Window, slots: range) -> float | None:
    measure = comparison.selector.measure
    gauges = [gauge for tally in tallies(window, slots) if (gauge := tally.gauge()) is not None]
    # A claim about the whole window needs most of its slots.
    throughout = (measure is Measure.MIN) is comparison.operator.is_upward
    if not gauges or (
        measure is not Measure.LAST and throughout and len(gauges) < COVERAGE * len(slots)
    ):
        return None
    if measure is Measure.LAST:
        return gauges[-1].last
    if measure is Measure.MIN:
        return min(gauge.min for gauge in gauges)
    return max(gauge.max for gauge in gauges)


def _apdex(window: Window, slots: range) -> float | None:
    total = failed = 0.0
    for tally in tallies(window, slots):
        total += tally.total
        failed += tally.bad
    return apdex(_durations(window, slots), APDEX_S, failed=failed, total=total)


def _durations(window: Window, slots: range) -> Histogram:
    merged = Histogram()
    for tally in tallies(window, slots):
        if tally.histogram is not None:
            merged.merge(tally.histogram)
    return merged
