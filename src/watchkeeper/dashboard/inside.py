"""What routes add up to: how often, how long, how well, and what happened inside."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

from watchkeeper.core import catalogue
from watchkeeper.core.apdex import apdex
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.tallies import is_failure
from watchkeeper.dashboard.figures import covered, most, part, quantile, statement_texts, timing
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.sums import Query, Sums, read_sums
from watchkeeper.dashboard.tallies import Counted
from watchkeeper.dashboard.views_inside import InsideFigures, Repeated, RouteFigures, RoutesView

KINDS: Final = ("db", "http", "cache")
OWN: Final = "own"
MAX_REPEATED: Final = 5  # statements that repeat, per route

_METRICS: Final = (
    catalogue.HTTP_DURATION,
    catalogue.HTTP_BROKEN,
    catalogue.HTTP_UNHANDLED,
    catalogue.HTTP_BAD,
    catalogue.HTTP_EXCUSED,
    catalogue.HTTP_DISCONNECTS,
    catalogue.HTTP_INSIDE,
    catalogue.HTTP_CALLS,
    catalogue.HTTP_QUEUE,
    catalogue.HTTP_FIRST_BYTE,
    catalogue.DB_REPEATED,
)

_Key = tuple[str, str]  # method and route template


def routes(query: Query, *, apdex_s: float, page: Page) -> RoutesView:
    """Tell of each method and route how it did; `apdex_s` is the threshold of its Apdex."""
    sums = read_sums(query, _METRICS)
    tallies = _tallies(sums)
    whole = _Tally()
    for tally in tallies.values():
        whole.absorb(tally)
    ordered = sorted(
        tallies, key=lambda key: (-tallies[key].every.sum, -tallies[key].requests, key)
    )
    shown = page.of(ordered)
    insides = _insides(query, sums, tallies, {route for _, route in shown})
    covered_s = sums.covered_s()
    return RoutesView(
        window=covered(query, sums),
        apdex_threshold_s=apdex_s,
        apdex=whole.apdex(apdex_s),
        total=len(ordered),
        routes=tuple(
            RouteFigures(
                method=key[0],
                route=key[1],
                requests=tally.requests,
                requests_per_s=part(tally.requests, covered_s),
                errors=tally.errors,
                error_rate=tally.error_rate,
                p50_s=quantile(tally.every, 0.5),
                p95_s=quantile(tally.every, 0.95),
                p99_s=quantile(tally.every, 0.99),
                seconds=tally.every.sum,
                time_share=part(tally.every.sum, whole.every.sum),
                apdex=tally.apdex(apdex_s),
                inside=insides[key[1]],
            )
            for key, tally in ((key, tallies[key]) for key in shown)
        ),
    )


class _Tally(Counted):
    """The requests of one method and route, apart by whether their status is a failure."""

    __slots__ = ("answered", "bad", "every", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.bad = 0
        self.every = Histogram()  # of all that were answered
        self.answered = Histogram()  # of those whose status is no failure

    def apdex(self, threshold_s: float) -> float | None:
        return apdex(self.answered, threshold_s, failed=self.errors, total=self.every.count)

    def absorb(self, other: "_Tally") -> None:
        self.requests += other.requests
        self.bad += other.bad
        self.every.merge(other.every)
        self.answered.merge(other.answered)


def _tallies(sums: Sums) -> dict[_Key, _Tally]:
    tallies: dict[_Key, _Tally] = defaultdict(_Tally)
    for (method, route, status), histogram in sums.histograms(catalogue.HTTP_DURATION).items():
        tally = tallies[method, route]
        tally.requests += histogram.count
        tally.every.merge(histogram)
        if is_failure(status):
            tally.bad += histogram.count
        else:
            tally.answered.merge(histogram)
    for metric, sign in (
        (catalogue.HTTP_BROKEN, 1),
        (catalogue.HTTP_UNHANDLED, 1),
        (catalogue.HTTP_BAD, 1),
        (catalogue.HTTP_EXCUSED, -1),
    ):
        for (method, route), count in sums.counters(metric).items():
            tallies[method, route].bad += sign * int(count)
    for (method, route), count in sums.counters(catalogue.HTTP_DISCONNECTS).items():
        tallies[method, route].requests += int(count)
    return tallies


def _insides(
    query: Query, sums: Sums, tallies: Mapping[_Key, _Tally], wanted: Collection[str]
) -> dict[str, InsideFigures]:
    """Describe the inside of routes; a kind that no route of the window has is not known."""
    inside = sums.histograms(catalogue.HTTP_INSIDE)
    calls = sums.counters(catalogue.HTTP_CALLS)
    queues = sums.histograms(catalogue.HTTP_QUEUE)
    first_bytes = sums.histograms(catalogue.HTTP_FIRST_BYTE)
    repeated = _repeated(query, sums, wanted)
    known = [kind for kind in KINDS if any(kind == one for one, _ in inside)]
    every: dict[str, _Tally] = defaultdict(_Tally)
    for (_, route), tally in tallies.items():
        every[route].absorb(tally)
    insides = {}
    for route in wanted:
        seconds: dict[str, float | None] = dict.fromkeys((*KINDS, OWN))
        per_request: dict[str, float | None] = dict.fromkeys(KINDS)
        left = every[route].every.sum
        for kind in known:
            spent = inside[kind, route].sum if (kind, route) in inside else 0.0
            seconds[kind] = spent
            left -= spent
            per_request[kind] = part(calls.get((kind, route), 0.0), every[route].every.count)
        if known:
            seconds[OWN] = max(left, 0.0)  # calls may run side by side
        insides[route] = InsideFigures(
            seconds=seconds,
            calls_per_request=per_request,
            queue=timing(queues.get((route,))),
            first_byte=timing(first_bytes.get((route,))),
            repeated=repeated.get(route, ()),
        )
    return insides


def _repeated(
    query: Query, sums: Sums, wanted: Collection[str]
) -> dict[str, tuple[Repeated, ...]]:
    by_route: dict[str, dict[str, float]] = defaultdict(dict)
    for (route, statement), count in sums.counters(catalogue.DB_REPEATED).items():
        if route in wanted:
            by_route[route][statement] = count
    chosen = {route: most(counts, MAX_REPEATED) for route, counts in by_route.items()}
    texts = statement_texts(query, {name for found in chosen.values() for name, _ in found})
    return {
        route: tuple(
            Repeated(
                statement=name,
                text=texts[name].text if name in texts else None,
                requests=count,
            )
            for name, count in found
        )
        for route, found in chosen.items()
    }
