"""Whether an issue is rising: how many more there are of it than there were."""

from collections.abc import Sequence
from typing import Final

LEAST: Final = 10  # in the last hour: below it three times as many are chance
TIMES: Final = 3.0


def rise(hours: Sequence[int]) -> float | None:
    """Return how many times as often it happened in the last hour as in the mean one before.

    `hours` are counts, the latest last, from the first in which the issue is known. None if it is
    not rising: fewer than LEAST in the last hour, less than TIMES as many, or nothing before it,
    for that is a new issue.
    """
    if len(hours) < 2 or hours[-1] < LEAST:
        return None
    before = sum(hours[:-1]) / (len(hours) - 1)
    if not before or hours[-1] < TIMES * before:
        return None
    return hours[-1] / before
