"""The verdict on a rule now: is its condition true, is it clear, and how is that known."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import slot_start
from watchkeeper.core.statistics import wilson_lower
from watchkeeper.core.tallies import Tally, Window

MAX_WAIT_SLOTS: Final = 2  # how long clearing waits for slow workers
COVERAGE: Final = 0.8  # share of a window's slots that must be written to tell what is missing
CLEAR_SUCCESSES: Final = 2  # good runs in a row after which a health check is clear


class Basis(StrEnum):
    """What a verdict rests on."""

    MEASURED = "measured"
    TOO_FEW = "too_few"  # above the threshold, but not certain on so few
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a rule's condition is true and whether it is clear; None means unknown.

    Both may be False: between the two thresholds nothing changes. `value` is in the unit of the
    rule's selector; `bad` of `total` in `window_s` seconds is what it was counted from.
    """

    breach: bool | None
    calm: bool | None
    basis: Basis
    value: float | None = None
    bad: float = 0.0
    total: float = 0.0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """What is known of one health check: state (pass, warn, fail, unknown) and runs in a row."""

    name: str
    state: str
    failures: int = 0
    successes: int = 0
    critical: bool = True
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a rule is judged, in slots."""

    now: float
    slot_s: int
    settled_until: float

    @property
    def open_slot(self) -> int:
        """The start of the slot that is not finished yet."""
        return slot_start(self.now, self.slot_s)

    @property
    def settled(self) -> int:
        """The end of the last slot that every worker has written, at most two slots back."""
        oldest = self.open_slot - MAX_WAIT_SLOTS * self.slot_s
        return min(max(slot_start(self.settled_until, self.slot_s), oldest), self.open_slot)

    def live(self, window_s: float) -> range:
        """The slots of a window that ends now: n - 1 full ones and the open one."""
        return self._slots(self.open_slot + self.slot_s, window_s)

    def final(self, window_s: float) -> range:
        """The slots of a window of full slots that every worker has written."""
        return self._slots(self.settled, window_s)

    def _slots(self, end: int, window_s: float) -> range:
        return range(end - window_slots(window_s, self.slot_s) * self.slot_s, end, self.slot_s)


def window_slots(window_s: float, slot_s: int) -> int:
    """Return how many slots a window has: at least two, for one of them is not finished."""
    return max(ceil(window_s / slot_s), 2)


def judge(rule: Rule, window: Window, moment: Moment) -> Verdict:
    """Judge a rule with a comparison by its window.

    Firing looks at windows that end now; clearing, and whatever depends on something being
    absent, looks at slots that every worker has written.
    """
    when = rule.when
    if not isinstance(when, Comparison):
        raise TypeError(f"{rule.name} measures nothing")
    if when.selector.is_share:
        return _judge_share(rule, when, window, moment)
    return _judge_value(rule, when, window, moment)


def judge_check(rule: Rule, check: CheckState | None) -> Verdict:
    """Judge a rule on a health check by the check's runs in a row."""
    if check is None or check.state == "unknown":
        return Verdict(breach=None, calm=None, basis=Basis.NO_DATA)
    return Verdict(
        breach=check.failures >= rule.after,
        calm=check.failures == 0 and check.successes >= CLEAR_SUCCESSES,
        basis=Basis.MEASURED,
        value=float(check.failures),
        bad=float(check.failures),
    )


def quantile_value(rule: Rule, window: Window, moment: Moment, *, window_s: float) -> float | None:
    """Return the percentile itself over a window that ends now, in the unit observed.

    Merges histograms, hence only for what is to be shown: a rule is judged by counts.
    """
    if not isinstance(rule.when, Comparison) or rule.when.selector.measure is not Measure.QUANTILE:
        return None
    merged = Histogram()
    for tally in _tallies(window, moment.live(window_s)):
        if tally.histogram is not None:
            merged.merge(tally.histogram)
    return merged.quantile(rule.when.selector.quantile) if merged.count else None


def _judge_share(rule: Rule, when: Comparison, window: Window, moment: Moment) -> Verdict:
    limit, clear_limit = _limits(rule, when)
    verdicts = [
        _share_over(rule, when, window, moment, window_s=window_s, limit=limit)
        for window_s in rule.over_s
    ]
    calm = _is_calm(rule, window, moment, limit=clear_limit)
    chosen = next((verdict for verdict in verdicts if verdict.breach), None)
    if chosen is None:
        chosen = next((one for one in verdicts if one.basis is Basis.TOO_FEW), None)
    if chosen is None:
        chosen = next((one for one in verdicts if one.basis is Basis.MEASURED), verdicts[0])
    return Verdict(
        breach=chosen.breach,
        calm=calm and not chosen.breach if calm is not None else None,
        basis=chosen.basis,
        value=chosen.value,
        bad=chosen.bad,
        total=chosen.total,
        window_s=chosen.window_s,
    )


