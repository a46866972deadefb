"""Uptime from changes of state: borders by example, laws by property."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.health import CheckState
from watchkeeper.core.uptime import (
    ALL_TELL,
    ANY_TELLS,
    Change,
    Span,
    Stretch,
    Uptime,
    joined,
    overlap,
    stretches,
    tally,
    together,
    uptime,
    where_known,
)

PASS, WARN, FAIL, UNKNOWN = CheckState
ALWAYS = [Span(0, 1_000)]

moments = st.integers(0, 1_000)
states = st.sampled_from(CheckState)
changes = st.lists(st.builds(Change, moments, states), max_size=12)
spans = st.lists(st.builds(Span, moments, moments), max_size=8)


def seconds(spans: list[Span]) -> set[int]:
    """The whole seconds that spans cover, the plainest way to say it."""
    return {at for span in spans for at in range(int(span.start), int(span.end))}


def test_the_state_at_the_start_is_that_of_the_last_change_before():
    """A change long ago says how a day began."""
    found = uptime(
        [Change(10, FAIL), Change(130, PASS)], before=UNKNOWN, start=100, end=200, known=ALWAYS
    )

    assert Uptime(pass_s=70, fail_s=30) == found
    assert 0.7 == found.share


def test_a_warning_is_up():
    """What works with a warning works."""
    found = uptime([Change(50, WARN)], before=PASS, start=0, end=100, known=ALWAYS)

    assert Uptime(pass_s=50, warn_s=50) == found
    assert 1.0 == found.share


def test_time_in_which_nobody_looked_is_unknown():
    """A worker that was killed for a minute makes a minute unknown, not good."""
    found = uptime(
        [Change(0, PASS)], before=UNKNOWN, start=0, end=200, known=[Span(0, 80), Span(140, 200)]
    )

    assert Uptime(pass_s=140, unknown_s=60) == found
    assert 1.0 == found.share


def test_of_nothing_known_there_is_no_share():
    """Neither 0 % nor 100 % is shown for what was never looked at."""
    found = uptime([], before=UNKNOWN, start=0, end=60, known=ALWAYS)

    assert Uptime(unknown_s=60) == found
    assert found.share is None
    assert uptime([], before=PASS, start=0, end=60, known=[]).share is None


def test_an_empty_range_has_no_time():
    """A range that ends as it begins holds nothing."""
    found = uptime([Change(5, FAIL)], before=PASS, start=60, end=60, known=ALWAYS)

    assert Uptime() == found
    assert found.share is None


def test_of_changes_at_one_moment_the_last_holds():
    """A check that changed twice within one reading of the clock is in the later state."""
    found = stretches([Change(5, FAIL), Change(5, PASS)], before=WARN, start=0, end=10)

    assert [Stretch(0, 5, WARN), Stretch(5, 10, PASS)] == found


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # One worker that knows speaks for a check; a service is known if all its checks are.
        (ANY_TELLS, [Stretch(0, 50, PASS), Stretch(50, 80, FAIL), Stretch(80, 100, UNKNOWN)]),
        (
            ALL_TELL,
            [
                Stretch(0, 20, PASS),
                Stretch(20, 50, UNKNOWN),
                Stretch(50, 80, FAIL),
                Stretch(80, 100, UNKNOWN),
            ],
        ),
    ],
)
def test_several_together(order, expected):
    """The order of states says which of several wins."""
    one = [Stretch(0, 50, PASS), Stretch(50, 80, FAIL)]
    other = [Stretch(0, 20, PASS), Stretch(20, 60, UNKNOWN)]

    assert expected == together([one, other], order=order, start=0, end=100)


@given(changes, states, spans, moments, moments)
def test_every_second_is_counted_once(made, before, looked, one, other):
    """The four states add up to the range, and only known time is passed, warned or failed."""
    start, end = sorted((one, other))
    known = joined(looked)

    found = uptime(made, before=before, start=start, end=end, known=known)

    assert end - start == found.known_s + found.unknown_s
    assert found.known_s <= len(seconds(known) & set(range(start, end)))
    assert found.share is None or 0 <= found.share <= 1


@given(changes, states, spans, st.tuples(moments, moments, moments))
def test_a_range_is_the_sum_of_its_parts(made, before, looked, edges):
    """Cutting a range anywhere changes nothing."""
    start, middle, end = sorted(edges)
    known = joined(looked)

    def within(begin: int, until: int) -> tuple[float, float, float, float]:
        one = uptime(made, before=before, start=begin, end=until, known=known)
        return one.pass_s, one.warn_s, one.fail_s, one.unknown_s

    parts = zip(within(start, middle), within(middle, end), strict=True)
    assert within(start, end) == tuple(map(sum, parts))


@given(changes, states, moments, moments)
def test_stretches_are_the_state_of_each_second(made, before, one, other):
    """Each second is in the state that the changes up to it say."""
    start, end = sorted((one, other))

    parts = stretches(made, before=before, start=start, end=end)

    for at in range(start, end):
        said = [change.state for change in sorted(made, key=lambda one: one.at) if change.at <= at]
        assert (said[-1] if said else before) == next(
            part.state for part in parts if part.start <= at < part.end
        )


@given(st.lists(changes, max_size=4), st.sampled_from((ANY_TELLS, ALL_TELL)), moments, moments)
def test_together_is_the_first_of_the_order(several, order, one, other):
    """At each second the state is the first in order that one of them is in."""
    start, end = sorted((one, other))
    parts = [stretches(made, before=UNKNOWN, start=100, end=900) for made in several]

    found = together(parts, order=order, start=start, end=end)

    assert end - start == sum(part.end - part.start for part in found)
    for part in found:
        for at in range(int(part.start), int(part.end)):
            there = {one.state for each in parts for one in each if one.start <= at < one.end}
            assert part.state == next((state for state in order if state in there), UNKNOWN)


@given(spans, spans)
def test_spans_as_sets_of_seconds(some, others):
    """Joining keeps the time, overlapping is what both have, and both are in order."""
    one, other = joined(some), joined(others)
    both = overlap(one, other)

    assert seconds(some) == seconds(one)
    assert seconds(one) & seconds(other) == seconds(both)
    assert all(left.end < right.start for left, right in pairwise(one))
    assert len(seconds(both)) == sum(span.end - span.start for span in both)


@given(changes, states, spans)
def test_where_known_keeps_the_time(made, before, looked):
    """What is not known becomes unknown; nothing is lost or doubled."""
    parts = stretches(made, before=before, start=0, end=1_000)

    found = where_known(parts, joined(looked))

    assert math.isclose(1_000, sum(part.end - part.start for part in found))
    assert all(left.end == right.start for left, right in pairwise(found))
    assert tally(found).known_s <= tally(parts).known_s
