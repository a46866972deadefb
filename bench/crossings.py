"""The moments at which a condition on the share of errors is truly so, by what clients saw."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from watchkeeper.core.statistics import wilson_lower

if TYPE_CHECKING:
    from shops import Answer

THRESHOLD: Final = 0.05
WINDOWS_S: Final = (60.0, 300.0)
MIN_BAD: Final = 3


def plain(answers: "Sequence[Answer]") -> float | None:
    """Return when more than 5 % of the last minute failed for the first time, None if never."""
    return _first(answers, WINDOWS_S[0], lambda bad, total: bad > THRESHOLD * total)


def sure(answers: "Sequence[Answer]") -> float | None:
    """Return when that was first certain, within one minute or five: the guard of rules."""

    def certain(bad: int, total: int) -> bool:
        return bad >= MIN_BAD and wilson_lower(bad, total) > THRESHOLD

    found = [_first(answers, window_s, certain) for window_s in WINDOWS_S]
    return min((at for at in found if at is not None), default=None)


def _first(
    answers: "Sequence[Answer]", window_s: float, is_so: Callable[[int, int], bool]
) -> float | None:
    window: deque[Answer] = deque()
    bad = 0
    for one in sorted(answers, key=lambda one: one.at):
        window.append(one)
        bad += one.failed
        while window[0].at <= one.at - window_s:
            bad -= window.popleft().failed
        if is_so(bad, len(window)):
            return one.at
    return None
