"""What a rule would have done: the times that it fired, and how many messages that had been."""

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


class Unknown(StrEnum):
    """Why nobody can tell what a rule would have done at some time, or that one can."""

    NO = "no"
    NOTHING_STORED = "nothing_stored"  # of the whole span
    COARSE = "coarse"  # no more than whole hours are kept
    NO_DATA = "no_data"  # nothing was recorded of what it reads
    NO_HISTORY = "no_history"  # there is no earlier week to compare with
    WORKERS = "workers"  # which workers there were is kept no more
    EVENTS = "events"  # more of them happened than are read


class Short(StrEnum):
    """What a rule that never fired fell short of when it was nearest."""

    LIMIT = "limit"
    HOLD = "hold"  # it was true, but not for as long as `hold`
    WINDOW = "window"  # beyond the limit in one of its windows, but not in all
    FEW = "few"  # beyond the limit, but too few to be sure, or fewer than `at_least`
    ONLY_IF = "only_if"  # beyond the limit while `only_if` was not true


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

    Of a percentile both are the share of what is above the threshold. Where it was true for less
    than `hold`, that was nearer than any value beyond the limit that counted for nothing.
    """

    value: float
    limit: float
    at: float
    group: str
    short_of: Short


@dataclass(frozen=True, slots=True, kw_only=True)
class Calmer:
    """A `hold` with which a rule would have fired less often, and how often then."""

    hold_s: float
    fired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one rule would have done.

    `fired` counts every time, `spells` lists up to MAX_SPELLS of them, oldest first. `incidents`
    are fewer where it came again within the cooldown. `messages` are those that people would have
    been told, each counted once however many channels it goes to, before the brake. `short` are
    the times that the condition was true for less than SHORT_S. For `unknown_s` seconds nobody
    can tell what it would have done, mostly because of `unknown`.
    """

    rule: str
    origin: Origin
    condition: str
    skipped: Skipped = Skipped.NO
    fired: int = 0
    spells: tuple[Spell, ...] = ()
    incidents: int = 0
    messages: int = 0
    short: int = 0
    closest: Closest | None = None
    calmer: Calmer | None = None
    unknown: Unknown = Unknown.NO
    unknown_s: int = 0

    @property
    def is_noisy(self) -> bool:
        """Whether it would have called people mostly for what was over when they came."""
        return self.fired >= NOISY_FROM and 2 * self.short > self.fired


def left_out(rule: Rule, why: Skipped) -> Outcome:
    """Return the outcome of a rule that is not replayed."""
    return Outcome(rule=rule.name, origin=rule.origin, condition=rule.condition, skipped=why)
