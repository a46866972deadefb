"""Who is told what, when, and why not: what people believe, brought in line with what is so.

`Told` is what they believe of one alert: it is stored with the alert's state. `Facts` is what is
so now. `decide` compares the two, so nothing depends on which worker saw what happen, or when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import Any, Final

from watchkeeper.core.rule import Rule
from watchkeeper.core.silences import rank

AWAY_TIMES: Final = 2  # what flaps is over once it stays away for so many times the longest while
MAX_AWAY_S: Final = 3_600.0
FEWEST: Final = 3  # times that something fired, to say how it comes and goes
MAX_FILED: Final = 8  # incidents under which the messages that tell of this one are looked up


class Kind(StrEnum):
    """What a message says."""

    FIRING = "firing"
    WORSE = "worse"  # the severity was raised
    REMINDER = "reminder"  # it still fires, and nobody has acknowledged it
    ESCALATED = "escalated"  # nobody has acknowledged it in time: others are told
    AGAIN = "again"  # it fires again soon after it was over
    FLAPPING = "flapping"  # it comes and goes: from now on only a summary
    CHANGED = "changed"  # its rule was edited, and it fires by the new one, too
    RESOLVED = "resolved"
    DIGEST = "digest"


class Why(StrEnum):
    """Why a message is sent, or is not."""

    FIRST = "first"  # it fires and nobody knows
    COLLECTED = "collected"  # it has waited for others of its rule
    HELD_UNTIL_NOW = "held_until_now"  # what held it back is over, and it still fires
    CAME_AGAIN = "came_again"
    GOT_WORSE = "got_worse"
    ESCALATION_DUE = "escalation_due"
    REMINDER_DUE = "reminder_due"
    BEGAN_FLAPPING = "began_flapping"
    RULE_CHANGED = "rule_changed"
    OVER = "over"
    # And why nothing is:
    NOT_DUE = "not_due"  # everybody knows
    ACKNOWLEDGED = "acknowledged"  # a reminder or escalation would be due, but somebody has it
    SHADOW = "shadow"  # the rule is being tried out
    NOBODY = "nobody"  # no channel is set, or none for this severity
    SILENCED = "silenced"
    INHIBITED = "inhibited"  # another alert explains it
    QUIET_HOURS = "quiet_hours"
    COLLECTING = "collecting"  # it waits for others of its rule
    FLAPS = "flaps"  # over for now, but it comes and goes
    CALMING = "calming"  # it came again before: over only once it stays calm for the cooldown
    IN_FLIGHT = "in_flight"  # the message that it fires is being sent just now
    OVER_UNTOLD = "over_untold"  # nobody believes that it fires


HOLDS: Final = frozenset((Why.SHADOW, Why.NOBODY, Why.SILENCED, Why.INHIBITED, Why.QUIET_HOURS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What people were told of one alert. Moments are epoch seconds, 0 for never."""

    incident: int = 0  # the one that it is about
    channels: tuple[str, ...] = ()  # where people believe that it fires
    severity: str = ""  # the worst that they were told
    first_at: float = 0.0  # since when they have known
    last_at: float = 0.0  # when they last heard of it
    resolved_at: float = 0.0  # when they were told that it is over
    escalated: bool = False
    flapping: bool = False  # they know that it comes and goes
    changed: bool = False  # its rule was edited, which they do not know yet
    again: bool = False  # it was told again after it had been told to be over
    acknowledged: bool = False  # seen as a reminder or an escalation was due
    why: str = ""  # what was decided last, a `Why`
    by: str = ""  # the silence or rule that held it back
    filed: tuple[int, ...] = ()  # incidents whose messages tell of it
    counts: tuple[tuple[str, int], ...] = ()  # messages filed under its own incident, by kind

    def to_data(self) -> dict[str, Any]:
        """Return the stored form: JSON values; what has its default is left out."""
        data = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        if self.counts:
            data["counts"] = [list(pair) for pair in self.counts]
        return {key: list(one) if isinstance(one, tuple) else one for key, one in data.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any] | None) -> "Told":
        """Read the stored form; what is missing has its default, what is unknown is left out."""
        if not data:
            return cls()
        values = {key: value for key, value in data.items() if key in _FIELDS}
        values["channels"] = tuple(values.get("channels", ()))
        values["filed"] = tuple(values.get("filed", ()))
        values["counts"] = tuple((kind, number) for kind, number in values.get("counts", ()))
        return cls(**values)

    def sequence(self, kind: Kind) -> int:
        """Return the number of the next message of a kind that is filed under its incident."""
        return dict(self.counts).get(kind.value, 0)

    def filed_under(self, incident: int, kind: Kind) -> "Told":
        """Return it with a message more; `incident` is the one that the message is filed under."""
        filed = (*(one for one in self.filed if one != incident), incident)[-MAX_FILED:]
        counts = dict(self.counts)
        if incident == self.incident:
            counts[kind.value] = counts.get(kind.value, 0) + 1
        return replace(self, filed=filed, counts=tuple(counts.items()))


