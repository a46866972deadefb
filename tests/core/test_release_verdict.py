"""The verdict on a release."""

from itertools import pairwise
from math import exp
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.looks import Look, looks
from watchkeeper.core.release_verdict import MAX_ROUTES, Against, Outcome, Reason, judge
from watchkeeper.core.route_minutes import Measure, Minute

PAY = ("GET", "/pay")
HOME = ("GET", "/")


def minutes(number=30, *, requests=100, errors=0, slow=3, slow_s=0.3):
    """Make minutes that are alike: most requests take 50 ms."""
    durations = Histogram([0.05] * (requests - slow) + [slow_s] * slow)
    return [Minute(requests=requests, errors=errors, durations=durations)] * number


def of(verdict, route=PAY):
    """Find the verdict on a route."""
    return next(one for one in verdict.routes if (one.method, one.route) == route)


def compared(verdict, measure, against=Against.PREVIOUS, route=PAY):
    """Find one comparison of a route."""
    return next(
        one
        for one in of(verdict, route).comparisons
        if (one.measure, one.against) == (measure, against)
    )


def test_a_release_that_changes_nothing_is_the_same():
    """The same requests as before: nothing is told."""
    verdict = judge({PAY: minutes()}, {Against.PREVIOUS: {PAY: minutes(60)}})

    assert (Outcome.SAME, 1.0) == (verdict.outcome, verdict.covered)
    assert Reason.CHANCE is compared(verdict, Measure.ERRORS).reason


def test_the_route_that_got_worse_is_named():
    """One route fails more often, another one does not."""
    verdict = judge(
        {PAY: minutes(errors=5), HOME: minutes(errors=1)},
        {Against.PREVIOUS: {PAY: minutes(60, errors=1), HOME: minutes(60, errors=1)}},
    )

    assert Outcome.WORSE is verdict.outcome
    assert Outcome.WORSE is of(verdict).outcome
    assert Outcome.SAME is of(verdict, HOME).outcome
    found = compared(verdict, Measure.ERRORS)
    assert (Reason.CERTAIN, 0.05, 0.01) == (found.reason, found.value, found.before)
    assert found.chance < 1e-6


def test_a_slower_route_is_worse():
    """p95 goes from 50 ms to 300 ms, and its bounds are told."""
    verdict = judge({PAY: minutes(slow=10)}, {Against.PREVIOUS: {PAY: minutes(60)}})

    found = compared(verdict, Measure.P95)

    assert (Outcome.WORSE, Outcome.WORSE) == (verdict.outcome, found.outcome)
    assert found.low <= found.value <= found.high
    assert pytest.approx(0.3, rel=0.02) == found.value


def test_a_faster_route_is_better():
    """What got better is told as well, and is no reason to stop."""
    verdict = judge({PAY: minutes()}, {Against.PREVIOUS: {PAY: minutes(60, slow=10)}})

    assert Outcome.BETTER is verdict.outcome


def test_a_difference_too_small_to_matter_is_the_same():
    """Beyond chance, and yet not worth telling: 2.00 % become 2.14 %."""
    verdict = judge(
        {PAY: minutes(200, requests=7_000, errors=150, slow=0)},
        {Against.PREVIOUS: {PAY: minutes(200, requests=7_000, errors=140, slow=0)}},
    )

    found = compared(verdict, Measure.ERRORS)

    assert (Outcome.SAME, Reason.SMALL) == (found.outcome, found.reason)


def test_a_quantile_that_moves_the_other_way_is_not_certain():
    """More lie above the old p95, and in most runs; but of all together p95 is lower."""
    then = minutes(270, requests=200, slow=8, slow_s=9.0)
    then += minutes(30, requests=200, slow=40, slow_s=9.0)
    now = minutes(100, requests=200, slow=18, slow_s=0.9)

    verdict = judge({PAY: now}, {Against.PREVIOUS: {PAY: then}})

    found = compared(verdict, Measure.P95)
    assert found.chance < 0.01
    assert (Outcome.SAME, Reason.SMALL) == (found.outcome, found.reason)


@pytest.mark.parametrize(
    ("week", "expected"),
    [
        ({PAY: minutes(30, errors=1)}, Outcome.WORSE),
        ({PAY: minutes(30, errors=6)}, Outcome.DOUBTFUL),
        ({}, Outcome.WORSE),
    ],
)
def test_a_reference_that_was_as_bad_makes_it_doubtful(week, expected):
    """Worse than the release before, but as last week: doubtful. Of one alone it is enough."""
    verdict = judge(
        {PAY: minutes(errors=6)},
        {Against.PREVIOUS: {PAY: minutes(60, errors=1)}, Against.LAST_WEEK: week},
    )

    assert expected is verdict.outcome


def test_a_reference_that_cannot_tell_does_not_speak_against():
    """Few requests last week, of which one failed, do not make a certain change doubtful."""
    verdict = judge(
        {PAY: minutes(errors=6)},
        {
            Against.PREVIOUS: {PAY: minutes(60, errors=1)},
            Against.LAST_WEEK: {
                PAY: [*minutes(30, requests=6), *minutes(1, requests=6, errors=1)]
            },
        },
    )

    assert Reason.CHANCE is compared(verdict, Measure.ERRORS, Against.LAST_WEEK).reason
    assert Outcome.WORSE is verdict.outcome


