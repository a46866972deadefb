"""When a rule is judged, in slots: which of them are looked at to fire, and which to clear."""

from dataclasses import dataclass
from math import ceil
from typing import Final

from watchkeeper.core.slot import slot_start

MAX_WAIT_SLOTS: Final = 2  # how long clearing waits for slow workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a rule is judged, in slots."""

    now: float
    slot_s: int
    settled_until: float

    @property
    def open_slot(self) -> int:
        """The start of the slot that is not finished yet."""
        return slot_start(self.now, self.slot_s)

    @property
    def settled(self) -> int:
        """The end of the last slot that every worker has written, at most two slots back."""
        oldest = self.open_slot - MAX_WAIT_SLOTS * self.slot_s
        return min(max(slot_start(self.settled_until, self.slot_s), oldest), self.open_slot)

    def live(self, window_s: float) -> range:
        """The slots of a window that ends now: n - 1 full ones and the open one."""
        return self._slots(self.open_slot + self.slot_s, window_s)

    def final(self, window_s: float) -> range:
        """The slots of a window of full slots that every worker has written."""
        return self._slots(self.settled, window_s)

    def live_length(self, window_s: float) -> float:
        """How long a window that ends now has really lasted; at least one slot."""
        return max(self.now - self.live(window_s).start, float(self.slot_s))

    def _slots(self, end: int, window_s: float) -> range:
        return range(end - window_slots(window_s, self.slot_s) * self.slot_s, end, self.slot_s)


def window_slots(window_s: float, slot_s: int) -> int:
    """Return how many slots a window has: at least two, for one of them is not finished."""
    return max(ceil(window_s / slot_s), 2)
