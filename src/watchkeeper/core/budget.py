"""How much is stored: less, step by step, while room is short, and more again afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import inf
from typing import Final

GIB: Final = 1 << 30
FILE_BUDGET_BYTES: Final = 1 * GIB  # of a SQLite file, unless set
SERVER_BUDGET_BYTES: Final = 5 * GIB  # of the tables in a server, unless set
MIN_BUDGET_BYTES: Final = 10_000_000  # below it not even the schema and an hour would fit

TARGET: Final = 0.9  # of the budget: what a shortened tier is to leave
RESERVE: Final = 0.05  # of the disk, at most `MAX_RESERVE_BYTES`, is what others are left
MAX_RESERVE_BYTES: Final = 1 * GIB
DISK_ROOM: Final = 2.0  # reserves that are to be free again once a tier was shortened
MAX_CUT: Final = 0.25  # of what is used: more is not deleted at once for a disk's sake


class Storing(IntEnum):
    """What is stored."""

    NOTHING = 0  # what is recorded waits in memory
    COUNTS = 1  # metrics and counts of errors: no samples, events and statements
    SHORTER = 2  # fewer samples, and the finest tiers for a shorter time
    FEWER_DETAILS = 3  # fewer samples
    EVERYTHING = 4


class Reason(StrEnum):
    """Why so much is stored."""

    ROOM = "room"
    BUDGET = "budget"
    DISK = "disk"
    PRUNING = "pruning"  # over the budget, but what is stored is becoming less


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is stored, in bytes; of the disk only where it is known.

    Of `stored_bytes`, `free_bytes` hold nothing and are filled first.
    """

    stored_bytes: int
    free_bytes: int = 0
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None

    @property
    def used_bytes(self) -> int:
        """What holds something."""
        return max(0, self.stored_bytes - self.free_bytes)

    @property
    def reserve_bytes(self) -> float:
        """What is to stay free on the disk for everybody else; 0 where the disk is not known."""
        return min(MAX_RESERVE_BYTES, RESERVE * (self.disk_bytes or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is stored from now on, and why."""

    storing: Storing
    reason: Reason
    stepped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Rows of one kind, spread over the time since `oldest_at`; kept for `keep_s` seconds.

    A shortage may shorten that to `least_s`, never below.
    """

    name: str
    used_bytes: int
    oldest_at: float | None
    keep_s: float
    least_s: float


# At which pressure a step is taken, and below which it is taken back. The gaps keep what was just
# deleted from being missed at once. Pressure on the budget is the share that is used…
_BUDGET: Final[Mapping[Storing, tuple[float, float]]] = {
    Storing.FEWER_DETAILS: (0.9, 0.85),
    Storing.SHORTER: (1.0, 0.8),
    Storing.COUNTS: (1.05, 0.97),
    Storing.NOTHING: (1.1, 1.03),
}
# … and on the disk the reserve as a share of what is free: 2, 1.5, 1 and 0.5 reserves are left.
_DISK: Final[Mapping[Storing, tuple[float, float]]] = {
    Storing.FEWER_DETAILS: (1 / 2, 1 / 2.5),
    Storing.SHORTER: (1 / 1.5, 1 / 1.9),
    Storing.COUNTS: (1.0, 1 / 1.25),
    Storing.NOTHING: (1 / 0.5, 1 / 0.65),
}


def decide(
    before: Storing, room: Room, *, budget_bytes: int, used_before_bytes: int | None
) -> Decision:
    """Decide how much is stored until the next look, given how it was until now.

    A disk that runs full is answered at once. Over the budget it goes down one step a look, and
    not below SHORTER while less is used than at the last look (`used_before_bytes`; None: not
    known). It goes up one step a look.
    """
    by_budget = _step(before, room.used_bytes / budget_bytes, _BUDGET)
    by_disk = _step(before, _disk_pressure(room), _DISK)
    wanted = min(by_budget, by_disk)
    cause = Reason.DISK if by_disk < by_budget else Reason.BUDGET
    if wanted is Storing.EVERYTHING and before is wanted:
        return Decision(storing=before, reason=Reason.ROOM)
    if wanted > before:
        reason = Reason.ROOM if wanted is Storing.EVERYTHING else cause
        return Decision(storing=Storing(before + 1), reason=reason, stepped=True)
    if wanted == before:
        return Decision(storing=before, reason=cause)
    if by_disk < before:
        return Decision(storing=by_disk, reason=Reason.DISK, stepped=True)
    falls = used_before_bytes is not None and room.used_bytes < used_before_bytes
    if before <= Storing.SHORTER and falls:
        return Decision(storing=before, reason=Reason.PRUNING)
    return Decision(storing=Storing(before - 1), reason=Reason.BUDGET, stepped=True)


def excess_bytes(room: Room, *, budget_bytes: int) -> float:
    """Return how much is to be deleted so that there is room again; 0 while there is enough."""
    excess = 0.0
    if room.used_bytes >= budget_bytes * _BUDGET[Storing.SHORTER][0]:
        excess = room.used_bytes - TARGET * budget_bytes
    if _disk_pressure(room) >= _DISK[Storing.SHORTER][0]:
        missing = DISK_ROOM * room.reserve_bytes - (room.disk_free_bytes or 0)
        excess = max(excess, min(missing, MAX_CUT * room.used_bytes))
    return max(0.0, excess)


def shorten(tiers: Iterable[Tier], *, excess_bytes: float, now: float) -> dict[str, float]:
    """Return for how long tiers are to be kept so that so many bytes go: name → seconds.

    The first tiers go first, each down to its least; those that stay as they are, are left out.
    Rows are taken to be spread evenly over their time.
    """
    kept: dict[str, float] = {}
    for tier in tiers:
        if excess_bytes <= 0:
            break
        span_s = tier.keep_s if tier.oldest_at is None else min(tier.keep_s, now - tier.oldest_at)
        if span_s <= tier.least_s or not tier.used_bytes:
            continue
        per_s = tier.used_bytes / span_s
        gone_s = min(excess_bytes / per_s, span_s - tier.least_s)
        kept[tier.name] = span_s - gone_s
        excess_bytes -= gone_s * per_s
    return kept


def _step(
    before: Storing, pressure: float, steps: Mapping[Storing, tuple[float, float]]
) -> Storing:
    taken = (
        step
        for step, (enter, leave) in steps.items()
        if pressure >= (leave if before <= step else enter)
    )
    return min(taken, default=Storing.EVERYTHING)


def _disk_pressure(room: Room) -> float:
    if room.disk_free_bytes is None or not room.disk_bytes:
        return 0.0
    return room.reserve_bytes / room.disk_free_bytes if room.disk_free_bytes > 0 else inf
