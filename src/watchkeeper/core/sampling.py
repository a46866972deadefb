"""Which requests are stored as samples: failed ones, the slowest of a route, one ordinary."""

from bisect import insort
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from math import inf
from typing import Final

from watchkeeper.core.budget import Storing

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

    `above` is the duration (seconds) from which on a finished request needs a second look: one
    comparison decides that all others do not. `look_from` is where others want that look.
    """

    __slots__ = ("_level", "_look_from", "_ordinary_due", "_slowest", "above")

    def __init__(self, level: Level = Level.FULL, *, look_from: float = inf) -> None:
        """Begin the first window, with an ordinary request due."""
        self._look_from = look_from
        self.begin(level)

    def begin(self, level: Level) -> None:
        """Begin a new window, in which one request is due whatever its duration."""
        self._ordinary_due = level is not Level.NONE
        self._slowest: list[float] = []
        self.limit(level)

    def limit(self, level: Level) -> None:
        """Sample so much from now on."""
        self._level = level
        self._ordinary_due = self._ordinary_due and level is not Level.NONE
        self._settle()

    def look_from(self, seconds: float) -> None:
        """Look at every request that takes longer, whether it is to be stored or not."""
        self._look_from = seconds
        self._settle()

    def choose(self, seconds: float) -> Reason | None:
        """Return why a request that took so long is to be stored; None if it is not."""
        if self._ordinary_due:
            self._ordinary_due = False
            self._note(seconds)
            return Reason.ORDINARY
        if seconds <= self._slow_from():
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

    def _slow_from(self) -> float:
        """Return the duration from which on a request is one of the slowest."""
        if self._level is not Level.FULL:
            return inf
        return self._slowest[0] if len(self._slowest) == SLOWEST else 0.0

    def _settle(self) -> None:
        """Find from which duration on the next request needs a look."""
        self.above = -1.0 if self._ordinary_due else min(self._slow_from(), self._look_from)


def most_sampled(storing: Storing) -> Level:
    """Return the most that is sampled while no more than this is stored."""
    if storing <= Storing.COUNTS:
        return Level.NONE
    return Level.FULL if storing is Storing.EVERYTHING else Level.FEWER


class FailedLimit:
    """Lets a few failed requests of each issue through in each minute."""

    __slots__ = ("_counts", "_minute")

    def __init__(self) -> None:
        """Start with an empty minute."""
        self._minute = 0
        self._counts: dict[str, int] = {}

    def admits(self, issue: str, *, at: float) -> bool:
        """Tell whether one more of this issue may be stored, and count it."""
        if not self.has_room(issue, at=at):
            return False
        minute = int(at // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        self._counts[issue] = self._counts.get(issue, 0) + 1
        return True

    def has_room(self, issue: str, *, at: float) -> bool:
        """Tell whether one more of this issue may be stored, without counting it."""
        if int(at // 60) != self._minute:
            return True
        count = self._counts.get(issue, 0)
        return count < FAILED_PER_MINUTE and (count > 0 or len(self._counts) < MAX_LIMITED)


def own_seconds(total: float, kinds: Mapping[str, tuple[int, float]]) -> float:
    """Return what is left of a duration besides its calls; 0 where calls ran side by side."""
    return max(0.0, total - sum(seconds for _, seconds in kinds.values()))
