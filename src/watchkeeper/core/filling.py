"""When something that fills up will be full: the trend of what is free, and where it leads."""

from collections import deque
from collections.abc import Sequence
from itertools import combinations
from typing import Final

TREND_S: Final = 6 * 3_600.0  # how far back the trend looks
LEARN_S: Final = 3_600.0  # of readings before there is a trend: less would cry wolf at a deploy
FARTHEST_S: Final = 30 * 86_400.0  # a prediction of more than that is none
READ_EVERY_S: Final = 300.0  # readings of a trend of hours
MAX_READINGS: Final = int(TREND_S / READ_EVERY_S) + 1


def full_in_s(readings: Sequence[tuple[float, float]]) -> float | None:
    """Return in how many seconds nothing is free, from (seconds, free) readings in their order.

    The trend is the median slope between any two readings of the last `TREND_S` (Theil and Sen):
    one large file written or deleted does not move it. At most `FARTHEST_S`, which also stands
    for "never" where nothing fills up. None: the readings span less than `LEARN_S`.
    """
    last_at, free = readings[-1] if readings else (0.0, 0.0)
    recent = [one for one in readings if one[0] >= last_at - TREND_S]
    if not recent or last_at - recent[0][0] < LEARN_S:
        return None
    slopes = sorted(
        (later - earlier) / (end - start)
        for (start, earlier), (end, later) in combinations(recent, 2)
        if end > start
    )
    falls = -slopes[len(slopes) // 2]
    if falls <= 0:
        return FARTHEST_S
    return min(FARTHEST_S, max(0.0, free) / falls)


class Trend:
    """Readings of what is free, as many as the trend needs, and where they lead."""

    def __init__(self) -> None:
        """Begin without a reading."""
        self._readings: deque[tuple[float, float]] = deque(maxlen=MAX_READINGS)
        self._full_in_s: float | None = None

    def full_in_s(self, free: float, *, now: float) -> float | None:
        """Note what is free now, if it is time for it; return what `full_in_s` says of all.

        A clock that was set back begins anew.
        """
        readings = self._readings
        if readings and now < readings[-1][0]:
            readings.clear()
        if not readings or now - readings[-1][0] >= READ_EVERY_S:
            readings.append((now, free))
            self._full_in_s = full_in_s(readings)
        return self._full_in_s
