"""Which requests are stored as samples: failed ones, the slowest of a route, one ordinary."""

from bisect import insort
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from math import inf
from typing import Final

SLOWEST: Final = 3  # per route and window
WINDOW_S: Final = 600.0
FAILED_PER_MINUTE: Final = 5  # per issue
MAX_LIMITED: Final = 1_000  # issues whose samples of this minute are counted
SHOWN_SPANS: Final = 20  # of one sample: the slowest


class Level(IntEnum):
    """How much is sampled; less while Watchkeeper costs more than it may."""

    NONE = 0
    FEWER = 1  # failed and ordinary ones only
    FULL = 2


class Reason(StrEnum):
    """Why a request is stored."""

    FAILED = "failed"
    SLOW = "slow"
    ORDINARY = "ordinary"


class RouteChoice:
    """Chooses among the requests of one route within one window.

    `above` is the duration (seconds) from which on a request is worth the question; one
    comparison decides that all others are not.
    """

    __slots__ = ("_level", "_ordinary_due", "_slowest", "above")

    def __init__(self, level: Level = Level.FULL) -> None:
        """Begin the first window, with an ordinary request due."""
        self.begin(level)

    def begin(self, level: Level, *, ordinary: bool = True) -> None:
        """Begin a new window; `ordinary` asks for one request whatever its duration."""
        self._level = level
        self._ordinary_due = ordinary and level is not Level.NONE
        self._slowest: list[float] = []
        self._settle()

    def choose(self, seconds: float) -> Reason | None:
        """Return why a request that took so long is to be stored; None if it is not."""
        if self._ordinary_due:
            self._ordinary_due = False
            self._note(seconds)
            return Reason.ORDINARY
        if seconds <= self.above or self._level is not Level.FULL:
            return None
        self._note(seconds)
        return Reason.SLOW

    def holds(self, seconds: float) -> bool:
        """Tell whether a duration is still among the slowest of the window."""
        return len(self._slowest) < SLOWEST or seconds >= self._slowest[0]

    def _note(self, seconds: float) -> None:
        insort(self._slowest, seconds)
        del self._slowest[:-SLOWEST]
        self._settle()

    def _settle(self) -> None:
        """Find from which duration on the next request is worth the question."""
        if self._ordinary_due:
            self.above = -1.0
        elif self._level is not Level.FULL:
            self.above = inf
        else:
            self.above = self._slowest[0] if len(self._slowest) == SLOWEST else 0.0


class FailedLimit:
    """Lets a few failed requests of each issue through in each minute."""

    __slots__ = ("_counts", "_minute")

    def __init__(self) -> None:
        """Start with an empty minute."""
        self._minute = 0
        self._counts: dict[str, int] = {}

    def admits(self, issue: str, *, at: float) -> bool:
        """Tell whether one more of this issue may be stored, and count it."""
        minute = int(at // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        count = self._counts.get(issue, 0)
        if count >= FAILED_PER_MINUTE or (not count and len(self._counts) >= MAX_LIMITED):
            return False
        self._counts[issue] = count + 1
        return True


def own_seconds(total: float, kinds: Mapping[str, tuple[int, float]]) -> float:
    """Return what is left of a duration besides its calls; 0 where calls ran side by side."""
    return max(0.0, total - sum(seconds for _, seconds in kinds.values()))
