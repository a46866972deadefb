"""Whose turn it is to run a check of the cluster, as the result that all workers see tells."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

LATE_SLOTS: Final = 2.5  # until a result is there for all: a flush, its jitter, a slow database


class Turn(StrEnum):
    """Who runs a check, and why."""

    OURS = "this worker ran it last"
    THEIRS = "another worker runs it"
    NEVER_RAN = "nobody has run it"
    RUNNER_GONE = "who ran it lives no more"
    OVERDUE = "who ran it does so no more"

    @property
    def is_free(self) -> bool:
        """Whether somebody has to take it over."""
        return self in (Turn.NEVER_RAN, Turn.RUNNER_GONE, Turn.OVERDUE)


def turn(
    *,
    ran_at: float | None,
    ran_by: int | None,
    me: int | None,
    ours_since: float | None,
    live: Collection[int] | None,
    every_s: float,
    timeout_s: float,
    late_s: float,
    now: float,
) -> Turn:
    """Decide who runs a check whose last stored run was at `ran_at`, by the worker `ran_by`.

    `ours_since` is when this worker last ran it or took it over, None if it does not run it.
    Where two workers ran it, the later one goes on. `live` are the workers that write, None if
    that was not looked at.
    """
    if ours_since is not None and (ran_at is None or ran_by == me or ran_at <= ours_since):
        return Turn.OURS
    if ran_at is None:
        return Turn.NEVER_RAN
    due_at = ran_at + every_s
    if now > due_at and live is not None and ran_by is not None and ran_by not in live:
        return Turn.RUNNER_GONE
    if now > due_at + timeout_s + late_s:
        return Turn.OVERDUE
    return Turn.THEIRS
