"""What a rule would have done: the times that it fired, and how many messages that had been."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.rule import Origin, Rule

MAX_SPELLS: Final = 1_000  # of one rule, listed; the rest is counted
NOISY_FROM: Final = 5  # times; fewer in a week trouble nobody


class Skipped(StrEnum):
    """Why a rule was not replayed, or that it was."""

    NO = "no"
    OFF = "off"  # the rule is switched off
    WORKERS = "workers"  # which worker was silent when is kept for hours only
    BASELINE = "baseline"  # it compares with weeks that are kept by the hour
    LONG_WINDOW = "long_window"  # more than an hour
    MIXED = "mixed"  # it joins a health check with something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """One time that a rule would have fired, on one group; moments in epoch seconds.

    `resolved_at` None: it lasts. `true_s` is how long the condition was true, from the first
    breach to the last: what an alert lasts is longer by `keep` and by the window.
    """

    group: str
    started_at: float
    fired_at: float
    resolved_at: float | None = None
    true_s: float = 0.0
    peak: float | None = None
    bad: float = 0.0
    total: float = 0.0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Closest:
    """How near a rule came that never fired: the value beside its limit, when, and on which group.

    Of a percentile both are the share of what is above the threshold. `certain` is false where
    the limit was passed, but on too few requests to be sure.
    """

    value: float
    limit: float
    at: float
    group: str
    certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Calmer:
    """A `hold` with which a rule would have fired less often, and how often then."""

    hold_s: float
    fired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one rule would have done.

    `fired` counts every time, `spells` lists up to MAX_SPELLS of them, oldest first. `messages`
    are those of one channel: followers together, reminders among them, without the brake.
    `short` are the times that the condition was true for less than SHORT_S.
    """

    rule: str
    origin: Origin
    condition: str
    skipped: Skipped = Skipped.NO
    fired: int = 0
    spells: tuple[Spell, ...] = ()
    messages: int = 0
    short: int = 0
    closest: Closest | None = None
    calmer: Calmer | None = None

    @property
    def is_noisy(self) -> bool:
        """Whether it would have called people mostly for what was over when they came."""
        return self.fired >= NOISY_FROM and 2 * self.short > self.fired


def left_out(rule: Rule, why: Skipped) -> Outcome:
    """Return the outcome of a rule that is not replayed."""
    return Outcome(rule=rule.name, origin=rule.origin, condition=rule.condition, skipped=why)


def of_events(rule: Rule, moments: Sequence[tuple[float, str]]) -> Outcome:
    """Return what an event rule would have told of, from (when, which issue), oldest first."""
    spells = [
        Spell(group=group, started_at=at, fired_at=at, resolved_at=at) for at, group in moments
    ]
    return Outcome(
        rule=rule.name,
        origin=rule.origin,
        condition=rule.condition,
        fired=len(spells),
        spells=tuple(spells[:MAX_SPELLS]),
        messages=collected([one.fired_at for one in spells], wait_s=rule.digest_s),
    )


def collected(moments: Iterable[float], *, wait_s: float) -> int:
    """Count the messages about what happened: the first at once, its followers together.

    Whoever comes within `wait_s` of a message waits for its end.
    """
    count, sent_at, waits_until = 0, 0.0, 0.0
    for at in sorted(moments):
        if waits_until > at:
            continue  # goes with those who wait already
        if count and at - sent_at < wait_s:
            waits_until = sent_at = sent_at + wait_s
        else:
            sent_at = at
        count += 1
    return count


def messages(rule: Rule, spells: Sequence[Spell]) -> int:
    """Count what one channel would have been sent about some times that a rule fired.

    Those that fire together are told together, those that end together as well; each `repeat`
    while it lasts there is a reminder. What comes again within the cooldown is told once more,
    and then to be over only when it has stayed so for the cooldown.
    """
    fired: list[float] = []
    ended: list[float] = []
    for chain in _chains(spells, rule.cooldown_s):
        fired += [one.fired_at for one in chain[:2]]
        if chain[0].resolved_at is not None:
            ended.append(chain[0].resolved_at)
        if len(chain) > 1 and chain[-1].resolved_at is not None:
            ended.append(chain[-1].resolved_at + rule.cooldown_s)
    reminders = sum(
        int((one.resolved_at - one.fired_at) // rule.repeat_s)
        for one in spells
        if one.resolved_at is not None and rule.repeat_s > 0
    )
    wait_s = rule.group_wait_s
    return collected(fired, wait_s=wait_s) + collected(ended, wait_s=wait_s) + reminders


def _chains(spells: Sequence[Spell], cooldown_s: float) -> list[list[Spell]]:
    """Part spells, oldest first, into those of a group that follow each other in the cooldown."""
    chains: list[list[Spell]] = []
    latest: dict[str, list[Spell]] = {}
    for one in spells:
        chain = latest.get(one.group)
        ended_at = chain[-1].resolved_at if chain else None
        if chain is None or ended_at is None or one.fired_at - ended_at >= cooldown_s:
            chain = latest[one.group] = []
            chains.append(chain)
        chain.append(one)
    return chains
