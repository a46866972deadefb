"""The minutes of a route in one sample, and what they add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite, log
from typing import Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.two_samples import Count, quantile_bounds, spread, threshold_at

Q: Final = 0.95
Z_BOUNDS: Final = 1.959963984540054  # 95 %, both sides: the bounds shown
RUN_REQUESTS: Final = 20  # of a run of minutes: p95 of fewer is the slowest one
SHORTEST_S: Final = 1e-6  # what has no logarithm is taken for this

Route = tuple[str, str]  # method and route template


class Measure(StrEnum):
    """What is compared."""

    ERRORS = "errors"
    P95 = "p95"
    LEFT = "left"  # by their clients, before the response was complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """The requests of one route in one minute, or in several of a long span.

    What has no duration was left by its client.
    """

    requests: int
    errors: int
    durations: Histogram  # seconds
    minutes: int = 1


Sample = Mapping[Route, Sequence[Minute]]
"""What the routes did, each in the order of time."""


@dataclass(slots=True)
class Side:
    """One route's minutes of one sample, and what they add up to."""

    minutes: Sequence[Minute]
    durations: Histogram = field(default_factory=Histogram)
    requests: int = 0
    errors: int = 0
    bounds: tuple[float, float] | None = None  # of p95, once they were asked for

    def __post_init__(self) -> None:
        for one in self.minutes:
            self.requests += one.requests
            self.errors += one.errors
            self.durations.merge(one.durations)

    def value(self, measure: Measure) -> float | None:
        """Return the share of errors or of the left, or p95 in seconds; None without any."""
        if measure is Measure.P95:
            return self.durations.quantile(Q) if self.durations.count else None
        hits = self.errors if measure is Measure.ERRORS else self.left
        return min(hits / self.requests, 1.0) if self.requests else None

    def number(self, measure: Measure) -> int:
        """Return how many observations a measure rests on."""
        return self.durations.count if measure is Measure.P95 else self.requests

    @property
    def left(self) -> int:
        """How many requests their clients left."""
        return max(self.requests - self.durations.count, 0)

    def errors_by_minute(self) -> list[Count]:
        """Return errors of requests."""
        return [Count(min(one.errors, one.requests), one.requests) for one in self.minutes]

    def left_by_minute(self) -> list[Count]:
        """Return how many of the requests their clients left."""
        return [
            Count(max(one.requests - one.durations.count, 0), one.requests) for one in self.minutes
        ]

    def slow_by_minute(self, threshold_s: float) -> list[Count]:
        """Return how many took longer than a threshold."""
        return [
            Count(one.durations.count_above(threshold_s), one.durations.count)
            for one in self.minutes
        ]

    def slower_than(self, threshold_s: float) -> Count:
        """Return how many of all took longer than a threshold."""
        return Count(self.durations.count_above(threshold_s), self.durations.count)

    def threshold_s(self) -> float:
        """Return what about one request of twenty takes longer than."""
        return threshold_at(self.durations, Q)

    def length(self) -> int:
        """Return how many minutes there are."""
        return sum(one.minutes for one in self.minutes)

    def p95_bounds(self) -> tuple[float | None, float | None]:
        """Return the bounds (95 %) that p95 lies between; None where there is none."""
        if self.bounds is None and self.durations.count:
            factor = spread(self.slow_by_minute(self.durations.quantile(Q)), ()).factor
            self.bounds = quantile_bounds(self.durations, Q, factor=factor, z=Z_BOUNDS)
        if self.bounds is None:
            return None, None
        low, high = self.bounds
        return low, high if isfinite(high) else None

    def runs(self, minutes: int) -> list[float]:
        """Return the logarithm of p95 of each run of so many minutes that has enough requests.

        What is too short at the end belongs to the last run.
        """
        parts: list[tuple[int, Histogram]] = []
        for one in self.minutes:
            if not parts or (parts[-1][0] >= minutes and parts[-1][1].count >= RUN_REQUESTS):
                parts.append((0, Histogram()))
            parts[-1][1].merge(one.durations)
            parts[-1] = (parts[-1][0] + one.minutes, parts[-1][1])
        if len(parts) > 1 and (parts[-1][0] < minutes or parts[-1][1].count < RUN_REQUESTS):
            parts[-2][1].merge(parts.pop()[1])
        return [_log_p95(whole) for _, whole in parts if whole.count]


def _log_p95(whole: Histogram) -> float:
    """Return the logarithm of p95, which is expected to be the same however few there are."""
    rank = Q * (whole.count + 1) - 1
    share = min(rank / max(whole.count - 1, 1), 1.0)
    return log(max(whole.quantile(max(share, 0.0)), SHORTEST_S))
