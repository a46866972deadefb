"""The verdict on a release: which routes are worse than before, by more than chance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.route_minutes import Measure, Route, Sample, Side
from watchkeeper.core.two_samples import (
    LEAST_MINUTES,
    Count,
    chance_of_larger_mean,
    chance_of_larger_share,
    chance_of_more,
    holm,
)

ALPHA: Final = 0.05  # how likely a whole verdict may be "worse" where nothing changed
MIN_TESTED: Final = 20  # requests of a route; fewer are not even looked at, which costs no power
MIN_REQUESTS: Final = 100  # fewer never are "the same": p95 of 100 rests on the five slowest
MIN_RATIO: Final = 1.2  # the smallest change worth telling of …
MIN_SHARE: Final = 0.001  # … and of error shares at least a tenth of a percentage point
MIN_P95_S: Final = 0.010  # … and of p95 at least 10 ms
MIN_LEFT: Final = 0.01  # … and of the share of clients that leave at least a percentage point
ALL_THE_TIME: Final = 20  # minutes at least; a burst of a few is not
MIN_PRESENT: Final = 0.5  # of the minutes then: a route that is called now and then is not gone
MIN_COVERED: Final = 0.5  # of the release's requests: a verdict on fewer would be one on nothing
MAX_ROUTES: Final = 2_000  # the largest by requests
LEAST: Final = {Measure.ERRORS: MIN_SHARE, Measure.P95: MIN_P95_S, Measure.LEFT: MIN_LEFT}
RUN_MINUTES: Final = (5, 10)  # p95 is compared by runs of so many; what is less sure counts
MIN_RUNS: Final = 5  # of both sides together; of fewer nobody knows how much they wander
PREVIOUS_PART: Final = 0.8  # of the chance of a false alarm, where there are both references


class Against(StrEnum):
    """What a release is compared with."""

    PREVIOUS = "previous_release"
    LAST_WEEK = "last_week"


class Outcome(StrEnum):
    """How a release compares."""

    BETTER = "better"
    SAME = "same"
    DOUBTFUL = "doubtful"  # worse than one of the two, and the other was as bad; or gone
    WORSE = "worse"
    TOO_LITTLE = "too_little_data"


class Reason(StrEnum):
    """Why a comparison came out as it did."""

    CERTAIN = "certain"  # beyond chance, and worth telling
    SMALL = "small"  # beyond chance, but too small to be worth telling
    CHANCE = "chance"  # no more than chance has it
    FEW = "few"  # too few requests, now or then
    NEW = "new"  # there was no such route then
    GONE = "gone"  # there is no such route any more, or none of its requests is answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measure of one route beside a reference; shares from 0 to 1, p95 in seconds.

    `chance` is how likely a difference like this one is where nothing changed. `low` and `high`
    are the bounds (95 %) that the p95 of the release lies between; of shares they are None, and
    `high` is where there are too few requests for one.
    """

    measure: Measure
    against: Against
    outcome: Outcome
    reason: Reason
    value: float | None
    before: float | None
    chance: float
    requests: int
    requests_before: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteVerdict:
    """The verdict on one route."""

    method: str
    route: str
    outcome: Outcome
    requests: int
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseVerdict:
    """The verdict on a release; `covered` is the share of its requests that could be judged."""

    outcome: Outcome
    covered: float
    routes: tuple[RouteVerdict, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """Both directions of one comparison, before it is known how many there are."""

    worse: float
    better: float
    able: bool = True  # to find anything: there are enough runs of minutes


_Key = tuple[Route, Measure]
_Certain = tuple[frozenset[_Key], frozenset[_Key]]  # what is worse, what is better


def judge(
    new: Sample, references: Mapping[Against, Sample], *, alpha: float = ALPHA
) -> ReleaseVerdict:
    """Compare the routes of a release with each reference, and say what is certain.

    Where nothing changed, a verdict calls any route worse with a chance of at most `alpha`, over
    all routes, measures (Holm) and references (most of it is the previous release's). Errors, and
    requests that their clients left, are compared by Fisher's exact test; p95 by the same test on
    how many take longer than the reference's p95. That is exact for any distribution of
    durations, as the reference's p95 is one of its own requests (the exceedance test: B. Epstein,
    Annals of Mathematical Statistics 25, 1954), and the slower a release is, the surer it is
    found. Minutes that differ more than chance has it count for less.
    """
    sides = {route: Side(minutes) for route, minutes in new.items()}
    largest = sorted(sides, key=lambda one: (-sides[one].requests, one))[:MAX_ROUTES]
    olds = {
        against: {route: Side(sample.get(route, ())) for route in largest}
        for against, sample in references.items()
    }
    tests = {
        against: {
            (route, measure): found
            for route in largest
            for measure in Measure
            if (found := _test(sides[route], old[route], measure)) is not None
        }
        for against, old in olds.items()
    }
    certain = {against: _certain(some, part) for against, some, part in _shared(tests, alpha)}
    routes = tuple(
        _route(
            route,
            sides[route],
            [
                _compared(
                    (route, measure),
                    against,
                    (sides[route], old[route]),
                    tests[against].get((route, measure)),
                    certain=certain[against],
                )
                for against, old in olds.items()
                for measure in Measure
            ],
        )
        for route in largest
    )
    gone = _gone(
        new, references, worse={_key(one) for one in routes if one.outcome is Outcome.WORSE}
    )
    names = {_key(one) for one in gone}
    return _overall((*(one for one in routes if _key(one) not in names), *gone))


def _shared(
    tests: Mapping[Against, Mapping[_Key, _Test]], alpha: float
) -> Iterator[tuple[Against, Mapping[_Key, _Test], float]]:
    """Share the chance of a false alarm between the references that have anything to test."""
    both = all(tests.get(against) for against in Against)
    for against, some in tests.items():
        part = PREVIOUS_PART if against is Against.PREVIOUS else 1 - PREVIOUS_PART
        yield against, some, alpha * part if both else alpha


def _certain(tests: Mapping[_Key, _Test], alpha: float) -> _Certain:
    return (
        holm({key: one.worse for key, one in tests.items()}, alpha),
        holm({key: one.better for key, one in tests.items()}, alpha),
    )


def _test(now: Side, then: Side, measure: Measure) -> _Test | None:
    """Test both directions; None where there is too little to look at."""
    if min(now.number(measure), then.number(measure)) < MIN_TESTED:
        return None
    if measure is Measure.ERRORS:
        return _by_share(now.errors_by_minute(), then.errors_by_minute())
    if measure is Measure.LEFT:
        if not now.left and not then.left:
            return None  # nothing can be found, and a test less makes the others surer
        return _by_share(now.left_by_minute(), then.left_by_minute())
    # Beyond chance request by request, and by runs of minutes, which wander together.
    threshold_s = then.threshold_s()
    slow, slow_then = now.slower_than(threshold_s), then.slower_than(threshold_s)
    if now.length() + then.length() < LEAST_MINUTES:
        return _Test(
            worse=chance_of_larger_share([slow], [slow_then]),
            better=chance_of_larger_share([slow_then], [slow]),
        )
    worse, better = [chance_of_more(slow, slow_then)], [chance_of_more(slow_then, slow)]
    able = True
    for minutes in RUN_MINUTES:
        size = min(minutes, now.length(), then.length())
        runs, runs_then = now.runs(size), then.runs(size)
        able &= len(runs) + len(runs_then) >= MIN_RUNS
        worse.append(chance_of_larger_mean(runs, runs_then))
        better.append(chance_of_larger_mean(runs_then, runs))
    return _Test(worse=max(worse), better=max(better), able=able)


def _by_share(now: Sequence[Count], then: Sequence[Count]) -> _Test:
    return _Test(worse=chance_of_larger_share(now, then), better=chance_of_larger_share(then, now))


def _compared(
    key: _Key,
    against: Against,
    sides: tuple[Side, Side],
    test: _Test | None,
    *,
    certain: _Certain,
) -> Comparison:
    _, measure = key
    now, then = sides
    value, before = now.value(measure), then.value(measure)
    outcome, reason = _outcome(key, value, before, certain)
    if reason is Reason.CHANCE and not then.requests:
        outcome, reason = Outcome.TOO_LITTLE, Reason.NEW
    elif reason is Reason.CHANCE and (
        min(now.number(measure), then.number(measure)) < MIN_REQUESTS
        or (test is not None and not test.able)
    ):
        outcome, reason = Outcome.TOO_LITTLE, Reason.FEW
    low, high = now.p95_bounds() if measure is Measure.P95 else (None, None)
    return Comparison(
        measure=measure,
        against=against,
        outcome=outcome,
        reason=reason,
        value=value,
        before=before,
        chance=1.0 if test is None else min(1.0, 2 * min(test.worse, test.better)),
        requests=now.number(measure),
        requests_before=then.number(measure),
        low=low,
        high=high,
    )


def _outcome(
    key: _Key,
    value: float | None,
    before: float | None,
    certain: _Certain,
) -> tuple[Outcome, Reason]:
    worse, better = certain
    if value is None or before is None or not (key in worse or key in better):
        return Outcome.SAME, Reason.CHANCE
    smaller, larger = sorted((value, before))
    if larger < smaller * MIN_RATIO or larger - smaller < LEAST[key[1]]:
        return Outcome.SAME, Reason.SMALL
    # More may lie above the old quantile while the new one is lower, where requests are heaped.
    if key in worse and value > before:
        return Outcome.WORSE, Reason.CERTAIN
    if key in better and value < before:
        return Outcome.BETTER, Reason.CERTAIN
    return Outcome.SAME, Reason.SMALL


def _route(route: Route, now: Side, comparisons: Sequence[Comparison]) -> RouteVerdict:
    by_measure = [[one for one in comparisons if one.measure is measure] for measure in Measure]
    return RouteVerdict(
        method=route[0],
        route=route[1],
        outcome=_over_measures([_over_references(some) for some in by_measure]),
        requests=now.requests,
        comparisons=tuple(comparisons),
    )


def _over_measures(outcomes: Iterable[Outcome]) -> Outcome:
    """Join the measures: what is worse counts, then what is not known, then what is better."""
    found = set(outcomes)
    for one in (Outcome.WORSE, Outcome.DOUBTFUL, Outcome.TOO_LITTLE, Outcome.BETTER):
        if one in found:
            return one
    return Outcome.SAME


def _over_references(comparisons: Sequence[Comparison]) -> Outcome:
    """Join the references that could be judged.

    Worse needs one that is certain, and no other one that was as bad: a busy hour, or a change
    between then and now. An other one that only cannot tell (chance) says nothing against it.
    """
    known = [one for one in comparisons if one.outcome is not Outcome.TOO_LITTLE]
    if not known:
        return Outcome.TOO_LITTLE
    worse = [one for one in known if one.outcome is Outcome.WORSE]
    if worse:
        others = [
            one
            for one in comparisons
            if one.outcome is not Outcome.WORSE
            and min(one.requests, one.requests_before) >= MIN_REQUESTS
        ]
        was_as_bad = any(_nearer_to_now(one, beside=worse[0]) for one in others)
        return Outcome.DOUBTFUL if was_as_bad else Outcome.WORSE
    found = {one.outcome for one in known}
    return Outcome.BETTER if found == {Outcome.BETTER} else Outcome.SAME


def _nearer_to_now(other: Comparison, *, beside: Comparison) -> bool:
    """Say whether one reference was nearer to what is now than to another reference."""
    now, then, before = beside.value or 0.0, beside.before or 0.0, other.before or 0.0
    return before - then > now - before


def _key(one: RouteVerdict) -> Route:
    return one.method, one.route


def _gone(
    new: Sample, references: Mapping[Against, Sample], *, worse: AbstractSet[Route]
) -> tuple[RouteVerdict, ...]:
    """Find the routes that each reference answered all the time, and of which now none is.

    What is worse already needs no such word.
    """
    total = sum(one.requests for minutes in new.values() for one in minutes)
    answered = {route for route, minutes in new.items() if Side(minutes).durations.count}
    expected = [_expected(sample, total) for sample in references.values()]
    if not expected:
        return ()
    return tuple(
        RouteVerdict(
            method=route[0],
            route=route[1],
            outcome=Outcome.DOUBTFUL,
            requests=(now := Side(new.get(route, ()))).requests,
            comparisons=tuple(
                _nothing_now(against, now, Side(sample[route]))
                for against, sample in references.items()
            ),
        )
        for route in sorted(set.intersection(*map(set, expected)) - answered - worse)[:MAX_ROUTES]
    )


def _expected(sample: Sample, total: int) -> list[Route]:
    """Return the routes that would have been answered all the time, as large a share as then."""
    minutes = max([ALL_THE_TIME, *map(len, sample.values())])
    sums = {route: sum(one.durations.count for one in some) for route, some in sample.items()}
    everything = max(sum(sums.values()), 1)
    return [
        route
        for route, requests in sums.items()
        if len(sample[route]) >= MIN_PRESENT * minutes
        and requests / everything * total >= MIN_TESTED
    ]


def _nothing_now(against: Against, now: Side, then: Side) -> Comparison:
    return Comparison(
        measure=Measure.ERRORS,
        against=against,
        outcome=Outcome.DOUBTFUL,
        reason=Reason.GONE,
        value=now.value(Measure.ERRORS),
        before=then.value(Measure.ERRORS),
        chance=1.0,
        requests=now.requests,
        requests_before=then.requests,
    )


def _overall(routes: Sequence[RouteVerdict]) -> ReleaseVerdict:
    requests = sum(one.requests for one in routes)
    judged = sum(one.requests for one in routes if one.outcome is not Outcome.TOO_LITTLE)
    covered = judged / requests if requests else 0.0
    found = {one.outcome for one in routes}
    outcome = Outcome.SAME
    if Outcome.WORSE in found:
        outcome = Outcome.WORSE
    elif Outcome.DOUBTFUL in found:
        outcome = Outcome.DOUBTFUL
    elif covered < MIN_COVERED:
        outcome = Outcome.TOO_LITTLE
    elif Outcome.BETTER in found:
        outcome = Outcome.BETTER
    return ReleaseVerdict(outcome=outcome, covered=covered, routes=tuple(routes))
