"""Whether two samples of requests differ by more than chance: shares, quantiles, many at once."""

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, inf, lgamma, log, sqrt
from statistics import NormalDist, fmean
from typing import Final, TypeVar

from watchkeeper.core.histogram import Histogram

BATCHES: Final = (1, 2, 5, 10)  # neighbouring minutes that are looked at together
LEAST_BATCHES: Final = 4  # of both samples; fewer tell nothing about how the share wanders
LEAST_MINUTES: Final = LEAST_BATCHES + 2
DEVIATIONS: Final = 1.64  # of Pearson's statistic: less is what independent requests do as well
UNSEEN: Final = 2.4  # more than runs of ten minutes show: what lasts longer (bench/verdict.py)
UNKNOWN: Final = 3.0  # the spread of minutes that are too few to tell: one may be a bad one
TERMS: Final = 100  # of a continued fraction: enough for a day of minutes
NEGLIGIBLE: Final = 1e-16  # a term this small beside the sum ends it
Key = TypeVar("Key", bound=Hashable)

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a number of observations are of a kind."""

    hits: float
    total: float

    @property
    def share(self) -> float:
        """The share of the kind, 0 without observations."""
        return self.hits / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How much more the minutes of two samples differ than chance has it.

    `factor` is the ratio of variances, at least 1; `freedom` tells how well it is known, 0: it is
    assumed.
    """

    factor: float
    freedom: int


def chance_of_more(new: Count, old: Count) -> float:
    """Return how likely so many hits in `new` are if both have one share (Fisher, one-sided).

    Exact for whole numbers. 1 if the share of `new` is not above that of `old`.
    Source: R. A. Fisher, Journal of the Royal Statistical Society 98 (1935).
    """
    hits, total = round(new.hits), round(new.total)
    all_hits, everything = hits + round(old.hits), total + round(old.total)
    if not total or everything == total or hits * everything <= all_hits * total:
        return 1.0
    most = min(all_hits, total)
    term = exp(
        _log_choose(all_hits, hits)
        + _log_choose(everything - all_hits, total - hits)
        - _log_choose(everything, total)
    )
    chance = 0.0
    for count in range(hits, most + 1):
        chance += term
        if term < chance * NEGLIGIBLE:
            break
        misses = everything - all_hits - total + count + 1
        term *= (all_hits - count) * (total - count) / ((count + 1) * misses)
    return min(chance, 1.0)


def spread(new: Sequence[Count], old: Sequence[Count]) -> Spread:
    """Estimate from the minutes of two samples how much more their shares wander than chance.

    Pearson's statistic over runs of 1, 2, 5 and 10 minutes; the largest counts, so that what
    lasts for minutes (a slow neighbour, a burst of bad requests) is not taken for many
    independent observations. Of too few minutes it is assumed.
    Source: P. McCullagh and J. A. Nelder, Generalized Linear Models (1989), chapter 4.5.
    """
    if len(_gathered(new, 1)) + len(_gathered(old, 1)) < LEAST_MINUTES:
        return Spread(UNKNOWN, 0)
    found = Spread(1.0, 0)
    for size in BATCHES:
        statistic, freedom = 0.0, 0
        for minutes in (_gathered(new, size), _gathered(old, size)):
            share = _together(minutes).share
            if len(minutes) > 1 and 0 < share < 1:
                freedom += len(minutes) - 1
                statistic += sum(
                    (one.hits - one.total * share) ** 2 / (one.total * share * (1 - share))
                    for one in minutes
                )
        if freedom < LEAST_BATCHES or statistic <= freedom + DEVIATIONS * sqrt(2 * freedom):
            continue  # as chance has it
        factor = 1 + UNSEEN * (statistic / freedom - 1)
        if factor > found.factor:
            found = Spread(factor, freedom)
    return found


def chance_of_larger_share(new: Sequence[Count], old: Sequence[Count]) -> float:
    """Return how likely the share of `new` is to be so much larger by chance, minute by minute.

    Fisher's exact test where minutes differ as chance has it. Where they differ more, each
    observation counts for less, and a factor known from few minutes only makes less sure.
    """
    wanders = spread(new, old)
    chance = chance_of_more(
        _divided(_together(new), wanders.factor), _divided(_together(old), wanders.factor)
    )
    if not wanders.freedom or not 0 < chance < 1:
        return chance
    return _student_above(-_NORMAL.inv_cdf(chance), wanders.freedom)


