"""Running sums of a window: which groups need a closer look, without adding up every slot.

Adding and taking away numbers that are no whole ones leaves a trace; hence these sums only
choose groups, and what is decided of a group is decided by its slots.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from watchkeeper.core.conditions import And, Comparison, Condition, Measure, Or, Past
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.moment import window_slots
from watchkeeper.core.rule import Rule
from watchkeeper.core.tallies import Source, Tally, source_of

SPARE: Final = 1e-6  # share by which a sum may be off, and a group is looked at nevertheless

Need = tuple[Source, float, float | None]
"""What is summed: a source, the window in seconds, and the limit that a percentile is about."""


class Running:
    """The sums of each group over one window that ends with the newest slot it was moved to.

    What a slot adds is always worked out of all that it holds of a group: what was added frame by
    frame could not be taken away again, for merged histograms round otherwise than their parts.
    """

    def __init__(self, window_s: float, slot_s: int, limit: float | None) -> None:
        """Start without data."""
        self.bad: dict[str, float] = {}
        self.total: dict[str, float] = {}
        self._limit = limit
        self._length_s = window_slots(window_s, slot_s) * slot_s
        self._slots = range(0, 0, slot_s)

    def put(self, start: int, tallies: Mapping[str, Tally]) -> None:
        """Add the groups of a slot as they are from now on, if the window holds it."""
        if start in self._slots:
            self._add(tallies, 1)

    def take(self, start: int, tallies: Mapping[str, Tally]) -> None:
        """Take away the groups of a slot as they were, before something is added to them."""
        if start in self._slots:
            self._add(tallies, -1)

    def move(self, end: int, by_slot: Mapping[int, Mapping[str, Tally]]) -> None:
        """Let the window end at `end`: slots leave it and others come in."""
        slots = range(end - self._length_s, end, self._slots.step)
        if slots == self._slots:
            return
        if len(range(max(slots[0], self._slots.start), min(end, self._slots.stop))) == 0:
            self.bad.clear()
            self.total.clear()
            self._slots = range(0, 0, slots.step)
        for start in self._slots:
            if start not in slots:
                self._add(by_slot.get(start, {}), -1)
        for start in slots:
            if start not in self._slots:
                self._add(by_slot.get(start, {}), 1)
        self._slots = slots
        for group in [group for group, total in self.total.items() if total < SPARE]:
            del self.total[group]

    def _add(self, tallies: Mapping[str, Tally], sign: int) -> None:
        limit, bad, total = self._limit, self.bad, self.total
        for group, tally in tallies.items():
            total[group] = total.get(group, 0.0) + sign * tally.total
            more = tally.bad if limit is None else tally.above(limit)
            if more:
                bad[group] = bad.get(group, 0.0) + sign * more
                if abs(bad[group]) < SPARE:
                    del bad[group]


def needs(rule: Rule) -> dict[Need, None]:
    """Return the sums by which a rule's groups are chosen; none where every group is looked at."""
    found: dict[Need, None] = {}
    if rule.when is not None:
        _collect(rule, rule.when, found)
    return found


def is_summed(rule: Rule, term: Comparison) -> bool:
    """Tell whether sums alone choose the groups on which a comparison may be true."""
    return _is_summed(term) and all(window_s <= LONG_S for window_s in rule.over_s)


def needs_of(rule: Rule, term: Comparison) -> list[Need]:
    """Return what would be summed of one comparison, where sums can choose its groups."""
    limit = term.threshold if term.selector.measure is Measure.QUANTILE else None
    source = source_of(rule, term.selector)
    return [(source, window_s, limit) for window_s in rule.over_s if window_s <= LONG_S]


def suspects(rule: Rule, sums: Mapping[Need, Running], *, slot_s: int) -> Collection[str] | None:
    """Return the groups on which a rule's condition may be true now; None: any of them."""
    return None if rule.when is None else suspects_of(rule, rule.when, sums, slot_s=slot_s)


def suspects_of(
    rule: Rule, condition: Condition, sums: Mapping[Need, Running], *, slot_s: int
) -> set[str] | None:
    """Return the groups on which a part of a rule's condition may be true; None: any of them."""
    if isinstance(condition, And | Or):
        parts = [suspects_of(rule, part, sums, slot_s=slot_s) for part in condition.parts]
        known = [part for part in parts if part is not None]
        if isinstance(condition, And):
            return set.intersection(*known) if known else None
        return set().union(*known) if len(known) == len(parts) else None
    if not isinstance(condition, Comparison) or not _is_summed(condition):
        return None
    asked = needs_of(rule, condition)
    if len(asked) < len(rule.over_s):
        return None
    found: set[str] = set()
    for need in asked:
        running = sums.get(need)
        if running is None:
            return None
        found.update(_beyond(rule, condition, running, need[1], slot_s))
    return found


def size(rule: Rule, group: str, sums: Mapping[Need, Running]) -> float:
    """Return how much there is of a group that is bad, to tell the largest of many."""
    return max(
        (
            max(sums[need].bad.get(group, 0.0), 0.0) or sums[need].total.get(group, 0.0)
            for need in needs(rule)
            if need in sums
        ),
        default=0.0,
    )


def _collect(rule: Rule, condition: Condition, found: dict[Need, None]) -> None:
    if isinstance(condition, And | Or):
        for part in condition.parts:
            _collect(rule, part, found)
    elif isinstance(condition, Comparison) and _is_summed(condition):
        found.update(dict.fromkeys(needs_of(rule, condition)))


def _is_summed(term: Comparison) -> bool:
    return (
        term.operator.is_upward
        and term.threshold > 0
        and term.selector.measure not in (Measure.APDEX, Measure.LAST, Measure.MIN, Measure.MAX)
    )


def _beyond(
    rule: Rule, term: Comparison, running: Running, window_s: float, slot_s: int
) -> Iterable[str]:
    measure, spare = term.selector.measure, 1 - SPARE
    if term.selector.is_share:
        limit = term.threshold
        if measure is Measure.QUANTILE:
            limit = 1 - term.selector.quantile
        total, floor = running.total, max(rule.at_least * spare, SPARE)
        return [
            group
            for group, bad in running.bad.items()
            if bad >= floor and bad > limit * spare * total.get(group, 0.0)
        ]
    counted = running.bad if measure is Measure.ERRORS else running.total
    least = term.threshold
    if term.against is not Past.NONE:
        least = rule.at_least  # the factor is of what is not known here
    elif measure is Measure.RATE:
        least = term.threshold * max(window_s - slot_s, slot_s)  # the open slot has just begun
    least *= spare
    return [group for group, count in counted.items() if count >= least]
