"""Figures that views have in common: shares, quantiles, counts, the texts of statements."""

from collections.abc import Collection, Mapping

from watchkeeper.core.histogram import Histogram
from watchkeeper.dashboard.sums import Labels, Query, Sums
from watchkeeper.dashboard.views_inside import Covered, RouteCount, Timing
from watchkeeper.storage.store import Statement


def covered(query: Query, sums: Sums) -> Covered:
    """Say what an answer is about."""
    return Covered(
        service=query.service,
        environment=query.environment,
        at=query.now,
        start=query.begin,
        end=query.end,
        covered_s=sums.covered_s(),
    )


def timing(histogram: Histogram | None) -> Timing | None:
    """Describe a histogram of seconds; None without observations."""
    if histogram is None or not histogram.count:
        return None
    return Timing(
        count=histogram.count, p50_s=histogram.quantile(0.5), p95_s=histogram.quantile(0.95)
    )


def quantile(histogram: Histogram | None, q: float) -> float | None:
    """Return a quantile, None without observations."""
    return histogram.quantile(q) if histogram is not None and histogram.count else None


def part(amount: float | None, whole: float) -> float | None:
    """Divide; None if either side is not known."""
    return amount / whole if amount is not None and whole > 0 else None


def longest_first(timed: Mapping[Labels, Histogram]) -> list[Labels]:
    """Order by the time spent, which is what to look at first."""
    return sorted(timed, key=lambda key: (-timed[key].sum, -timed[key].count, key))


def most(counts: Mapping[str, float], limit: int) -> list[tuple[str, int]]:
    """Return the names that were counted most, with their counts."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, int(count)) for name, count in ordered[:limit]]


def route_counts(counts: Mapping[str, float], limit: int) -> tuple[RouteCount, ...]:
    """Return the routes that were counted most."""
    return tuple(RouteCount(route=name, count=count) for name, count in most(counts, limit))


def statement_texts(query: Query, fingerprints: Collection[str]) -> dict[str, Statement]:
    """Read the texts of statements by fingerprint; those that are deleted are not there."""
    if not fingerprints:
        return {}
    found = query.store.statements(
        service=query.service, environment=query.environment, fingerprints=fingerprints
    )
    return {one.fingerprint: one for one in found}
