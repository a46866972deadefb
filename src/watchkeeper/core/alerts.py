"""The state machine of an alert: a verdict in, the next state and its reason out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from watchkeeper.core.conditions import Comparison
from watchkeeper.core.instance import Instance, Notice, Reason, State, Transition
from watchkeeper.core.judging import fresh_slots, judge, shown_value
from watchkeeper.core.moment import Moment
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import Basis, CheckState, Evidence, Verdict, evidence_of

__all__ = [
    "Instance",
    "Notice",
    "Reason",
    "State",
    "Transition",
    "advance",
    "evaluate",
    "fail",
    "remove",
]

MAX_STEP_SLOTS: Final = 3  # a longer time between two evaluations is a gap, not elapsed time
RESTART_S: Final = 60.0  # a pending alert survives a restart that is shorter
FLAPS: Final = 4  # times that it fired and ended within FLAPS_WITHIN_S; the next makes it flap
FLAPS_WITHIN_S: Final = 3_600.0
FLAPPING_KEEP: Final = 2  # times `keep` of quiet end what flaps
MAX_EDITS: Final = 5  # changes of a rule that are told in one incident


def evaluate(
    rule: Rule,
    evidence: Evidence | Window | CheckState | None,
    before: Instance,
    *,
    now: float,
    slot_s: int,
    settled_until: float,
    more: int = 0,
) -> Transition:
    """Decide what becomes of one instance. Pure: the same arguments give the same transition.

    `evidence` may be one window, for all that the rule measures, or the state of one health check
    (None: not known). `settled_until` is the moment up to which every live worker has written, for
    clearing; `more` are further groups that this instance stands for.
    """
    moment = Moment(now=now, slot_s=slot_s, settled_until=settled_until)
    behind_s = before.slot - moment.open_slot
    if before.slot and 0 < behind_s <= MAX_STEP_SLOTS * slot_s:
        # Clocks of several hosts differ a little: the one ahead has judged this slot.
        return Transition(rule=rule.name, before=before, after=before, reason=Reason.CLOCK_BACK)
    if behind_s > 0:
        # A clock was set back, or a host far ahead had its turn: no time has passed since.
        before = replace(before, slot=moment.open_slot, settled=moment.settled)
    seen = evidence_of(evidence)
    verdict = judge(rule, seen, moment)
    if verdict.breach or before.is_firing:
        shown = shown_value(verdict, seen, moment)
        verdict = replace(verdict, value=shown, more=more)
    fresh, counted = fresh_slots(rule, seen, moment, counted=before.counted)
    transition = advance(rule, verdict, before, moment, fresh_slots=fresh)
    if transition.after.state is State.OK:
        return transition
    return replace(transition, after=replace(transition.after, counted=counted))


def advance(
    rule: Rule, verdict: Verdict, before: Instance, moment: Moment, *, fresh_slots: int
) -> Transition:
    """Apply a verdict to a state. `fresh_slots`: slots with data since the last evaluation."""
    step = _Step(rule=rule, verdict=verdict, before=before, moment=moment, fresh=fresh_slots)
    return _STATES[before.state](step)


def fail(rule: str, before: Instance, *, now: float) -> Transition:
    """Keep the state of an instance that could not be evaluated, and count that."""
    after = replace(before, failures=before.failures + 1, evaluated_at=now)
    return Transition(rule=rule, before=before, after=after, reason=Reason.FAILED)


def remove(
    rule: str, before: Instance, *, now: float, reason: Reason = Reason.RULE_REMOVED
) -> Transition:
    """End an instance that is not watched any more: its rule is gone, or leaves it out."""
    after = Instance(state=State.OK, since=now, resolved_at=now, evaluated_at=now)
    notice = Notice.RESOLVED if before.is_firing else None
    return Transition(rule=rule, before=before, after=after, reason=reason, notice=notice)


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

    @property
    def true(self) -> int:
        """Slots of data that a true condition may count; a gap counts as one."""
        return min(self.fresh, max(self.passed, 1))

    @property
    def worse_slots(self) -> int | None:
        """For how many slots of data the second level has been true; None if it is not."""
        before = self.before.worse_slots
        if not self.verdict.worse:
            return None
        return 0 if before is None else before + self.true

    @property
    def calm(self) -> bool | None:
        """Whether the condition is over; None: unknown.

        What fires because data stay away is so once they are back: old ones in the longer of two
        windows say nothing about now.
        """
        verdict = self.verdict
        if self.before.no_data and verdict.breach is None and verdict.calm:
            return verdict.calm if verdict.basis in _INACTIVE else None
        return verdict.calm

    def is_worse(self, hold_s: float) -> bool:
        """Tell whether the second level has been true for its hold; `hold_s` if it has none."""
        level, slots = self.rule.worse, self.worse_slots
        if level is not None and level.hold_s is not None:
            hold_s = level.hold_s
        return bool(self.verdict.worse) and (slots or 0) >= self.slots(hold_s)

    @property
    def kept_slots(self) -> int:
        """How many clear slots end an incident: twice as many where it flaps, at least two."""
        slots = self.slots(self.rule.keep_s)
        return max(FLAPPING_KEEP * slots, FLAPPING_KEEP) if self.before.flapping else slots

    def to(self, reason: Reason, *, notice: Notice | None = None, **changes: Any) -> Transition:
        """Return the transition with `changes` applied to the instance, dated and anchored."""
        moment, before = self.moment, self.before
        if changes.get("state", before.state) != before.state:
            changes.setdefault("since", moment.now)
        if self.verdict.breach is not None:
            changes |= {"unknown_slots": 0, "worse_slots": self.worse_slots} | changes
        changes["failures"] = 0
        after = replace(
            before,
            slot=moment.open_slot,
            settled=moment.settled,
            evaluated_at=moment.now,
            **changes,
        )
        is_idle = before.state is after.state is State.OK
        if is_idle and not (before.unknown_slots or after.unknown_slots or before.failures):
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
            downward = _is_downward(self.rule, verdict)
            peak = value if peak is None else (min if downward else max)(peak, value)
        return {
            "value": value,
            "peak": peak,
            "bad": verdict.bad,
            "total": verdict.total,
            "window_s": verdict.window_s,
            "rule_hash": self.rule.deciding,
            "no_data": False,
        }

    def now_value(self) -> dict[str, Any]:
        """The changes that a known but untrue condition leaves behind: value and counts."""
        verdict = self.verdict
        if verdict.value is None:
            return {}
        return {"value": verdict.value, "bad": verdict.bad, "total": verdict.total}

    def fire(self, reason: Reason = Reason.FIRED, **changes: Any) -> Transition:
        """Return the transition to firing; what does so again and again begins to flap."""
        before, now = self.before, self.moment.now
        recent = tuple(at for at in before.flaps if at > now - FLAPS_WITHIN_S)
        flapping = len(recent) >= FLAPS
        return self.to(
            Reason.FLAPPING if flapping else reason,
            notice=Notice.FLAPPING if flapping else Notice.FIRING,
            state=State.FIRING,
            breached_at=now if before.breached_at is None else before.breached_at,
            fired_at=now,
            worse=self.is_worse(0.0),
            edits=(self.rule.deciding,),
            flaps=(*recent, now)[-FLAPS - 1 :],
            flapping=flapping,
            **changes,
        )

    def still_true(self, reason: Reason, **changes: Any) -> Transition:
        """Return the transition of what fires and is true: told again if it is worse or edited."""
        before, rule = self.before, self.rule
        form, worse = rule.deciding, before.worse
        edits = before.edits or (before.rule_hash or form,)
        notice = None
        if not worse and self.is_worse(0.0):
            reason, notice, worse = Reason.WORSENED, Notice.WORSE, True
        elif form not in edits and len(edits) <= MAX_EDITS:
            # Once for each form: during a deploy workers with the old and the new one take turns.
            reason, notice, edits = Reason.EDITED, Notice.CHANGED, (*edits, form)
        return self.to(reason, notice=notice, worse=worse, edits=edits, **changes, **self.seen())

    def resolve(self, reason: Reason) -> Transition:
        """Return the transition to ok."""
        if self.before.rule_hash and self.before.rule_hash != self.rule.deciding:
            reason = Reason.RULE_CHANGED
        now = self.moment.now
        after = Instance(
            state=State.OK,
            since=now,
            resolved_at=now,
            evaluated_at=now,
            slot=self.moment.open_slot,
            settled=self.moment.settled,
            flaps=self.before.flaps,
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
        if step.rule.hold_s <= 0 or step.is_worse(step.rule.hold_s):
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
        return _unknown(step)
    if step.verdict.breach:
        true_slots = before.true_slots + step.true
        if true_slots >= step.slots(rule.hold_s) or step.is_worse(rule.hold_s):
            return step.fire(true_slots=true_slots, missed_slots=0, **step.seen())
        return step.to(Reason.HOLDING, true_slots=true_slots, missed_slots=0, **step.seen())
    missed = before.missed_slots + step.passed
    if missed > rule.tolerate:
        return step.to(Reason.PASSED_BY, **_FORGOTTEN)
    return step.to(Reason.TOLERATED, missed_slots=missed)


def _from_firing(step: _Step) -> Transition:
    verdict = step.verdict
    if verdict.breach:
        return step.still_true(Reason.STILL_TRUE)
    if step.calm:
        if step.rule.keep_s <= 0 and not step.before.flapping:
            return step.resolve(Reason.RESOLVED)
        return step.to(Reason.CLEAR, state=State.RECOVERING, clear_slots=0, **step.now_value())
    if step.calm is None:
        return _unknown(step)
    return step.to(Reason.BETWEEN, **step.now_value())


def _from_recovering(step: _Step) -> Transition:
    verdict = step.verdict
    if verdict.breach:
        return step.still_true(Reason.RELAPSED, state=State.FIRING, clear_slots=0)
    if step.calm:
        clear_slots = step.before.clear_slots + step.settled
        if clear_slots >= step.kept_slots:
            return step.resolve(Reason.RESOLVED)
        return step.to(Reason.KEEPING, clear_slots=clear_slots, **step.now_value())
    if step.calm is None:
        return _unknown(step)
    return step.to(Reason.BETWEEN, clear_slots=0, **step.now_value())


def _unknown(step: _Step) -> Transition:
    """Keep the state; after `no_data_after_s` the rule's policy decides."""
    rule, before = step.rule, step.before
    reason = _INACTIVE.get(step.verdict.basis)
    if reason is not None:
        return step.to(reason)  # nothing is missing: nothing was to be known
    if rule.no_data is NoData.KEEP or (before.state is State.OK and rule.no_data is NoData.OK):
        return step.to(Reason.UNKNOWN)
    unknown = before.unknown_slots + step.passed
    if unknown >= step.slots(rule.no_data_after_s):
        if rule.no_data is NoData.OK:
            if not before.is_firing:
                return step.to(Reason.NO_DATA, **_FORGOTTEN, unknown_slots=0)
            return step.resolve(Reason.NO_DATA)
        if not before.is_firing:
            return step.fire(
                Reason.NO_DATA, unknown_slots=unknown, rule_hash=rule.deciding, no_data=True
            )
    return step.to(Reason.UNKNOWN, unknown_slots=unknown)


def _is_downward(rule: Rule, verdict: Verdict) -> bool:
    term = verdict.term if verdict.term is not None else rule.when
    return isinstance(term, Comparison) and term.operator.is_downward


_INACTIVE: Final[Mapping[Basis, Reason]] = {
    Basis.NOT_ASKED: Reason.NOT_ASKED,
    Basis.NO_HISTORY: Reason.NO_HISTORY,
}
_FORGOTTEN: Final[Mapping[str, Any]] = {
    "state": State.OK,
    "breached_at": None,
    "true_slots": 0,
    "missed_slots": 0,
    "worse_slots": None,
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
