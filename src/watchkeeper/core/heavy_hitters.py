"""The most frequent values of an endless stream, in bounded memory."""

from dataclasses import dataclass
from typing import Final

MAX_HITTERS: Final = 20  # so a value that is more than 1/20 of the stream is never missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hitter:
    """A frequent value, and the bounds that its true count lies within."""

    value: str
    at_least: int
    at_most: int


class HeavyHitters:
    """Counts values while keeping at most `capacity` of them.

    A new value takes the place of the rarest one and inherits its count as uncertainty. So for a
    stream of n: each bound holds, `at_most - at_least` ≤ n / capacity, and every value that
    occurred more than n / capacity times is kept.
    Not safe for several threads at once.
    Source: Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in
    data streams ("space-saving"), 2005.
    """

    __slots__ = ("_capacity", "_counts", "_inherited", "total")

    def __init__(self, capacity: int = MAX_HITTERS) -> None:
        """Start empty."""
        self.total = 0
        self._capacity = capacity
        self._counts: dict[str, int] = {}
        self._inherited: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the values kept."""
        return len(self._counts)

    def add(self, value: str) -> None:
        """Count one occurrence of a value."""
        self.total += 1
        counts = self._counts
        known = counts.get(value)
        if known is not None:
            counts[value] = known + 1
            return
        inherited = 0
        if len(counts) >= self._capacity:
            rarest = min(counts, key=counts.__getitem__)
            inherited = counts.pop(rarest)
            del self._inherited[rarest]
        counts[value] = inherited + 1
        self._inherited[value] = inherited

    def top(self) -> list[Hitter]:
        """Return the values kept, the most frequent first."""
        hitters = [
            Hitter(value=value, at_least=count - self._inherited[value], at_most=count)
            for value, count in self._counts.items()
        ]
        return sorted(hitters, key=lambda hitter: (-hitter.at_least, -hitter.at_most))