def _limits(rule: Rule, when: Comparison) -> tuple[float, float]:
    """Return the share at which the rule fires and the one at which it is clear."""
    if when.selector.measure is Measure.QUANTILE:
        # p95 > 1s says: more than 5 % took longer than 1 s.
        share = round(1 - when.selector.quantile, 9)
        return share, share
    clear = rule.clear.threshold if isinstance(rule.clear, Comparison) else when.threshold
    return when.threshold, clear


def _share_over(
    rule: Rule,
    when: Comparison,
    window: Window,
    moment: Moment,
    *,
    window_s: float,
    limit: float,
) -> Verdict:
    bad, total, _ = _sums(window, moment.live(window_s))
    if not total:
        return Verdict(breach=None, calm=None, basis=Basis.NO_DATA, window_s=window_s)
    breach: bool | None = when.operator.holds(bad / total, limit)
    basis = Basis.MEASURED
    if breach and bad < rule.at_least:
        breach, basis = None, Basis.TOO_FEW
    if breach and rule.sure and wilson_lower(bad, total) <= limit:
        breach, basis = None, Basis.TOO_FEW
    return Verdict(
        breach=breach,
        calm=None,
        basis=basis,
        value=bad / total if when.selector.measure is Measure.ERROR_RATE else None,
        bad=bad,
        total=total,
        window_s=window_s,
    )


def _is_calm(rule: Rule, window: Window, moment: Moment, *, limit: float) -> bool | None:
    """Tell whether every window that has data is clear; None if none has."""
    clear = rule.clear
    if not isinstance(clear, Comparison):
        return None
    known = False
    for window_s in rule.over_s:
        bad, total, unclear = _sums(window, moment.final(window_s))
        if not total:
            continue
        known = True
        share = (bad if clear.selector.measure is Measure.ERROR_RATE else unclear) / total
        if not clear.operator.holds(share, limit):
            return False
    return True if known else None


def _judge_value(rule: Rule, when: Comparison, window: Window, moment: Moment) -> Verdict:
    clear = rule.clear
    found: list[tuple[float, bool, float]] = []
    calm: bool | None = None
    for window_s in rule.over_s:
        value = _value(when, window, moment, window_s)
        if value is not None:
            breach = when.operator.holds(value, when.threshold) and value >= rule.at_least
            found.append((value, breach, window_s))
        cleared = (
            _value(clear, window, moment, window_s) if isinstance(clear, Comparison) else None
        )
        if isinstance(clear, Comparison) and cleared is not None:
            calm = calm is not False and clear.operator.holds(cleared, clear.threshold)
    if not found:
        return Verdict(breach=None, calm=None, basis=Basis.NO_DATA, window_s=rule.over_s[0])
    value, breach, window_s = next((one for one in found if one[1]), found[0])
    return Verdict(
        breach=breach,
        calm=calm and not breach if calm is not None else None,
        basis=Basis.MEASURED,
        value=value,
        bad=value,
        window_s=window_s,
    )


def _value(
    comparison: Comparison, window: Window, moment: Moment, window_s: float
) -> float | None:
    """Measure a window as a comparison needs it; None if that is not known."""
    measure = comparison.selector.measure
    if measure in (Measure.LAST, Measure.MIN, Measure.MAX):
        return _gauge(comparison, window, moment, window_s)
    if comparison.operator.is_upward:
        slots, length_s = moment.live(window_s), _live_length(moment, window_s)
        needed = 1.0
    else:
        # The open slot still fills, and an unwritten slot may hold the very thing that is missed.
        slots, length_s = moment.final(window_s), window_s
        needed = COVERAGE * len(slots)
    if sum(slot in window.written for slot in slots) < needed:
        return None
    bad, total, _ = _sums(window, slots)
    if measure is Measure.RATE:
        return total / length_s
    return bad if measure is Measure.ERRORS else total


def _gauge(
    comparison: Comparison, window: Window, moment: Moment, window_s: float
) -> float | None:
    measure = comparison.selector.measure
    slots = moment.live(window_s)
    gauges = [gauge for tally in _tallies(window, slots) if (gauge := tally.gauge()) is not None]
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


def _live_length(moment: Moment, window_s: float) -> float:
    """How long a window that ends now has really lasted; at least one slot."""
    return max(moment.now - moment.live(window_s).start, float(moment.slot_s))


def _tallies(window: Window, slots: Iterable[int]) -> Iterable[Tally]:
    tallies = window.tallies
    return (tallies[slot] for slot in slots if slot in tallies)


def _sums(window: Window, slots: Iterable[int]) -> tuple[float, float, float]:
    bad = total = unclear = 0.0
    for tally in _tallies(window, slots):
        bad += tally.bad
        total += tally.total
        unclear += tally.unclear
    return max(bad, 0.0), total, unclear  # what is excused may have failed before the window
