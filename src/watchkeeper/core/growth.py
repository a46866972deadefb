"""How what is stored grows: some measurements of a week, and when no room will be left."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import Final

from watchkeeper.core.budget import Room

DAY_S: Final = 86_400.0
EVERY_S: Final = 6 * 3_600.0  # between two measurements that are kept
KEEP_S: Final = 7 * DAY_S  # what came before says little about the week to come
MAX_POINTS: Final = 40
LEAST_SPAN_S: Final = DAY_S  # one day: nights and days differ
STEADY: Final = 0.0005  # of the limit a day: less is no growth, or five years off
FURTHEST_S: Final = 400 * DAY_S  # beyond it a trend of a week tells nothing

Point = tuple[float, float]
"""When it was measured (seconds since the epoch), and how many bytes were used."""


class Reason(StrEnum):
    """Why a forecast says what it says."""

    UNKNOWN = "unknown"  # measured for less than a day
    SHRINKING = "shrinking"
    STEADY = "steady"  # no growth to speak of, or far away
    GROWING = "growing"
    FULL = "full"


class Limit(StrEnum):
    """What ends first."""

    BUDGET = "budget"
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Growth in bytes a day (None: not known), and in how many seconds no room is left (None: not
    foreseeable), by which limit and why.
    """

    reason: Reason
    limit: Limit
    per_day_bytes: float | None = None
    full_in_s: float | None = None


def noted(history: Sequence[Point], *, at: float, used_bytes: float) -> tuple[Point, ...]:
    """Return the measurements with one more, if it is time for one, without those too old."""
    kept = [point for point in history if at - KEEP_S <= point[0] <= at]
    if not kept or at - kept[-1][0] >= EVERY_S:
        kept.append((at, used_bytes))
    return tuple(kept[-MAX_POINTS:])


def forecast(history: Sequence[Point], room: Room, *, budget_bytes: int, now: float) -> Forecast:
    """Tell from a week's measurements when the budget, or the disk if that is less, is used up.

    The trend is the median of the slopes between any two measurements: one odd day, or a large
    deletion, does not turn it.
    """
    used = room.used_bytes
    left: float = budget_bytes - used
    limit = Limit.BUDGET
    if room.disk_free_bytes is not None and room.disk_free_bytes + room.free_bytes < left:
        left, limit = room.disk_free_bytes + room.free_bytes, Limit.DISK
    points = [*noted(history, at=now, used_bytes=used), (now, float(used))]
    per_day = _per_day(points)
    if left <= 0:
        return Forecast(reason=Reason.FULL, limit=limit, per_day_bytes=per_day, full_in_s=0.0)
    if per_day is None:
        return Forecast(reason=Reason.UNKNOWN, limit=limit)
    slight = STEADY * (used + left)
    if per_day <= slight:
        reason = Reason.SHRINKING if per_day < -slight else Reason.STEADY
        return Forecast(reason=reason, limit=limit, per_day_bytes=per_day)
    full_in_s = left / per_day * DAY_S
    if full_in_s > FURTHEST_S:
        return Forecast(reason=Reason.STEADY, limit=limit, per_day_bytes=per_day)
    return Forecast(reason=Reason.GROWING, limit=limit, per_day_bytes=per_day, full_in_s=full_in_s)


def _per_day(points: Sequence[Point]) -> float | None:
    if points[-1][0] - points[0][0] < LEAST_SPAN_S:
        return None
    slopes = [
        (after - before) / (later - earlier)
        for (earlier, before), (later, after) in combinations(points, 2)
        if later - earlier >= EVERY_S / 2
    ]
    return median(slopes) * DAY_S if slopes else None
