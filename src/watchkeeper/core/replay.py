"""What a rule would have done, told from the transitions that the engine made on past data.

A replay is told of each transition; it remembers each time that the rule would have fired, how
near it came otherwise, how often it would have fired with other values of `hold`, and for how
long nobody can tell.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.instance import Instance, State, Transition
from watchkeeper.core.replayed import (
    MAX_SPELLS,
    Calmer,
    Closest,
    Outcome,
    Short,
    Skipped,
    Spell,
    Unknown,
)
from watchkeeper.core.rule import Rule
from watchkeeper.core.verdicts import Basis, Verdict

MAX_GROUPS: Final = 1_000  # of one rule, remembered
HOLDS_S: Final = (60.0, 120.0, 300.0, 600.0, 1_800.0)  # tried besides the rule's own
SHORT_S: Final = 120.0  # whoever is called for less finds nothing left to see
CALMER_SHARE: Final = 0.25  # of the times, which a better `hold` leaves at most
CALMED_SHARE: Final = 0.6  # and where none does, the best one that leaves no more than this

Judge = Callable[[Rule, Instance], Transition]
"""Judges a rule by the same evidence at the same moment, from another state."""


def skipped(rule: Rule) -> Skipped:
    """Tell whether a rule is replayed, and if not, why."""
    return Skipped.NO if rule.enabled else Skipped.OFF


@dataclass(slots=True)
class _Track:
    """One group that is not simply well: its states with other values of `hold`."""

    others: dict[float, Instance]
    began: Spell | None = None
    true_until: float = 0.0

    @property
    def is_well(self) -> bool:
        """Whether nothing of it is to be remembered."""
        return self.began is None and all(one.state is State.OK for one in self.others.values())


@dataclass(slots=True)
class _Noted:
    """What a replay has seen so far."""

    spells: list[Spell] = field(default_factory=list)
    fired: int = 0
    short: int = 0
    others: dict[float, int] = field(default_factory=dict)
    closest: Closest | None = None
    messages: int = 0
    incidents: int = 0
    unknown_s: dict[Unknown, float] = field(default_factory=dict)


class Replay:
    """One rule on its way through the past; moments never go back."""

    def __init__(self, rule: Rule) -> None:
        """Take a rule that `skipped` says nothing against."""
        self.rule = rule
        self._others = {
            hold: replace(rule, hold_s=hold)
            for hold in HOLDS_S
            if hold > rule.hold_s and not rule.is_event
        }
        self._tracks: dict[str, _Track] = {}
        self._noted = _Noted(others=dict.fromkeys(self._others, 0))

    @property
    def has_fired(self) -> bool:
        """Whether it has fired yet."""
        return self._noted.fired > 0

    def note(self, group: str, done: Transition, judge: Judge, *, now: float) -> None:
        """Remember what became of one group at one moment."""
        breach = done.verdict is not None and bool(done.verdict.breach)
        if not self._noted.fired and done.verdict is not None:
            value, short = _measured(self.rule, done.verdict), _short_of(self.rule, done.verdict)
            self.measure(value, group, now=now, judged=short)
        track = self._tracks.get(group)
        if track is None:
            if not breach and not done.after.is_firing:
                return
            if len(self._tracks) >= MAX_GROUPS:
                return  # its spells are not told, messages are counted nevertheless
            track = _Track(dict.fromkeys(self._others, Instance()))
            self._tracks[group] = track
        self._follow(track, done, group, breach=breach, now=now)
        for hold, rule in self._others.items():
            before = track.others[hold]
            if not breach and before.state is State.OK:
                continue
            after = judge(rule, before).after
            if after.is_firing and not before.is_firing:
                self._noted.others[hold] += 1
            track.others[hold] = after
        if track.is_well:
            del self._tracks[group]

    def over(self, group: str, *, now: float) -> None:
        """Remember that a group is over without having been judged: nobody looks at it more."""
        track = self._tracks.pop(group, None)
        if track is not None and track.began is not None:
            self._end(track, track.began, now=now)

    def event(self, group: str, *, started_at: float, now: float) -> None:
        """Remember something that happened once."""
        self._noted.fired += 1
        self._keep(Spell(group=group, started_at=started_at, fired_at=now, resolved_at=now))

    def told(self) -> None:
        """Count a message, however many channels it goes to."""
        self._noted.messages += 1

    def began(self) -> None:
        """Count an incident: what comes again within the cooldown is the same one."""
        self._noted.incidents += 1

    def cannot_tell(self, why: Unknown, seconds: float) -> None:
        """Remember that for a while nobody can tell, and why."""
        self._noted.unknown_s[why] = self._noted.unknown_s.get(why, 0.0) + seconds

    def rescale(self, factor: float) -> None:
        """Go on with slots of another length, of which `factor` make one of those before."""
        for track in self._tracks.values():
            track.others = {hold: rescaled(one, factor) for hold, one in track.others.items()}

    def measure(
        self, value: float | None, group: str, *, now: float, judged: Short | None = None
    ) -> None:
        """Remember the moment at which it was nearest to firing; in the terms of `limit_of`.

        `judged` is what was missing to fire if the limit is passed, where the engine looked.
        """
        when, best = self.rule.when, self._noted.closest
        if not isinstance(when, Comparison):
            return
        if judged and best is not None and (best.at, best.group) == (now, group):
            best = self._noted.closest = _judged(best, judged)  # seen before it was judged
        if value is None:
            return
        limit = limit_of(when)
        passed = when.operator.holds(value, limit)
        short = (judged or _unjudged(self.rule)) if passed else Short.LIMIT
        found = Closest(value=value, limit=limit, at=now, group=group, short_of=short)
        if best is None or _nearness(found, when) > _nearness(best, when):
            self._noted.closest = found

    def outcome(self) -> Outcome:
        """Return what came of it; what still fires has no end."""
        noted, rule = self._noted, self.rule
        lasting = [track.began for track in self._tracks.values() if track.began is not None]
        spells = sorted([*noted.spells, *lasting], key=lambda one: (one.fired_at, one.group))
        why = max(noted.unknown_s, key=lambda one: noted.unknown_s[one], default=Unknown.NO)
        outcome = Outcome(
            rule=rule.name,
            origin=rule.origin,
            condition=rule.condition,
            fired=noted.fired,
            spells=tuple(spells[:MAX_SPELLS]),
            incidents=noted.incidents,
            messages=noted.messages,
            short=noted.short,
            closest=None if noted.fired else noted.closest,
            unknown=why,
            unknown_s=round(noted.unknown_s.get(why, 0.0)),
        )
        return replace(outcome, calmer=_calmer(noted.others, outcome))

    def _follow(
        self, track: _Track, done: Transition, group: str, *, breach: bool, now: float
    ) -> None:
        before, after = done.before, done.after
        if breach:
            track.true_until = now
        if after.is_firing and not before.is_firing:
            self._noted.fired += 1
            track.began = Spell(
                group=group,
                started_at=now if after.breached_at is None else after.breached_at,
                fired_at=now,
            )
        if after.is_firing and track.began is not None and after.peak != track.began.peak:
            track.began = replace(
                track.began,
                peak=after.peak,
                bad=after.bad,
                total=after.total,
                window_s=after.window_s,
            )
        if before.is_firing and not after.is_firing and track.began is not None:
            self._end(track, track.began, now=now)

    def _end(self, track: _Track, spell: Spell, *, now: float) -> None:
        true_s = max(track.true_until - spell.started_at, 0.0)
        track.began = None
        self._noted.short += true_s < SHORT_S
        self._keep(replace(spell, resolved_at=now, true_s=true_s))

    def _keep(self, spell: Spell) -> None:
        if len(self._noted.spells) < MAX_SPELLS:
            self._noted.spells.append(spell)


def limit_of(when: Comparison) -> float:
    """Return what is compared with: of a percentile the share that may be above its threshold."""
    selector = when.selector
    if selector.measure is Measure.QUANTILE:
        return round(1 - selector.quantile, 9)
    return when.threshold


def _nearness(one: Closest, when: Comparison) -> tuple[bool, float]:
    """Return what is the greater, the nearer it was to firing."""
    return one.short_of is Short.HOLD, -one.value if when.operator.is_downward else one.value


def _judged(one: Closest, short: Short) -> Closest:
    return one if one.short_of is Short.LIMIT else replace(one, short_of=short)


def _unjudged(rule: Rule) -> Short:
    """Return what a rule lacks that cannot be true although a window is beyond the limit."""
    return Short.WINDOW if rule.every_window and len(rule.over_s) > 1 else Short.FEW


def _short_of(rule: Rule, verdict: Verdict) -> Short:
    """Return what was missing to fire where a window is beyond the limit."""
    if verdict.breach:
        return Short.HOLD
    if verdict.basis is Basis.NOT_ASKED:
        return Short.ONLY_IF
    return Short.FEW if verdict.basis is Basis.TOO_FEW else _unjudged(rule)


def rescaled(instance: Instance, factor: float) -> Instance:
    """Return a state that counts slots of another length; `factor` of them make one of before."""
    if instance.state is State.OK and not instance.unknown_slots:
        return instance
    return replace(
        instance,
        true_slots=int(instance.true_slots * factor),
        missed_slots=int(instance.missed_slots * factor),
        clear_slots=int(instance.clear_slots * factor),
        unknown_slots=int(instance.unknown_slots * factor),
    )


def _measured(rule: Rule, verdict: Verdict) -> float | None:
    """Return what was measured, in the terms of `limit_of`; None if nothing was."""
    when = rule.when
    if isinstance(when, Comparison) and when.selector.measure is Measure.QUANTILE:
        return verdict.bad / verdict.total if verdict.total else None
    return verdict.value


def _calmer(others: Mapping[float, int], outcome: Outcome) -> Calmer | None:
    """Choose the shortest `hold` that makes a noisy rule a calm one."""
    if not outcome.is_noisy:
        return None
    for hold_s, fired in others.items():
        if fired <= CALMER_SHARE * outcome.fired:
            return Calmer(hold_s=hold_s, fired=fired)
    least = min(others.items(), key=lambda one: one[1], default=None)
    if least is not None and least[1] <= CALMED_SHARE * outcome.fired:
        return Calmer(hold_s=least[0], fired=least[1])
    return None
