"""Slots that wait for the database: what is given up first when there is no more room."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.slot import slot_start

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400


class Reason(StrEnum):
    """What is to be done, in this order as long as it helps."""

    TO_MINUTES = "to_minutes"  # merge two neighbours of one minute
    DROP_DETAILS = "drop_details"  # leave out stored errors and requests of the oldest
    TO_HOURS = "to_hours"  # merge two neighbours of one hour: the coarsest that is ever stored
    TO_DAYS = "to_days"
    TOGETHER = "together"  # merge any two: the time gets wrong, the count does not
    NOTHING_LEFT = "nothing_left"


@dataclass(frozen=True, slots=True)
class Relief:
    """What makes room, and at which of the waiting slots: `at` and, for a merge, the next."""

    reason: Reason
    at: int = 0


def relief(
    starts: Sequence[int], *, details: Sequence[bool], too_large: bool, first: int = 0
) -> Relief:
    """Decide what makes room among slots that wait, oldest first; the oldest suffer first.

    `starts`: when each began, in seconds since the epoch; `details`: which of them hold more than
    counts; `too_large`: it is room that lacks, not their number. Those before `first` may not be
    touched.
    """
    if (at := _neighbours(starts, MINUTE_S, first)) is not None:
        return Relief(Reason.TO_MINUTES, at)
    if too_large:
        for at in range(first, len(starts)):
            if details[at]:
                return Relief(Reason.DROP_DETAILS, at)
    for reason, span_s in ((Reason.TO_HOURS, HOUR_S), (Reason.TO_DAYS, DAY_S)):
        if (at := _neighbours(starts, span_s, first)) is not None:
            return Relief(reason, at)
    if len(starts) - first > 1:
        return Relief(Reason.TOGETHER, first)
    return Relief(Reason.NOTHING_LEFT)


def _neighbours(starts: Sequence[int], span_s: int, first: int) -> int | None:
    """Return where the oldest two neighbours are that began in the same span."""
    spans = [slot_start(start, span_s) for start in starts]
    for at in range(first, len(spans) - 1):
        if spans[at] == spans[at + 1]:
            return at
    return None
