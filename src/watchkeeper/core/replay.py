"""What a rule would have done: judged on data of the past, by the same state machine as today's.

A replay is fed with one piece of evidence per slot and group; it remembers each time that the
rule would have fired, how near it came otherwise, and how often it would have fired with other
values of `hold`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from watchkeeper.core.alerts import evaluate
from watchkeeper.core.conditions import CheckFailing, Comparison, Measure, WorkerMissing, terms
from watchkeeper.core.conditions import Past as Baseline
from watchkeeper.core.instance import Instance, State, Transition
from watchkeeper.core.replayed import (
    MAX_SPELLS,
    Calmer,
    Closest,
    Outcome,
    Skipped,
    Spell,
    messages,
)
from watchkeeper.core.rule import NoData, Rule
from watchkeeper.core.tallies import Window
from watchkeeper.core.verdicts import CheckState, Evidence, Verdict, evidence_of

MAX_GROUPS: Final = 1_000  # of one rule, remembered
HOLDS_S: Final = (60.0, 120.0, 300.0, 600.0, 1_800.0)  # tried besides the rule's own
SHORT_S: Final = 120.0  # whoever is called for less finds nothing left to see
CALMER_SHARE: Final = 0.25  # of the times, which a better `hold` leaves at most
CALMED_SHARE: Final = 0.6  # and where none does, the best one that leaves no more than this
MAX_WINDOW_S: Final = 3_600.0  # longer ones are not replayed

Seen = Evidence | Window | CheckState | None


def skipped(rule: Rule) -> Skipped:
    """Tell whether a rule can be replayed on what is stored, and if not, why."""
    if not rule.enabled:
        return Skipped.OFF
    if rule.when is None:
        return Skipped.NO
    parts = terms(rule.when)
    if any(isinstance(term, WorkerMissing) for term in parts):
        return Skipped.WORKERS
    for term in (*parts, *(terms(rule.only_if) if rule.only_if else ())):
        if isinstance(term, Comparison) and (
            term.against is not Baseline.NONE or term.selector.past is not Baseline.NONE
        ):
            return Skipped.BASELINE
    if rule.over_s and rule.over_s[-1] > MAX_WINDOW_S:
        return Skipped.LONG_WINDOW
    mixed = len(parts) > 1 and any(isinstance(term, CheckFailing) for term in parts)
    return Skipped.MIXED if mixed else Skipped.NO


def is_quiet(rule: Rule, evidence: Seen) -> bool:
    """Tell without judging that a rule cannot fire: there are requests, and none has failed.

    Only where that is sure; such a group need not be judged if it is well.
    """
    when = rule.when
    if not isinstance(when, Comparison):
        return False
    tallies = evidence_of(evidence).window_of(when.selector).tallies
    return (
        bool(tallies)
        and when.selector.measure is Measure.ERROR_RATE
        and when.operator.is_upward
        and rule.no_data is not NoData.ALERT
        and not any(tally.bad > 0 for tally in tallies.values())
    )


@dataclass(slots=True)
class _Track:
    """The states of one group: of the rule itself, and with other values of `hold`."""

    instance: Instance
    others: dict[float, Instance]
    began: Spell | None = None
    true_until: float = 0.0

    @property
    def is_well(self) -> bool:
        """Whether it is ok, whatever `hold` is."""
        others = self.others.values()
        return self.instance.state is State.OK and all(one.state is State.OK for one in others)


@dataclass(slots=True)
class _Noted:
    """What a replay has seen so far."""

    spells: list[Spell] = field(default_factory=list)
    fired: int = 0
    short: int = 0
    others: dict[float, int] = field(default_factory=dict)
    closest: Closest | None = None
    messages: int = 0


class Replay:
    """One rule on its way through the past. Each group's slots are to come in order."""

    def __init__(self, rule: Rule) -> None:
        """Take a rule that `skipped` says nothing against."""
        self.rule = rule
        self._others = {hold: replace(rule, hold_s=hold) for hold in HOLDS_S if hold > rule.hold_s}
        self._tracks: dict[str, _Track] = {}
        self._noted = _Noted(others=dict.fromkeys(self._others, 0))

    def lasting(self) -> Iterator[str]:
        """Yield the groups that are not simply well, which want to be judged without data, too."""
        for group, track in self._tracks.items():
            if not track.is_well:
                yield group

    def step(
        self, group: str, evidence: Seen, *, now: float, slot_s: int, settled_until: float
    ) -> Transition | None:
        """Judge one group at one moment, as `core.alerts.evaluate` does, and remember it.

        None: it is well, and nothing in its window could change that.
        """
        track = self._tracks.get(group)
        if (track is None or track.is_well) and is_quiet(self.rule, evidence):
            self._measure(0.0, group, now=now)
            return None
        if track is None:
            if len(self._tracks) >= MAX_GROUPS:
                self._forget()
            track = _Track(Instance(), dict.fromkeys(self._others, Instance()))
            self._tracks[group] = track
        judged = partial(
            evaluate, evidence=evidence, now=now, slot_s=slot_s, settled_until=settled_until
        )
        done = judged(self.rule, before=track.instance)
        breach = done.verdict is not None and bool(done.verdict.breach)
        self._note(track, done, group, breach=breach, now=now)
        track.instance = done.after
        for hold, rule in self._others.items():
            before = track.others[hold]
            if not breach and before.state is State.OK and done.before == done.after:
                continue  # nothing happens to who is well: what most slots are
            after = judged(rule, before=before).after
            if after.is_firing and not before.is_firing:
                self._noted.others[hold] += 1
            track.others[hold] = after
        return done

    def rescale(self, factor: float) -> None:
        """Go on with slots of another length, of which `factor` make one of those before."""
        for track in self._tracks.values():
            track.instance = _rescaled(track.instance, factor)
            track.others = {hold: _rescaled(one, factor) for hold, one in track.others.items()}

    def outcome(self) -> Outcome:
        """Return what came of it; what still fires has no end."""
        noted, rule = self._noted, self.rule
        lasting = [track.began for track in self._tracks.values() if track.began is not None]
        spells = sorted([*noted.spells, *lasting], key=lambda one: (one.fired_at, one.group))
        outcome = Outcome(
            rule=rule.name,
            origin=rule.origin,
            condition=rule.condition,
            fired=noted.fired,
            spells=tuple(spells[:MAX_SPELLS]),
            messages=noted.messages + messages(rule, spells),
            short=noted.short,
            closest=None if noted.fired else noted.closest,
        )
        return replace(outcome, calmer=_calmer(noted.others, outcome))

    def _note(
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
        if not self._noted.fired and done.verdict is not None:
            self._measure(_measured(self.rule, done.verdict), group, now=now)

    def _end(self, track: _Track, spell: Spell, *, now: float) -> None:
        noted = self._noted
        true_s = max(track.true_until - spell.started_at, 0.0)
        spell = replace(spell, resolved_at=now, true_s=true_s)
        track.began = None
        noted.short += true_s < SHORT_S
        if len(noted.spells) < MAX_SPELLS:
            noted.spells.append(spell)
        else:  # each is told and over on its own, as far as can be said without remembering it
            noted.messages += 2

    def _measure(self, value: float | None, group: str, *, now: float) -> None:
        """Remember the moment at which it was nearest to firing."""
        when, best = self.rule.when, self._noted.closest
        if value is None or not isinstance(when, Comparison):
            return
        nearer = best is None or (
            value < best.value if when.operator.is_downward else value > best.value
        )
        if nearer:
            limit = _limit(when)
            passed = when.operator.holds(value, limit)
            self._noted.closest = Closest(
                value=value, limit=limit, at=now, group=group, certain=not passed
            )

    def _forget(self) -> None:
        """Make room: groups that are well have nothing to be remembered."""
        lasting = set(self.lasting())
        self._tracks = {group: track for group, track in self._tracks.items() if group in lasting}


def _limit(when: Comparison) -> float:
    """Return what is compared with: of a percentile the share that may be above its threshold."""
    selector = when.selector
    if selector.measure is Measure.QUANTILE:
        return round(1 - selector.quantile, 9)
    return when.threshold


def _measured(rule: Rule, verdict: Verdict) -> float | None:
    """Return what was measured, in the terms of `_limit`; None if nothing was."""
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


def _rescaled(instance: Instance, factor: float) -> Instance:
    if instance.state is State.OK and not instance.unknown_slots:
        return instance
    return replace(
        instance,
        true_slots=int(instance.true_slots * factor),
        missed_slots=int(instance.missed_slots * factor),
        clear_slots=int(instance.clear_slots * factor),
        unknown_slots=int(instance.unknown_slots * factor),
    )