def restless(seed, number, *, requests):
    """Draw the durations of minutes, in seconds, which wander together by 30 %."""
    dice = Random(seed)  # noqa: S311
    middles = [0.1 * exp(dice.gauss(0, 0.3)) for _ in range(number)]
    return [[middle * exp(dice.gauss(0, 0.6)) for _ in range(requests)] for middle in middles]


def slowed(drawn, factor=1):
    """Make minutes of durations that are so many times as long."""
    return [
        Minute(requests=len(some), errors=0, durations=Histogram([factor * one for one in some]))
        for some in drawn
    ]


@given(st.integers(0, 10**6), st.sampled_from([5, 40]))
@settings(max_examples=10, deadline=None)
def test_what_is_slower_is_never_less_certain(seed, requests):
    """The longer the same requests take, the surer; 128 times as long is worse beyond doubt."""
    then = {PAY: slowed(restless(seed, 30, requests=requests))}
    drawn = restless(seed + 1, 30, requests=requests)

    found = [
        compared(judge({PAY: slowed(drawn, factor)}, {Against.PREVIOUS: then}), Measure.P95)
        for factor in (2, 4, 16, 128)
    ]

    assert all(later.chance <= one.chance * (1 + 1e-6) for one, later in pairwise(found))
    assert Outcome.WORSE is found[-1].outcome


def test_too_few_runs_of_minutes_are_no_verdict_on_p95():
    """Eight minutes beside eight: nobody knows how much they wander, so not "the same"."""
    verdict = judge({PAY: minutes(8)}, {Against.LAST_WEEK: {PAY: minutes(8)}})

    found = compared(verdict, Measure.P95, Against.LAST_WEEK)
    assert (Outcome.TOO_LITTLE, Reason.FEW) == (found.outcome, found.reason)
    assert Outcome.TOO_LITTLE is verdict.outcome


def test_of_a_few_minutes_each_request_counts_for_a_third():
    """Two minutes beside two: what is slow in all of them is found."""
    verdict = judge({PAY: minutes(2, slow=90)}, {Against.LAST_WEEK: {PAY: minutes(2)}})

    assert Outcome.WORSE is compared(verdict, Measure.P95, Against.LAST_WEEK).outcome


def test_a_route_that_is_gone_is_told():
    """It had requests in every minute, and has none: doubtful, whatever the others do."""
    before = {PAY: minutes(60), HOME: minutes(60)}

    verdict = judge({PAY: minutes()}, {Against.PREVIOUS: before})

    assert Outcome.DOUBTFUL is verdict.outcome
    found = compared(verdict, Measure.ERRORS, route=HOME)
    assert (Reason.GONE, 0, 6_000) == (found.reason, found.requests, found.requests_before)


@pytest.mark.parametrize(
    "before",
    [
        {PAY: minutes(60), HOME: minutes(9)},
        {PAY: minutes(60), HOME: minutes(60, requests=1)[:31]},
        {PAY: minutes(2), HOME: minutes(2)},  # in all that is known of then
    ],
)
def test_a_route_that_is_called_now_and_then_is_not_gone(before):
    """A batch of some minutes, or so few requests that there may be none."""
    verdict = judge({PAY: minutes(3)}, {Against.PREVIOUS: before})

    assert [PAY[1]] == [one.route for one in verdict.routes]


def test_better_than_one_of_two_is_the_same():
    """Only what both say counts."""
    verdict = judge(
        {PAY: minutes(errors=1)},
        {
            Against.PREVIOUS: {PAY: minutes(60, errors=6)},
            Against.LAST_WEEK: {PAY: minutes(errors=1)},
        },
    )

    assert Outcome.SAME is verdict.outcome


def test_few_requests_are_no_verdict():
    """Forty requests without an error say nothing of whether it is the same."""
    verdict = judge(
        {PAY: minutes(1, requests=40)}, {Against.PREVIOUS: {PAY: minutes(60, requests=40)}}
    )

    assert (Outcome.TOO_LITTLE, 0.0) == (verdict.outcome, verdict.covered)
    assert Reason.FEW is compared(verdict, Measure.ERRORS).reason


def test_few_requests_that_all_fail_are_enough():
    """Thirty of thirty failing where none did is no chance."""
    verdict = judge(
        {PAY: minutes(1, requests=30, errors=30)},
        {Against.PREVIOUS: {PAY: minutes(60, requests=40)}},
    )

    assert Outcome.WORSE is verdict.outcome


def test_a_new_route_has_nothing_beside_it():
    """It is told apart from one that has few requests."""
    verdict = judge({PAY: minutes(), HOME: minutes(3)}, {Against.PREVIOUS: {PAY: minutes()}})

    assert Reason.NEW is compared(verdict, Measure.ERRORS, route=HOME).reason
    assert Outcome.SAME is verdict.outcome
    assert pytest.approx(30 / 33) == verdict.covered