_FIELDS: Final = frozenset(field.name for field in fields(Told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What a rule says about telling. Durations in seconds; 0: never."""

    repeat_s: float = 0.0
    cooldown_s: float = 0.0
    group_wait_s: float = 0.0
    escalate_after_s: float = 0.0
    escalate_to: tuple[str, ...] = ()
    shadow: bool = False

    @classmethod
    def of(cls, rule: Rule | None) -> "Manners":
        """Return those of a rule; of one that is gone, the plainest."""
        if rule is None:
            return cls()
        return cls(
            repeat_s=rule.repeat_s,
            cooldown_s=rule.cooldown_s,
            group_wait_s=rule.group_wait_s,
            escalate_after_s=rule.escalate_after_s,
            escalate_to=rule.escalate_to,
            shadow=rule.shadow,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is so now with one alert."""

    incident: int
    firing: bool
    recovering: bool = False  # it fires, but has been clear for a while
    severity: str = "warning"
    ended_at: float = 0.0  # where it does not fire: since when
    flapping: bool = False  # it comes and goes, and may be back soon
    acknowledged: bool = False
    routed: tuple[str, ...] = ()  # the channels of its rule or severity
    silenced_by: str = ""
    inhibited_by: str = ""
    quiet_hours: bool = False
    in_flight: bool = False  # nothing about it was delivered yet, and it is being sent just now
    group_at: float = 0.0  # of the last message on others of its rule, of the sort that is due


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows: the message, or none, and why. `told` is what people believe after it."""

    told: Told
    why: Why
    kind: Kind | None = None
    channels: tuple[str, ...] = ()


def reopens(told: Told, manners: Manners, *, now: float) -> bool:
    """Tell whether what fires now continues the incident before.

    It does while people still believe in that one, and within the cooldown after they were told
    that it is over.
    """
    if not told.incident:
        return False
    within = _passed_s(told.resolved_at, now=now) < manners.cooldown_s
    return bool(told.channels) or within


def comes_again(fired: Sequence[float], *, now: float) -> bool:
    """Tell whether what came and went at these moments is likely to be back soon.

    It is until it has stayed away for twice as long as it ever took to come again, or an hour.
    """
    if len(fired) < FEWEST:
        return False
    longest_s = max(after - before for before, after in pairwise(fired))
    return 0 <= now - fired[-1] < min(AWAY_TIMES * longest_s, MAX_AWAY_S)


def decide(told: Told, facts: Facts, manners: Manners, *, now: float) -> Step:
    """Decide what people are to be told of one alert. Pure; each outcome has its reason.

    Who is told that something is over are exactly those who believe that it fires. Silences and
    inhibition hold back everything but that; quiet hours hold that back, too.
    """
    if facts.firing and told.incident != facts.incident:
        told = Told(incident=facts.incident)
    if not facts.firing:
        step = _over(told, facts, manners, now=now)
    elif told.channels:
        step = _known(told, facts, manners, now=now)
    else:
        step = _unknown(told, facts, manners, now=now)
    by = facts.silenced_by if step.why is Why.SILENCED else ""
    by = facts.inhibited_by if step.why is Why.INHIBITED else by
    # That nothing is due says less than what was decided before, unless that was to wait.
    steady = step.why is Why.NOT_DUE and told.why not in HOLDS
    why = told.why if steady else step.why.value
    if (why, by) == (step.told.why, step.told.by):
        return step  # as it is for all that fire on: nothing is made anew
    return replace(step, told=replace(step.told, why=why, by=by))


def _unknown(told: Told, facts: Facts, manners: Manners, *, now: float) -> Step:
    """It fires, and nobody knows."""
    hold = _hold(facts, manners)
    if hold is None and not facts.routed:
        hold = Why.NOBODY
    if hold is None and _passed_s(facts.group_at, now=now) < manners.group_wait_s:
        hold = Why.COLLECTING
    if hold is not None:
        return Step(told=told, why=hold)
    if told.resolved_at:
        kind, why = Kind.AGAIN, Why.CAME_AGAIN
    elif told.why in HOLDS:
        kind, why = Kind.FIRING, Why.HELD_UNTIL_NOW
    elif told.why == Why.COLLECTING:
        kind, why = Kind.FIRING, Why.COLLECTED
    else:
        kind, why = Kind.FIRING, Why.FIRST
    if facts.flapping:
        kind = Kind.FLAPPING
    told = replace(
        told,
        first_at=now,
        again=told.again or kind is Kind.AGAIN,
        flapping=facts.flapping,
        changed=False,
    )
    return _send(told, facts, kind, why, facts.routed, now=now)


def _known(told: Told, facts: Facts, manners: Manners, *, now: float) -> Step:
    """It fires, and people know: there may be something new to say."""
    if told.flapping and not facts.flapping:
        told = replace(told, flapping=False)
    kind, why, channels = _news(told, facts, manners, now=now)
    hold = _hold(facts, manners)
    if kind is None:
        return Step(told=told, why=hold or why)
    if hold is None and facts.acknowledged and kind in (Kind.REMINDER, Kind.ESCALATED):
        told, hold = replace(told, acknowledged=True), Why.ACKNOWLEDGED
    if hold is not None:
        return Step(told=told, why=hold)
    told = replace(
        told,
        escalated=told.escalated or kind is Kind.ESCALATED,
        flapping=told.flapping or kind is Kind.FLAPPING,
        changed=False,
    )
    return _send(told, facts, kind, why, channels, now=now)


def _news(
    told: Told, facts: Facts, manners: Manners, *, now: float
) -> tuple[Kind | None, Why, tuple[str, ...]]:
    """Return what is new to those who know that it fires, the most urgent first."""
    everybody = _joined(told.channels, facts.routed)
    if rank(facts.severity) > rank(told.severity):
        return Kind.WORSE, Why.GOT_WORSE, everybody
    if facts.flapping and not told.flapping:
        return Kind.FLAPPING, Why.BEGAN_FLAPPING, told.channels
    if told.changed:
        return Kind.CHANGED, Why.RULE_CHANGED, told.channels
    if told.acknowledged:
        return None, Why.ACKNOWLEDGED, ()
    # Hosts differ a little; a moment that far ahead is of a clock that was set back since.
    after_s = manners.escalate_after_s
    if facts.recovering and not facts.flapping:
        return None, Why.NOT_DUE, ()  # nobody is called for what is about to be over
    if after_s and not told.escalated and abs(now - told.first_at) >= after_s:
        return Kind.ESCALATED, Why.ESCALATION_DUE, manners.escalate_to or told.channels
    if manners.repeat_s and abs(now - told.last_at) >= manners.repeat_s:
        kind = Kind.FLAPPING if facts.flapping else Kind.REMINDER
        return kind, Why.REMINDER_DUE, told.channels
    return None, Why.NOT_DUE, ()


def _over(told: Told, facts: Facts, manners: Manners, *, now: float) -> Step:
    """It does not fire: those who believe that it does are told."""
    hold: Why | None = None
    if not told.channels:
        # What was held back until the end stays visible as the reason.
        untold = Why(told.why) if told.why in HOLDS else Why.OVER_UNTOLD
        return Step(told=told, why=Why.OVER if told.resolved_at else untold)
    if told.flapping and facts.flapping:
        hold = Why.FLAPS
    elif told.again and _passed_s(facts.ended_at, now=now) < manners.cooldown_s:
        hold = Why.CALMING
    elif facts.quiet_hours:
        hold = Why.QUIET_HOURS
    elif facts.in_flight:
        hold = Why.IN_FLIGHT
    elif _passed_s(facts.group_at, now=now) < manners.group_wait_s:
        hold = Why.COLLECTING
    if hold is not None:
        return Step(told=told, why=hold)
    after = replace(
        told,
        channels=(),
        last_at=now,
        resolved_at=now,
        flapping=False,
        acknowledged=False,
        escalated=False,
    )
    return Step(told=after, why=Why.OVER, kind=Kind.RESOLVED, channels=told.channels)


def _hold(facts: Facts, manners: Manners) -> Why | None:
    if manners.shadow:
        return Why.SHADOW
    if facts.silenced_by:
        return Why.SILENCED
    if facts.inhibited_by:
        return Why.INHIBITED
    return Why.QUIET_HOURS if facts.quiet_hours else None


def _send(
    told: Told,
    facts: Facts,
    kind: Kind,
    why: Why,
    channels: Sequence[str],
    *,
    now: float,
) -> Step:
    worst = facts.severity if rank(facts.severity) >= rank(told.severity) else told.severity
    after = replace(told, channels=_joined(told.channels, channels), severity=worst, last_at=now)
    return Step(told=after, why=why, kind=kind, channels=tuple(channels))


def _passed_s(at: float, *, now: float) -> float:
    """Return the seconds since a moment; `inf` if there was none, or the clock was set back."""
    return now - at if 0 < at <= now else inf


def _joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
