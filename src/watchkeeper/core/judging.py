"""The verdict on a rule: each term by itself, then the whole tree, with unknown as a third value.

Firing looks at windows that end now; clearing, and whatever depends on something being absent,
looks at slots that every worker has written.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from watchkeeper.core import measuring
from watchkeeper.core.clearing import default_clear
from watchkeeper.core.conditions import (
    And,
    CheckFailing,
    Comparison,
    Condition,
    Measure,
    Or,
    Past,
    Term,
    WorkerMissing,
    comparisons,
)
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import Rule
from watchkeeper.core.statistics import chance_of, wilson_lower
from watchkeeper.core.verdicts import Basis, Evidence, Verdict

CLEAR_SUCCESSES: Final = 2  # good runs in a row after which a health check is clear
FEW: Final = 20  # requests up to which it is worked out exactly how likely chance alone is
DOUBT: Final = 0.01  # the same certainty as Wilson's bound, which is too bold on so few
RARE_QUANTILE: Final = 0.95  # beyond it so many must be seen that some are expected above it

MAX_AHEAD_SLOTS: Final = 12  # clocks of hosts that differ by more do not count each other's slots

_SAYS_MOST: Final = (Basis.TOO_FEW, Basis.MEASURED, Basis.NO_HISTORY, Basis.NO_DATA)


_ZERO_COUNTS: Final = (
    Measure.REQUESTS,
    Measure.ERRORS,
    Measure.RATE,
    Measure.INCREASE,
)
"""Where nothing counts as zero, a slot that was written is a slot of data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What one term comes to; None is unknown."""

    term: Term
    holds: bool | None
    basis: Basis = Basis.MEASURED
    value: float | None = None
    bad: float = 0.0
    total: float = 0.0
    window_s: float = 0.0


def judge(rule: Rule, evidence: Evidence, moment: Moment) -> Verdict:
    """Judge a rule on one group. Raises TypeError for an event rule, which has no condition."""
    if rule.when is None:
        raise TypeError(f"{rule.name} measures nothing")
    chosen = _tree(rule.when, lambda term: _firing(rule, term, evidence, moment))
    breach, calm = chosen.holds, _calm(rule, evidence, moment)
    worse = None
    if breach and rule.worse is not None:
        second = _tree(rule.worse.when, lambda term: _firing(rule, term, evidence, moment))
        worse = second.holds
        chosen = second if worse else chosen
    verdict = Verdict(
        breach=breach,
        calm=calm and not breach if calm is not None else None,
        basis=chosen.basis,
        value=chosen.value,
        bad=chosen.bad,
        total=chosen.total,
        window_s=chosen.window_s,
        worse=worse,
        term=chosen.term,
    )
    return verdict if breach is False else _if_asked(rule, verdict, evidence, moment)


def shown_value(verdict: Verdict, evidence: Evidence, moment: Moment) -> float | None:
    """Return the value to show beside a verdict: of a percentile that itself."""
    term = verdict.term
    if not isinstance(term, Comparison) or term.selector.measure is not Measure.QUANTILE:
        return verdict.value
    slots = moment.live(verdict.window_s)
    return measuring.quantile(term.selector.quantile, evidence.window_of(term.selector), slots)


def fresh_slots(
    rule: Rule, evidence: Evidence, moment: Moment, *, counted: int
) -> tuple[int, int]:
    """Count the finished slots of data from `counted` on; also return where they end.

    That is where the newest that was counted ended, not the last evaluation, which may be the work
    of a host whose clock is ahead, at a moment for which nobody had written.
    """
    end, slot_s = moment.open_slot, moment.slot_s
    counted = min(counted, end)
    slots = range(max(counted, end - MAX_AHEAD_SLOTS * slot_s), end, slot_s)
    compared = comparisons(rule.when) if rule.when is not None else ()
    known = [
        evidence.window_of(one.selector).written
        if one.selector.measure in _ZERO_COUNTS
        else evidence.window_of(one.selector).tallies
        for one in compared
    ]
    # A check's last result is always there.
    fresh = [slot for slot in slots if not known or any(slot in held for held in known)]
    return len(fresh), fresh[-1] + slot_s if fresh else counted


def _tree(condition: Condition, find: Callable[[Term], _Finding]) -> _Finding:
    """Judge a tree in three-valued logic (Kleene); return the finding that decided."""
    if isinstance(condition, And | Or):
        joined = _all if isinstance(condition, And) else _any
        found = [_tree(part, find) for part in condition.parts]
        return _deciding(found, joined(one.holds for one in found))
    return find(condition)


def _all(parts: Iterable[bool | None]) -> bool | None:
    known = list(parts)
    if False in known:
        return False
    return None if None in known else True


def _any(parts: Iterable[bool | None]) -> bool | None:
    known = list(parts)
    if True in known:
        return True
    return None if None in known else False


def _deciding(findings: Sequence[_Finding], holds: bool | None) -> _Finding:
    """Return a finding that agrees with the whole; of unknown ones that which says most."""
    agreeing = [one for one in findings if one.holds is holds]
    return min(agreeing, key=lambda one: _SAYS_MOST.index(one.basis))


def _firing(rule: Rule, term: Term, evidence: Evidence, moment: Moment) -> _Finding:
    """Judge one term on the windows of a rule, any or every one of which must hold."""
    if isinstance(term, CheckFailing):
        return _check(rule, term, evidence)
    if isinstance(term, WorkerMissing):
        return _worker(term, evidence, moment)
    found = [_over(rule, term, evidence, moment, window_s) for window_s in rule.over_s]
    holds = (_all if rule.every_window else _any)(one.holds for one in found)
    return _deciding(found, holds)


def _over(
    rule: Rule, term: Comparison, evidence: Evidence, moment: Moment, window_s: float
) -> _Finding:
    selector, window = term.selector, evidence.window_of(term.selector)
    slots = measuring.slots_of(term, moment, window_s)
    if selector.past is not Past.NONE:
        return _usual(term, evidence, window_s)
    if not measuring.is_complete(window, slots):
        return _Finding(term=term, holds=None, basis=Basis.NO_DATA, window_s=window_s)
    if selector.is_share:
        return _share(rule, term, measuring.counts(term, window, slots), window_s)
    length_s = moment.live_length(window_s) if term.operator.is_upward else window_s
    value = measuring.measured(term, window, slots, length_s=length_s)
    if value is None:
        return _Finding(term=term, holds=None, basis=Basis.NO_DATA, window_s=window_s)
    if term.against is not Past.NONE:
        return _against(rule, term, evidence, value, window_s)
    # A floor is for counts that are compared upward: "at least 20" of nothing is nothing.
    floored = not term.operator.is_upward or not selector.is_count or value >= rule.at_least
    holds = term.operator.holds(value, term.threshold) and floored
    return _Finding(term=term, holds=holds, value=value, bad=value, window_s=window_s)


def _share(rule: Rule, term: Comparison, found: measuring.Counts, window_s: float) -> _Finding:
    """Judge a share: beyond its limit, of enough bad ones, and surely so where that is asked."""
    bad, total = found
    if not total:
        return _Finding(term=term, holds=None, basis=Basis.NO_DATA, window_s=window_s)
    limit, share = _limit(term), bad / total
    holds: bool | None = term.operator.holds(share, limit)
    basis = Basis.MEASURED
    if holds and term.operator.is_upward and not _is_enough(rule, term, found, limit):
        holds, basis = None, Basis.TOO_FEW
    return _Finding(
        term=term,
        holds=holds,
        basis=basis,
        value=None if term.selector.measure is Measure.QUANTILE else share,
        bad=bad,
        total=total,
        window_s=window_s,
    )


def _is_enough(rule: Rule, term: Comparison, found: measuring.Counts, limit: float) -> bool:
    bad, total = found
    if bad < rule.at_least:
        return False
    if not rule.sure:
        return True
    quantile = term.selector.quantile
    if quantile > RARE_QUANTILE and round(total * (1 - quantile), 6) < rule.at_least:
        return False  # of a hundred requests none need be beyond the 99th percentile
    if wilson_lower(bad, total) <= limit:
        return False
    return total > FEW or chance_of(bad, total, limit) < DOUBT


def _limit(term: Comparison) -> float:
    """Return the share that is asked for: p95 > 1s says that more than 5 % took longer."""
    if term.selector.measure is Measure.QUANTILE:
        return round(1 - term.selector.quantile, 9)
    return term.threshold


def _usual(term: Comparison, evidence: Evidence, window_s: float) -> _Finding:
    """Judge what was usual at this time, plainly."""
    known = evidence.baselines.get((term.selector, window_s))
    value = known.usual(term.selector.measure) if known is not None else None
    if value is None:
        return _Finding(term=term, holds=None, basis=Basis.NO_HISTORY, window_s=window_s)
    holds = term.operator.holds(value, term.threshold)
    return _Finding(term=term, holds=holds, value=value, bad=value, window_s=window_s)


def _against(
    rule: Rule, term: Comparison, evidence: Evidence, value: float, window_s: float
) -> _Finding:
    """Judge a count against the same time in earlier weeks; nothing fires below the floor."""
    known = evidence.baselines.get((term.selector, window_s))
    holds: bool | None = False
    basis = Basis.MEASURED
    if not term.operator.is_upward or value >= rule.at_least:
        holds = known.exceeds(term, value) if known is not None else None
        basis = Basis.MEASURED if holds is not None else Basis.NO_HISTORY
    usual = known.usual(term.selector.measure) if known is not None else None
    return _Finding(
        term=term,
        holds=holds,
        basis=basis,
        value=value,
        bad=value,
        total=usual or 0.0,
        window_s=window_s,
    )


def _check(rule: Rule, term: CheckFailing, evidence: Evidence) -> _Finding:
    """Judge a health check by its failures in a row: the worst of those that are meant."""
    states = [
        one
        for one in evidence.checks or ()
        if one.state != "unknown"
        and all(part.accepts(one.labels.get(part.label, "")) for part in term.filters)
    ]
    if not states:
        return _Finding(term=term, holds=None, basis=Basis.NO_DATA)
    worst = float(max(one.failures for one in states))
    return _Finding(term=term, holds=worst >= rule.after, value=worst, bad=worst)


def _worker(term: WorkerMissing, evidence: Evidence, moment: Moment) -> _Finding:
    """Judge whether a worker is missing; the value is for how many seconds."""
    if evidence.missing is None:
        return _Finding(term=term, holds=None, basis=Basis.NO_DATA)
    gone = [
        one
        for one in evidence.missing
        if all(part.accepts(one.labels.get(part.label, "")) for part in term.filters)
    ]
    silent_s = max((moment.now - one.seen_at for one in gone), default=0.0)
    return _Finding(term=term, holds=bool(gone), value=silent_s, bad=float(len(gone)))


def _if_asked(rule: Rule, verdict: Verdict, evidence: Evidence, moment: Moment) -> Verdict:
    """Return the verdict, or unknown where `only_if`, judged plainly, is not true."""
    if rule.only_if is None:
        return verdict
    plainly = replace(rule, sure=False, at_least=0.0, every_window=False)
    found = _tree(rule.only_if, lambda term: _firing(plainly, term, evidence, moment))
    if found.holds:
        return verdict
    basis = Basis.NOT_ASKED if found.holds is False else found.basis
    return replace(verdict, breach=None, worse=None, basis=basis)


def _calm(rule: Rule, evidence: Evidence, moment: Moment) -> bool | None:
    """Tell whether a rule's condition is over, on slots that everybody has written.

    A check or a worker has no clear condition: it says by itself when it is good again.
    """
    when = rule.when
    if isinstance(when, CheckFailing | WorkerMissing):
        return _is_good(rule, when, evidence, moment)
    clear = rule.clear
    if clear is None and when is not None:
        clear = default_clear(when)
    if clear is None:
        return None
    return _tree(clear, lambda term: _cleared(rule, term, evidence, moment)).holds


def _is_good(
    rule: Rule, term: CheckFailing | WorkerMissing, evidence: Evidence, moment: Moment
) -> bool | None:
    """Tell whether a check has run well again, or no worker is missing any more."""
    if isinstance(term, WorkerMissing):
        found = _worker(term, evidence, moment).holds
        return None if found is None else not found
    found = _check(rule, term, evidence).holds
    if found is None:
        return None
    return all(
        one.failures == 0 and one.successes >= CLEAR_SUCCESSES
        for one in evidence.checks or ()
        if one.state != "unknown"
        and all(part.accepts(one.labels.get(part.label, "")) for part in term.filters)
    )


def _cleared(rule: Rule, term: Term, evidence: Evidence, moment: Moment) -> _Finding:
    """Judge one term of a clear condition: in every window that has data, or in any of them.

    What fires when any window is true is over when none is; what takes every one is over when
    one of them is.
    """
    known = [
        holds
        for window_s in rule.over_s
        if isinstance(term, Comparison)
        and (holds := _is_clear(rule, term, evidence, moment, window_s)) is not None
    ]
    holds = (any(known) if rule.every_window else all(known)) if known else None
    return _Finding(term=term, holds=holds)


def _is_clear(
    rule: Rule, term: Comparison, evidence: Evidence, moment: Moment, window_s: float
) -> bool | None:
    selector, window = term.selector, evidence.window_of(term.selector)
    slots = moment.final(window_s)
    if not measuring.is_complete(window, slots):
        return None
    if selector.is_share:
        bad, total = measuring.counts(term, window, slots)
        return term.operator.holds(bad / total, _limit(term)) if total else None
    if selector.measure in (Measure.LAST, Measure.MIN, Measure.MAX):
        slots = moment.live(window_s)
    value = measuring.measured(term, window, slots, length_s=window_s)
    if value is None or term.against is Past.NONE:
        return None if value is None else term.operator.holds(value, term.threshold)
    if term.operator.is_downward and (value < rule.at_least or not value):
        return True  # below the floor nothing fires
    known = evidence.baselines.get((selector, window_s))
    usual = known.usual(selector.measure) if known is not None else None
    return None if usual is None else term.operator.holds(value, term.threshold * usual)
