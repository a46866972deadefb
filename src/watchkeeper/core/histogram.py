"""The mergeable histogram: base-2 exponential buckets, as OpenTelemetry defines them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import ceil, inf, isfinite, log2, nan
from sys import float_info
from typing import Final

SCALE: Final = 5  # 32 buckets an octave: relative error ≤ 1.1 % (tests/core/test_histogram.py)
MAX_BUCKETS: Final = 640  # a spread of 10^6 at scale 5; beyond it pairs of buckets are merged

MAX_EXPONENT: Final = 1024  # 2^1024 is the first power of two that no float holds


class Histogram:
    """Counts of observations in buckets whose bounds grow by 2^(1/32).

    Bucket `i` holds values in (2^(i / 2^scale), 2^((i + 1) / 2^scale)]. Negative values have
    buckets of their own by magnitude; zero is counted apart. Merging is exact addition, so a
    quantile of merged histograms is that of all observations together.
    Not safe for several writers; the recorder folds under a lock.
    """

    __slots__ = ("buckets", "count", "max", "min", "negative", "scale", "sum", "zero")

    def __init__(self, values: Iterable[float] = ()) -> None:
        """Start empty, then observe `values`."""
        self.scale = SCALE
        self.count = 0
        self.sum = 0.0
        self.min = inf
        self.max = -inf
        self.zero = 0
        self.buckets: dict[int, int] = {}
        self.negative: dict[int, int] = {}
        if values:
            self.observe_many(values)

    def observe(self, value: float) -> None:
        """Count one value; what is not a finite number is left out."""
        self.observe_many((value,))

    def observe_many(self, values: Iterable[float]) -> None:
        """Count many values at once; what is not a finite number is left out.

        This is the loop that recording pays for, hence batches instead of single values.
        """
        chunk = list(values)
        total = sum(chunk)
        if not isfinite(total):  # one look at all of them
            chunk = [value for value in chunk if isfinite(value)]
            total = sum(chunk)
        if not chunk:
            return
        smallest = min(chunk)
        self.count += len(chunk)
        self.sum += total
        self.min = min(self.min, smallest)
        self.max = max(self.max, max(chunk))
        if smallest <= 0:
            self.zero += chunk.count(0)
            self._count(self.negative, [-value for value in chunk if value < 0])
            chunk = [value for value in chunk if value > 0]
        self._count(self.buckets, chunk)
        self._shrink()

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's observations to this one, exactly."""
        if not other.count:
            return
        if other.scale < self.scale:
            self._downscale(self.scale - other.scale)
        shift = other.scale - self.scale
        for mine, theirs in ((self.buckets, other.buckets), (self.negative, other.negative)):
            for index, count in theirs.items():
                index >>= shift
                mine[index] = mine.get(index, 0) + count
        self.count += other.count
        self.sum += other.sum
        self.zero += other.zero
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        self._shrink()

    def quantile(self, q: float) -> float:
        """Estimate the q-quantile, in the unit observed.

        Relative error ≤ 1.1 % at scale 5; exact at q = 0 and 1. Empty: nan.
        Raises ValueError unless 0 ≤ q ≤ 1.
        Source: OpenTelemetry metrics data model, exponential histogram.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is {q}; a quantile lies between 0 and 1")
        if not self.count:
            return nan
        if q == 0:
            return self.min
        if q == 1:
            return self.max
        rank = q * (self.count - 1)
        lower, upper = self._bucket_of(rank)
        return min(max((lower + upper) / 2, self.min), self.max)

    def count_above(self, threshold: float) -> int:
        """Count the observations above `threshold` (in the unit observed).

        A bucket that spans the threshold counts when its middle lies above it, so the answer is
        that of a threshold moved by at most 1.1 %.
        """
        return sum(count for lower, upper, count in self.ranges() if lower + upper > 2 * threshold)

    def ranges(self) -> Iterator[tuple[float, float, int]]:
        """Yield (lower bound, upper bound, count) of each bucket in use, lowest values first."""
        width = 2.0**-self.scale
        for index in sorted(self.negative, reverse=True):
            lower, upper = -_power(width * (index + 1)), -_power(width * index)
            yield lower, upper, self.negative[index]
        if self.zero:
            yield 0.0, 0.0, self.zero
        for index in sorted(self.buckets):
            yield _power(width * index), _power(width * (index + 1)), self.buckets[index]

    def copy(self) -> "Histogram":
        """Return an independent copy."""
        clone = Histogram.__new__(Histogram)  # every attribute is set below; `__init__` takes time
        clone.scale, clone.count, clone.sum = self.scale, self.count, self.sum
        clone.min, clone.max, clone.zero = self.min, self.max, self.zero
        clone.buckets, clone.negative = self.buckets.copy(), self.negative.copy()
        return clone

    def __eq__(self, other: object) -> bool:
        """Two histograms are equal when they hold the same counts at the same scale."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable, hence no key

    def __repr__(self) -> str:
        """Show count and median, for reading in a debugger."""
        return f"Histogram(count={self.count}, p50={self.quantile(0.5):.4g})"

    def _bucket_of(self, rank: float) -> tuple[float, float]:
        """Return the bounds of the bucket that holds the observation of a rank, from 0.

        As `ranges` would tell, but without working out the bounds of all those before.
        """
        width = 2.0**-self.scale
        seen = 0
        for index in sorted(self.negative, reverse=True):
            seen += self.negative[index]
            if seen > rank:
                return -_power(width * (index + 1)), -_power(width * index)
        seen += self.zero
        if seen > rank:
            return 0.0, 0.0
        indexes = sorted(self.buckets)
        upto = list(accumulate(map(self.buckets.__getitem__, indexes), initial=seen))
        at = bisect_right(upto, rank) - 1
        if at >= len(indexes):
            return self.max, self.max
        return _power(width * indexes[at]), _power(width * (indexes[at] + 1))

    def _count(self, buckets: dict[int, int], magnitudes: list[float]) -> None:
        get = buckets.get
        factor = 2.0**self.scale  # the scale is below zero when values span the whole range
        for index in [ceil(log2(value) * factor) - 1 for value in magnitudes]:
            buckets[index] = get(index, 0) + 1

    def _shrink(self) -> None:
        while len(self.buckets) + len(self.negative) > MAX_BUCKETS:
            self._downscale(1)

    def _downscale(self, steps: int) -> None:
        self.scale -= steps
        self.buckets = _folded(self.buckets, steps)
        self.negative = _folded(self.negative, steps)


def _power(exponent: float) -> float:
    """Return 2^exponent, at most the largest float."""
    return 2.0**exponent if exponent < MAX_EXPONENT else float_info.max


def _folded(buckets: dict[int, int], steps: int) -> dict[int, int]:
    """Merge each run of 2^steps neighbouring buckets into one."""
    folded: dict[int, int] = {}
    for index, count in buckets.items():
        folded[index >> steps] = folded.get(index >> steps, 0) + count
    return folded
