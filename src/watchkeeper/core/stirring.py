"""Whether a rule's comparisons may be true now, and how near they are, without judging it.

A replay goes through many slots in which all is well. What is told here may be true too often,
never too seldom: whatever is told to be false is false on every group.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from watchkeeper.core.conditions import Comparison, Measure, Past
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.moment import MAX_WAIT_SLOTS, window_slots
from watchkeeper.core.rule import Rule
from watchkeeper.core.running import Need, Running, is_summed, needs_of, suspects_of
from watchkeeper.core.tallies import Tally

MINUTE_S: Final = 60  # windows of minutes and hours change so often

_COUNTS: Final = (Measure.REQUESTS, Measure.ERRORS, Measure.RATE, Measure.INCREASE)
_GAUGES: Final = (Measure.LAST, Measure.MIN, Measure.MAX)

Slots = Callable[[Comparison, int], Mapping[str, Tally]]
"""What a comparison's source counted in the slot that starts then, by group."""


class Stirring:
    """Looks at one rule's comparisons slot by slot, in order; none may be left out."""

    def __init__(self, rule: Rule, *, slot_s: int) -> None:
        """Take a rule with a condition."""
        self._rule = rule
        self._slot_s = slot_s
        self._stirred: dict[Comparison, int] = {}  # the newest slot with something of it

    def look(self, term: Comparison, slots: Slots, start: int) -> None:
        """Take in a slot to which nothing will be added any more."""
        if not is_summed(self._rule, term) and any(
            _stirs(term, tally) for tally in slots(term, start).values()
        ):
            self._stirred[term] = start

    def may_hold(
        self, term: Comparison, sums: Mapping[Need, Running], slots: Slots, start: int
    ) -> bool:
        """Tell whether a comparison may be true on some group; `start` is the open slot."""
        chosen = suspects_of(self._rule, term, sums, slot_s=self._slot_s)
        if chosen is not None:
            return bool(chosen)
        longest_s = max(self._rule.over_s, default=0.0)
        if longest_s > LONG_S and term.operator.is_upward and term.threshold > 0:
            return self._stirred.get(term) == start or start % MINUTE_S < self._slot_s
        if term.selector.measure in _GAUGES or (term.operator.is_upward and _is_above_none(term)):
            slots_held = window_slots(longest_s, self._slot_s) + MAX_WAIT_SLOTS
            last = self._stirred.get(term)
            return last is not None and start - last <= slots_held * self._slot_s
        return not self._is_plenty(term, slots, start)

    def _is_plenty(self, term: Comparison, slots: Slots, start: int) -> bool:
        """Tell whether each of the last slots alone is more than what would be too few."""
        if self._rule.by or term.selector.measure not in _COUNTS or not self._rule.over_s:
            return False
        if term.against is not Past.NONE or term.selector.past is not Past.NONE:
            return False
        least = term.threshold
        if term.selector.measure is Measure.RATE:
            least *= self._rule.over_s[-1]
        for number in range(2 * MAX_WAIT_SLOTS):
            tally = slots(term, start - number * self._slot_s).get("")
            if tally is None or _count(term, tally) <= least:
                return False
        return True


def nearest(
    rule: Rule, sums: Mapping[Need, Running], slots: Slots, start: int
) -> tuple[float, str] | None:
    """Return the value that is nearest to firing now, and its group; None if that is not known.

    Of a percentile the share of what is above its threshold. Only for what fires upward.
    """
    term = rule.when
    if not isinstance(term, Comparison) or term.against is not Past.NONE:
        return None
    measure = term.selector.measure
    if measure in (Measure.LAST, Measure.MAX) and term.operator.is_upward:
        gauges = ((group, tally.gauge()) for group, tally in slots(term, start).items())
        return _largest(
            (one.last if measure is Measure.LAST else one.max, group)
            for group, one in gauges
            if one is not None
        )
    found = []
    for need in needs_of(rule, term):
        running = sums.get(need)
        if running is not None and running.total:
            found.append(_nearest(term, running, need[1]))
    return _largest(found)


def _nearest(term: Comparison, running: Running, window_s: float) -> tuple[float, str]:
    bad, total = running.bad, running.total
    if term.selector.is_share:
        shares = (
            (max(some, 0.0) / total[group], group)
            for group, some in bad.items()
            if total.get(group, 0.0) > 0
        )
        return _largest(shares) or (0.0, next(iter(total)))
    counted = bad if term.selector.measure is Measure.ERRORS else total
    per = window_s if term.selector.measure is Measure.RATE else 1.0
    return _largest((count / per, group) for group, count in counted.items()) or (0.0, "")


def _largest(found: Iterable[tuple[float, str]]) -> tuple[float, str] | None:
    return max(found, key=lambda one: one[0], default=None)


def _stirs(term: Comparison, tally: Tally) -> bool:
    """Tell whether one slot may make a comparison true of a window that it is in."""
    measure, gauge = term.selector.measure, tally.gauge()
    if gauge is not None:
        if term.operator.is_upward:
            return term.operator.holds(gauge.max, term.threshold)
        return not term.operator.is_downward or term.operator.holds(gauge.min, term.threshold)
    if measure is Measure.QUANTILE:
        return tally.above(term.threshold) > 0
    if term.selector.is_share or measure is Measure.ERRORS:
        return tally.bad > 0
    return tally.total > 0


def _is_above_none(term: Comparison) -> bool:
    """Tell whether nothing at all is too little to make an upward comparison true."""
    return not term.operator.holds(0.0, term.threshold)


def _count(term: Comparison, tally: Tally) -> float:
    return tally.bad if term.selector.measure is Measure.ERRORS else tally.total
