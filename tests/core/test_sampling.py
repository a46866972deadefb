"""Which requests are stored as samples."""

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.sampling import FailedLimit, Level, Reason, RouteChoice, own_seconds


def choices(choice, seconds):
    """Ask as a wrapper does: only for requests above the mark."""
    return [choice.choose(one) if one > choice.above else None for one in seconds]


def test_the_first_request_of_a_window_is_the_ordinary_one():
    """One request is stored whatever it took; the slowest three are as well."""
    assert [Reason.ORDINARY, Reason.SLOW, Reason.SLOW, None, Reason.SLOW] == choices(
        RouteChoice(), [0.1, 0.2, 0.3, 0.05, 0.4]
    )


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=200))
def test_the_slowest_three_are_always_among_the_stored(seconds):
    """No request that ends up among the three slowest durations of its window is missed."""
    choice = RouteChoice()

    stored = [s for s, why in zip(seconds, choices(choice, seconds), strict=True) if why]

    slowest = sorted(seconds)[-3:]
    assert [s for s in slowest if s > 0 and s not in stored] == []


def test_few_requests_of_many_are_stored():
    """Of a thousand requests in random order about 3 · ln(1000) set a mark."""
    seconds = [((n * 7919) % 1000 + 1) / 1000 for n in range(1000)]

    stored = [why for why in choices(RouteChoice(), seconds) if why]

    assert len(stored) <= 40


def test_at_the_lower_level_only_ordinary_requests_are_stored():
    """FEWER keeps the ordinary one, NONE nothing."""
    assert [Reason.ORDINARY, None] == choices(RouteChoice(Level.FEWER), [0.1, 9.0])
    assert [None, None] == choices(RouteChoice(Level.NONE), [0.1, 9.0])


def test_a_new_window_asks_for_an_ordinary_request_again():
    """What was slow in the last window is forgotten."""
    choice = RouteChoice()
    choices(choice, [5.0, 6.0, 7.0])

    choice.begin(Level.FULL)

    assert [Reason.ORDINARY, Reason.SLOW] == choices(choice, [0.1, 0.2])


def test_others_may_want_a_look_that_stores_nothing():
    """A request above `look_from` is looked at, though three slower ones are stored."""
    choice = RouteChoice(look_from=1.0)
    choices(choice, [5.0, 6.0, 7.0])

    assert 1.0 == choice.above
    assert choice.choose(2.0) is None


def test_five_failed_requests_of_an_issue_are_stored_in_a_minute():
    """The sixth waits for the next minute; other issues have their own five."""
    limit = FailedLimit()

    assert [True] * 5 + [False] == [limit.admits("a", at=60.0 + n) for n in range(6)]
    assert limit.admits("b", at=66.0)
    assert limit.admits("a", at=120.0)


def test_a_flood_of_different_issues_is_bounded():
    """No more than a thousand issues are counted in one minute."""
    limit = FailedLimit()

    assert 1_000 == sum(limit.admits(str(n), at=0.0) for n in range(5_000))


def test_own_time_is_what_calls_leave():
    """Calls that ran side by side leave nothing rather than less."""
    assert 0.75 == own_seconds(1.0, {"db": (2, 0.25)})
    assert 0.0 == own_seconds(1.0, {"db": (2, 0.75), "http": (1, 0.5)})