def test_a_release_most_of_which_is_new_is_not_judged():
    """A verdict on the small rest would be one on nothing."""
    verdict = judge({PAY: minutes(3), HOME: minutes()}, {Against.PREVIOUS: {PAY: minutes()}})

    assert Outcome.TOO_LITTLE is verdict.outcome


def test_nothing_to_judge_is_too_little():
    """No requests, or nothing to compare with."""
    assert Outcome.TOO_LITTLE is judge({}, {}).outcome
    assert Outcome.TOO_LITTLE is judge({PAY: minutes()}, {}).outcome


def test_requests_without_an_answer_have_no_p95():
    """Where every client left there are no durations."""
    gone = [Minute(requests=200, errors=0, durations=Histogram())]

    verdict = judge({PAY: gone}, {Against.PREVIOUS: {PAY: gone}})

    assert compared(verdict, Measure.P95).value is None
    silent = [Minute(requests=0, errors=0, durations=Histogram())]
    nothing = judge({PAY: silent}, {Against.PREVIOUS: {PAY: silent}})
    assert compared(nothing, Measure.ERRORS).value is None


def hanging(number=30, *, answered, left):
    """Make minutes in which some clients leave before they are answered."""
    durations = Histogram([0.05] * answered)
    return [Minute(requests=answered + left, errors=0, durations=durations)] * number


@pytest.mark.parametrize("answered", [0, 50])
def test_a_route_whose_clients_leave_is_worse(answered):
    """Half of the requests hang, or all, until their clients give up."""
    verdict = judge(
        {PAY: hanging(answered=answered, left=50)},
        {Against.PREVIOUS: {PAY: hanging(60, answered=99, left=1)}},
    )

    found = compared(verdict, Measure.LEFT)
    assert (Outcome.WORSE, Reason.CERTAIN) == (found.outcome, found.reason)
    assert (50 / (answered + 50), 0.01) == (found.value, found.before)
    assert [(PAY[1], Outcome.WORSE)] == [(one.route, one.outcome) for one in verdict.routes]


def test_a_few_clients_more_that_leave_are_the_same():
    """Beyond chance, but less than a percentage point."""
    verdict = judge(
        {PAY: hanging(200, answered=4_960, left=40)},
        {Against.PREVIOUS: {PAY: hanging(200, answered=4_990, left=10)}},
    )

    assert Reason.SMALL is compared(verdict, Measure.LEFT).reason
    assert Outcome.SAME is verdict.outcome


def test_where_no_client_leaves_nothing_is_tested():
    """A test that can find nothing does not make the others less sure."""
    verdict = judge({PAY: minutes()}, {Against.PREVIOUS: {PAY: minutes(60)}})

    found = compared(verdict, Measure.LEFT)

    assert (Outcome.SAME, 0.0, 1.0) == (found.outcome, found.value, found.chance)


def test_a_route_of_which_nothing_is_answered_is_gone():
    """It was answered in every minute; now there are a few requests, and none is answered."""
    before = {PAY: minutes(60), HOME: minutes(60)}

    verdict = judge(
        {PAY: minutes(), HOME: hanging(10, answered=0, left=1)}, {Against.PREVIOUS: before}
    )

    assert Outcome.DOUBTFUL is verdict.outcome
    assert [PAY[1], HOME[1]] == [one.route for one in verdict.routes]
    found = compared(verdict, Measure.ERRORS, route=HOME)
    assert (Reason.GONE, 10, 6_000) == (found.reason, found.requests, found.requests_before)


def test_a_stream_that_clients_always_leave_is_not_gone():
    """It was never answered to the end before either."""
    stream = hanging(30, answered=0, left=100)

    verdict = judge(
        {PAY: minutes(), HOME: stream}, {Against.PREVIOUS: {PAY: minutes(60), HOME: stream}}
    )

    assert Outcome.SAME is compared(verdict, Measure.LEFT, route=HOME).outcome
    assert Outcome.DOUBTFUL is not verdict.outcome


def test_routes_beyond_the_maximum_are_left_out():
    """The largest are judged."""
    many = {("GET", str(number)): minutes(1, requests=1, slow=0) for number in range(MAX_ROUTES)}

    verdict = judge(many | {PAY: minutes()}, {Against.PREVIOUS: {PAY: minutes()}})

    assert MAX_ROUTES == len(verdict.routes)
    assert PAY == (verdict.routes[0].method, verdict.routes[0].route)


def test_looks_share_the_chance_of_a_false_alarm():
    """However often is looked, together they are wrong as seldom as one look."""
    plan = looks(1_800.0, 0.05)

    assert [225.0, 450.0, 900.0, 1_800.0] == [one.after_s for one in plan]
    assert pytest.approx(0.05) == sum(one.alpha for one in plan)
    assert 0.025 == plan[-1].alpha


def test_who_does_not_wait_looks_once():
    """All of the chance goes to the one look."""
    assert (Look(0.0, 0.05),) == looks(0.0, 0.05)