def chance_of_larger_mean(new: Sequence[float], old: Sequence[float]) -> float:
    """Return how likely the mean of `new` is to be so much larger by chance (Student's t).

    One value may be enough on one side, as both vary alike where nothing changed; 1 if there are
    less than three in all, and if the mean is not above that of `old`.
    """
    freedom = len(new) + len(old) - 2
    if not new or not old or freedom < 1:
        return 1.0
    means = fmean(new), fmean(old)
    if means[0] <= means[1]:
        return 1.0
    squares = sum((one - means[0]) ** 2 for one in new) + sum((one - means[1]) ** 2 for one in old)
    error = sqrt(squares / freedom * (1 / len(new) + 1 / len(old)))
    return _student_above((means[0] - means[1]) / error, freedom) if error else 0.0


def quantile_bounds(whole: Histogram, q: float, *, factor: float, z: float) -> tuple[float, float]:
    """Return between which bounds the q-quantile lies, by order statistics and their buckets.

    `z` is how many standard deviations each bound is away, `factor` the spread of minutes.
    Without observations: (0, inf).
    """
    if not whole.count:
        return 0.0, inf
    deviation = z * sqrt(factor * q * (1 - q) / whole.count)
    low, high = max(q - deviation, 0.0), q + deviation
    if high >= 1:
        return _bucket_at(whole, low)[0], inf
    return _bucket_at(whole, low)[0], _bucket_at(whole, high)[1]


def threshold_at(whole: Histogram, q: float) -> float:
    """Return the bound of a bucket that splits the observations as near to `q` as can be."""
    best, off, seen = 0.0, q, 0
    for _, upper, count in whole.ranges():
        seen += count
        distance = abs(seen / whole.count - q)
        if distance < off:
            best, off = upper, distance
    return best


def holm(chances: Mapping[Key, float], alpha: float) -> frozenset[Key]:
    """Return which of many tests are significant, all of them false with a chance ≤ `alpha`.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    found: list[Key] = []
    for number, (key, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        if chance > alpha / (len(chances) - number):
            break
        found.append(key)
    return frozenset(found)


def _gathered(minutes: Sequence[Count], size: int) -> list[Count]:
    """Add up each run of `size` minutes; those without observations are not there."""
    runs = (_together(minutes[at : at + size]) for at in range(0, len(minutes), size))
    return [one for one in runs if one.total]


def _together(counts: Sequence[Count]) -> Count:
    return Count(sum(one.hits for one in counts), sum(one.total for one in counts))


def _divided(count: Count, factor: float) -> Count:
    return Count(count.hits / factor, count.total / factor)


def _bucket_at(whole: Histogram, q: float) -> tuple[float, float]:
    """Return the bounds of the bucket that the q-quantile is in."""
    buckets = list(whole.ranges())
    upto = list(accumulate(count for _, _, count in buckets))
    lower, upper, _ = buckets[min(bisect_left(upto, q * whole.count), len(buckets) - 1)]
    return lower, upper


def _log_choose(number: int, chosen: int) -> float:
    return lgamma(number + 1) - lgamma(chosen + 1) - lgamma(number - chosen + 1)


def _student_above(t: float, freedom: int) -> float:
    """Return how likely Student's t is above `t`, which is above 0.

    Source: the incomplete beta function by Lentz's continued fraction (NIST DLMF 8.17.22).
    """
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    if t <= 0 or x >= 1:  # so near the middle that floats do not tell it apart
        return 0.5
    if x <= 0:
        return 0.0
    if x > (a + 1) / (a + b + 2):  # where the fraction of the other end converges
        return 0.5 * (1 - _beta_below(b, a, 1 - x))
    return 0.5 * _beta_below(a, b, x)


def _beta_below(a: float, b: float, x: float) -> float:
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + step * d)
            c = 1 + step / c
            fraction *= c * d
    return front * fraction
