"""How much is sampled: less while watching costs too much or storage is slow, never the counts."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from watchkeeper.core.sampling import Level

SLOW_SHARE: Final = 0.5  # writing that takes longer than this share of a slot is slow
CALM_SHARE: Final = 0.7  # of a bound: below it a slot is calm, between them it is neither
DOWN_AFTER: Final = 2  # costly slots in a row before a step down: one may be the start's imports
UP_AFTER: Final = 6  # calm slots in a row before a step up: a minute of them by default


class Reason(StrEnum):
    """Why a level is what it is."""

    WELL = "well"
    CPU = "cpu"
    SLOW_STORAGE = "slow_storage"
    STORAGE_AWAY = "storage_away"
    WAITING = "waiting"  # costly or calm, but not yet long enough for a step


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The level, and how many slots in a row spoke for less or for more."""

    level: Level = Level.FULL
    costly: int = 0
    calm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What holds from now on, and why."""

    state: State
    reason: Reason
    stepped: bool = False

    @property
    def level(self) -> Level:
        """How much is sampled from now on."""
        return self.state.level


def decide(
    before: State,
    *,
    cpu_share: float,
    budget: float,
    flush_s: float,
    slot_s: float,
    failing: bool,
) -> Decision:
    """Decide at the end of a slot how much is sampled in the next one.

    `cpu_share` and `budget` are shares of one core, `flush_s` is how long the last write took (in
    seconds), `failing` tells that the database does not take what is written. One step down after
    two costly slots in a row, one step up after six calm ones; a budget of 0 means no samples.
    """
    cpu = cpu_share / budget if budget else inf
    trouble = _trouble(cpu, flush_s / (slot_s * SLOW_SHARE), failing=failing)
    if trouble is Reason.WELL:
        return _calm(before)
    if trouble is Reason.WAITING:
        return Decision(state=State(level=before.level), reason=trouble)
    costly = before.costly + 1
    if costly < DOWN_AFTER or before.level is Level.NONE:
        state = State(level=before.level, costly=min(costly, DOWN_AFTER))
        return Decision(
            state=state, reason=trouble if before.level is Level.NONE else Reason.WAITING
        )
    return Decision(state=State(level=Level(before.level - 1)), reason=trouble, stepped=True)


def _calm(before: State) -> Decision:
    if before.level is Level.FULL:
        return Decision(state=State(), reason=Reason.WELL)
    calm = before.calm + 1
    if calm < UP_AFTER:
        return Decision(state=State(level=before.level, calm=calm), reason=Reason.WAITING)
    return Decision(state=State(level=Level(before.level + 1)), reason=Reason.WELL, stepped=True)


def _trouble(cpu: float, flush: float, *, failing: bool) -> Reason:
    """Name the worst of what is above its bound; `cpu` and `flush` are shares of theirs."""
    if failing:
        return Reason.STORAGE_AWAY
    if flush > 1:
        return Reason.SLOW_STORAGE
    if cpu > 1:
        return Reason.CPU
    return Reason.WELL if max(cpu, flush) < CALM_SHARE else Reason.WAITING
