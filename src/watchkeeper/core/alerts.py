"""The state machine of an alert: a verdict in, the next state and its reason out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.instance import Instance, Notice, Reason, State, Transition
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import (
    CheckState,
    Moment,
    Verdict,
    judge,
    judge_check,
    quantile_value,
)

__all__ = ["Instance", "Notice", "Reason", "State", "Transition", "advance", "evaluate", "remove"]

MAX_STEP_SLOTS: Final = 3  # a longer time between two evaluations is a gap, not elapsed time
RESTART_S: Final = 60.0  # a pending alert survives a restart that is shorter


def evaluate(
    rule: Rule,
    evidence: Window | CheckState | None,
    before: Instance,
    *,
    now: float,
    slot_s: int,
    settled_until: float,
) -> Transition:
    """Decide what becomes of one instance. Pure: the same arguments give the same transition.

    `evidence` is the window of a comparison, or the state of a health check (None: not known);
    `settled_until` is the moment up to which every live worker has written, for clearing.
    """
    moment = Moment(now=now, slot_s=slot_s, settled_until=settled_until)
    behind_s = before.slot - moment.open_slot
    if before.slot and behind_s > 0:
        # Clocks of several hosts differ a little; only a real jump gives a new anchor.
        is_jump = behind_s > MAX_STEP_SLOTS * slot_s
        anchored = replace(before, slot=moment.open_slot, settled=moment.settled, evaluated_at=now)
        return Transition(
            rule=rule.name,
            before=before,
            after=anchored if is_jump else before,
            reason=Reason.CLOCK_BACK,
        )
    if isinstance(evidence, Window):
        verdict = judge(rule, evidence, moment)
        if verdict.breach or before.is_firing:
            shown = quantile_value(rule, evidence, moment, window_s=verdict.window_s)
            verdict = replace(verdict, value=shown) if shown is not None else verdict
    else:
        verdict = judge_check(rule, evidence)
    return advance(
        rule, verdict, before, moment, fresh_slots=_fresh(rule, evidence, before, moment)
    )


def advance(
    rule: Rule, verdict: Verdict, before: Instance, moment: Moment, *, fresh_slots: int
) -> Transition:
    """Apply a verdict to a state. `fresh_slots`: slots with data since the last evaluation."""
    step = _Step(rule=rule, verdict=verdict, before=before, moment=moment, fresh=fresh_slots)
    return _STATES[before.state](step)


def remove(rule: str, before: Instance, *, now: float) -> Transition:
    """End an instance whose rule is gone or switched off."""
    after = Instance(state=State.OK, since=now, resolved_at=now, evaluated_at=now)
    notice = Notice.RESOLVED if before.is_firing else None
    return Transition(
        rule=rule, before=before, after=after, reason=Reason.RULE_REMOVED, notice=notice
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One evaluation of one instance on its way through the state machine."""

    rule: Rule
    verdict: Verdict
    before: Instance
    moment: Moment
    fresh: int

    @property
    def passed(self) -> int:
        """Slots since the last evaluation; a gap counts as one."""
        return self._steps(self.moment.open_slot, self.before.slot)

    @property
    def settled(self) -> int:
        """Settled slots since the last evaluation; a gap counts as one."""
        return self._steps(self.moment.settled, self.before.settled)

    @property
    def is_after_restart(self) -> bool:
        """Whether the last evaluation is too long ago for what was pending."""
        patience_s = RESTART_S + MAX_STEP_SLOTS * self.moment.slot_s
        return self.moment.now - self.before.evaluated_at > patience_s

    def slots(self, seconds: float) -> int:
        """How many slots a time takes."""
        return ceil(seconds / self.moment.slot_s)

    def to(self, reason: Reason, *, notice: Notice | None = None, **changes: Any) -> Transition:
        """Return the transition with `changes` applied to the instance, dated and anchored."""
        moment, before = self.moment, self.before
        if changes.get("state", before.state) != before.state:
            changes.setdefault("since", moment.now)
        if self.verdict.breach is not None:
            changes.setdefault("unknown_slots", 0)
        after = replace(
            before,
            slot=moment.open_slot,
            settled=moment.settled,
            evaluated_at=moment.now,
            **changes,
        )
        is_idle = before.state is after.state is State.OK
        if is_idle and before.unknown_slots == after.unknown_slots == 0:
            after = before  # a healthy instance is not written at each evaluation
        return Transition(
            rule=self.rule.name,
            before=before,
            after=after,
            reason=reason,
            verdict=self.verdict,
            notice=notice,
        )

    def seen(self) -> dict[str, Any]:
        """The changes that a true condition leaves behind: value, counts and peak."""
        verdict, peak = self.verdict, self.before.peak
        value = verdict.value
        if value is not None:
            downward = _is_downward(self.rule)
            peak = value if peak is None else (min if downward else max)(peak, value)
        return {
            "value": value,
            "peak": peak,
            "bad": verdict.bad,
            "total": verdict.total,
            "window_s": verdict.window_s,
            "rule_hash": self.rule.hash,
        }

    def now_value(self) -> dict[str, Any]:
        """The changes that a known but untrue condition leaves behind: value and counts."""
        verdict = self.verdict
        if verdict.value is None:
            return {}
        return {"value": verdict.value, "bad": verdict.bad, "total": verdict.total}

    def fire(self, reason: Reason = Reason.FIRED, **changes: Any) -> Transition:
        """Return the transition to firing."""
        breached_at = self.before.breached_at
        return self.to(
            reason,
            notice=Notice.FIRING,
            state=State.FIRING,
            breached_at=self.moment.now if breached_at is None else breached_at,
            fired_at=self.moment.now,
            **changes,
        )

    def resolve(self, reason: Reason) -> Transition:
        """Return the transition to ok."""
        if self.before.rule_hash and self.before.rule_hash != self.rule.hash:
            reason = Reason.RULE_CHANGED
        now = self.moment.now
        after = Instance(
            state=State.OK,
            since=now,
            resolved_at=now,
            evaluated_at=now,
            slot=self.moment.open_slot,
            settled=self.moment.settled,
        )
        return Transition(
            rule=self.rule.name,
            before=self.before,
            after=after,
            reason=reason,
            verdict=self.verdict,
            notice=Notice.RESOLVED,
        )

    def _steps(self, end: int, start: int) -> int:
        steps = (end - start) // self.moment.slot_s if start else 1
        return max(steps, 0) if steps <= MAX_STEP_SLOTS else 1


