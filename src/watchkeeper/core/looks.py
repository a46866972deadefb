"""When a verdict that is waited for is reached, and how sure each look has to be."""

from dataclasses import dataclass
from typing import Final

PARTS: Final = (0.125, 0.25, 0.5)  # of the wait: when is looked before its end
EARLY: Final = 0.5  # of the chance of a false alarm goes to the early looks together


@dataclass(frozen=True, slots=True)
class Look:
    """One look: so many seconds after the release was marked, with its chance of a false alarm."""

    after_s: float
    alpha: float


def looks(wait_s: float, alpha: float) -> tuple[Look, ...]:
    """Return the looks of a wait, the last one at its end; together no likelier wrong than one.

    Looking often and stopping at the first alarm finds one sooner or later where nothing is:
    each look gets a part of `alpha`, so that all of them together are wrong as seldom as one
    (Bonferroni). Without a wait there is one look, which gets all of it.
    """
    if wait_s <= 0:
        return (Look(0.0, alpha),)
    early = tuple(Look(wait_s * part, alpha * EARLY / len(PARTS)) for part in PARTS)
    return (*early, Look(wait_s, alpha * (1 - EARLY)))
