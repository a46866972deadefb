"""The same time in earlier weeks: what was usual, and whether a count is surely beyond it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.slot import slot_start
from watchkeeper.core.statistics import count_lower, count_upper
from watchkeeper.core.tallies import Tally

WEEKS: Final = 4  # looked back
NEW_FOR_S: Final = 86_400.0  # a group that is younger is not compared
COVERED: Final = 48  # minutes with data that an hour needs to say what was usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What one earlier week counted at the same time, of the hours that the window touches.

    `share` is which part of them the window is, so that `bad * share` is what was usual in it.
    """

    bad: float
    total: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is known of the same time in earlier weeks, of one group.

    `is_new` says that the group was not there a day ago.
    """

    weeks: tuple[Week, ...] = ()
    is_new: bool = False

    def usual(self, measure: Measure) -> float | None:
        """Return what was usual in the window: the median of the weeks; None without any."""
        week = self._middle(measure)
        return None if week is None else _count(week, measure) * week.share

    def exceeds(self, comparison: Comparison, count: float) -> bool | None:
        """Tell whether a count is surely beyond the factor, counts against counts.

        With > its lower bound must lie above the factor times the upper bound of what was usual,
        with < the other way round. None without a week, or where the group is new.
        """
        measure, operator = comparison.selector.measure, comparison.operator
        week = self._middle(measure)
        if week is None or self.is_new:
            return None
        usual = _count(week, measure)
        if operator.is_upward:
            return operator.holds(
                count_lower(count), comparison.threshold * count_upper(usual) * week.share
            )
        if operator.is_downward:
            return operator.holds(
                count_upper(count), comparison.threshold * count_lower(usual) * week.share
            )
        return operator.holds(count, comparison.threshold * usual * week.share)

    def _middle(self, measure: Measure) -> Week | None:
        """Return the week whose count is the median, the lower one of two."""
        if not self.weeks:
            return None
        ordered = sorted(self.weeks, key=lambda week: _count(week, measure) * week.share)
        return ordered[(len(ordered) - 1) // 2]


def hours_before(now: float, window_s: float, zone: tzinfo) -> list[list[tuple[int, float]]]:
    """Return for each earlier week the hours that a window ending now touches there.

    Each as (start, seconds of it inside). By local time: after the clocks went forward, eight in
    the morning is compared with eight in the morning. Where an hour of then does not exist, the
    following one serves.
    """
    return [
        [
            (
                _weeks_before(start, week, zone),
                min(start + HOUR_S, now) - max(start, now - window_s),
            )
            for start in range(slot_start(now - window_s, HOUR_S), int(now) + 1, HOUR_S)
            if min(start + HOUR_S, now) > max(start, now - window_s)
        ]
        for week in range(1, WEEKS + 1)
    ]


def baseline(
    weeks: Sequence[Sequence[tuple[int, float]]],
    tally_of: Callable[[int], Tally | None],
    covered: Mapping[int, int],
    *,
    is_new: bool = False,
) -> Baseline:
    """Put together what the hours of earlier weeks say of one group.

    `tally_of` an hour's start is what was counted, None for nothing; `covered` says for how many
    minutes of an hour there is data at all. A week with an hour of too few is left out.
    """
    found = []
    for hours in weeks:
        if not hours or any(covered.get(start, 0) < COVERED for start, _ in hours):
            continue
        counted = [tally_of(start) or Tally() for start, _ in hours]
        found.append(_joined(hours, counted))
    return Baseline(weeks=tuple(found), is_new=is_new)


def _joined(hours: Sequence[tuple[int, float]], counted: Sequence[Tally]) -> Week:
    """Weigh each hour by how much of it the window has: a quiet night does not thin a morning."""
    longest = max(inside for _, inside in hours)
    weights = [inside / longest for _, inside in hours]
    return Week(
        bad=sum(max(one.bad, 0.0) * weight for one, weight in zip(counted, weights, strict=True)),
        total=sum(one.total * weight for one, weight in zip(counted, weights, strict=True)),
        share=longest / HOUR_S,
    )


def _count(week: Week, measure: Measure) -> float:
    return week.bad if measure is Measure.ERRORS else week.total


def _weeks_before(start: int, weeks: int, zone: tzinfo) -> int:
    local = datetime.fromtimestamp(start, UTC).astimezone(zone)
    # Arithmetic on local time keeps the hour of the day over a change of the clocks.
    then = (local - timedelta(weeks=weeks)).astimezone(UTC)
    return slot_start(then.timestamp(), HOUR_S)