def _from_ok(step: _Step) -> Transition:
    verdict = step.verdict
    if verdict.breach:
        if step.rule.hold_s <= 0:
            return step.fire(**(step.seen() | {"peak": verdict.value}))
        return step.to(
            Reason.BREACH,
            state=State.PENDING,
            breached_at=step.moment.now,
            true_slots=0,
            missed_slots=0,
            **(step.seen() | {"peak": verdict.value}),
        )
    if verdict.breach is None:
        return _unknown(step)
    return step.to(Reason.STEADY)


def _from_pending(step: _Step) -> Transition:
    before, rule = step.before, step.rule
    if step.is_after_restart:
        fresh_start = replace(step.before, **_FORGOTTEN)
        again = _from_ok(replace(step, before=fresh_start))
        reason = Reason.PASSED_BY if again.after.state is State.OK else again.reason
        return replace(again, before=before, reason=reason)
    if step.verdict.breach is None:
        return step.to(Reason.UNKNOWN)
    if step.verdict.breach:
        true_slots = before.true_slots + min(step.fresh, step.passed)
        if true_slots >= step.slots(rule.hold_s):
            return step.fire(true_slots=true_slots, missed_slots=0, **step.seen())
        return step.to(Reason.HOLDING, true_slots=true_slots, missed_slots=0, **step.seen())
    missed = before.missed_slots + step.passed
    if missed > rule.tolerate:
        return step.to(Reason.PASSED_BY, **_FORGOTTEN)
    return step.to(Reason.TOLERATED, missed_slots=missed)


def _from_firing(step: _Step) -> Transition:
    verdict = step.verdict
    if verdict.breach:
        return step.to(Reason.STILL_TRUE, **step.seen())
    if verdict.calm:
        if step.rule.keep_s <= 0:
            return step.resolve(Reason.RESOLVED)
        return step.to(Reason.CLEAR, state=State.RECOVERING, clear_slots=0, **step.now_value())
    if verdict.calm is None:
        return _unknown(step)
    return step.to(Reason.BETWEEN, **step.now_value())


def _from_recovering(step: _Step) -> Transition:
    verdict = step.verdict
    if verdict.breach:
        return step.to(Reason.RELAPSED, state=State.FIRING, clear_slots=0, **step.seen())
    if verdict.calm:
        clear_slots = step.before.clear_slots + step.settled
        if clear_slots >= step.slots(step.rule.keep_s):
            return step.resolve(Reason.RESOLVED)
        return step.to(Reason.KEEPING, clear_slots=clear_slots, **step.now_value())
    if verdict.calm is None:
        return _unknown(step)
    return step.to(Reason.BETWEEN, clear_slots=0, **step.now_value())


def _unknown(step: _Step) -> Transition:
    """Keep the state; after `no_data_after_s` the rule's policy decides."""
    rule, before = step.rule, step.before
    if rule.no_data is NoData.KEEP or (before.state is State.OK and rule.no_data is NoData.OK):
        return step.to(Reason.UNKNOWN)
    unknown = before.unknown_slots + step.passed
    if unknown >= step.slots(rule.no_data_after_s):
        if rule.no_data is NoData.OK:
            return step.resolve(Reason.NO_DATA)
        if not before.is_firing:
            return step.fire(Reason.NO_DATA, unknown_slots=unknown, rule_hash=rule.hash)
    return step.to(Reason.UNKNOWN, unknown_slots=unknown)


def _fresh(
    rule: Rule, evidence: Window | CheckState | None, before: Instance, moment: Moment
) -> int:
    """Count the slots finished since the last evaluation that brought data."""
    if not isinstance(evidence, Window):
        return MAX_STEP_SLOTS  # a check's last result is always there: the slots passed count
    start = max(before.slot, moment.open_slot - MAX_STEP_SLOTS * moment.slot_s)
    slots = range(start, moment.open_slot, moment.slot_s)
    # Where nothing counts as zero, a slot that was written is a slot of data.
    zero_counts = isinstance(rule.when, Comparison) and rule.when.selector.measure in (
        Measure.REQUESTS,
        Measure.ERRORS,
        Measure.RATE,
    )
    known = evidence.written if zero_counts else evidence.tallies
    return sum(slot in known for slot in slots)


def _is_downward(rule: Rule) -> bool:
    return isinstance(rule.when, Comparison) and rule.when.operator.is_downward


_FORGOTTEN: Final[Mapping[str, Any]] = {
    "state": State.OK,
    "breached_at": None,
    "true_slots": 0,
    "missed_slots": 0,
    "value": None,
    "peak": None,
    "bad": 0.0,
    "total": 0.0,
    "window_s": 0.0,
}
_STATES: Final = {
    State.OK: _from_ok,
    State.PENDING: _from_pending,
    State.FIRING: _from_firing,
    State.RECOVERING: _from_recovering,
}
