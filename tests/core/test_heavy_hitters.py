"""The most frequent values are found in little memory, with bounds that hold."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.heavy_hitters import MAX_HITTERS, HeavyHitters, Hitter

# Few different values, so that streams repeat them, drawn so that some are frequent.
streams = st.lists(st.integers(0, 40).map(lambda number: str(number * number // 40)), max_size=300)


def counted(stream, capacity: int = MAX_HITTERS) -> HeavyHitters:
    hitters = HeavyHitters(capacity)
    for value in stream:
        hitters.add(value)
    return hitters


def test_few_values_are_counted_exactly():
    """As long as there is room, every count is exact and the most frequent comes first."""
    hitters = counted("abaca")

    assert [
        Hitter(value="a", at_least=3, at_most=3),
        Hitter(value="b", at_least=1, at_most=1),
        Hitter(value="c", at_least=1, at_most=1),
    ] == hitters.top()
    assert 5 == hitters.total


def test_a_frequent_value_is_found_among_a_flood_of_rare_ones():
    """A value that is a tenth of the stream is on top, whatever else comes by."""
    stream = ["often" if number % 10 == 0 else f"rare-{number}" for number in range(10_000)]

    first = counted(stream).top()[0]

    assert "often" == first.value
    assert first.at_least <= 1_000 <= first.at_most


@given(streams, st.integers(1, 30))
def test_both_bounds_hold_and_are_close(stream, capacity):
    """The true count lies within the bounds, and these are n / capacity apart at most."""
    true = Counter(stream)

    for hitter in counted(stream, capacity).top():
        assert 1 <= hitter.at_least <= true[hitter.value] <= hitter.at_most
        assert hitter.at_most - hitter.at_least <= len(stream) / capacity


@given(streams, st.integers(1, 30))
def test_no_frequent_value_is_missed(stream, capacity):
    """Whatever occurs more than n / capacity times is among the values kept."""
    kept = {hitter.value for hitter in counted(stream, capacity).top()}

    assert {
        value for value, count in Counter(stream).items() if count > len(stream) / capacity
    } <= kept


@given(streams, st.integers(1, 30))
def test_memory_is_bounded_and_the_total_exact(stream, capacity):
    """However long the stream, no more than `capacity` values are kept; all are counted."""
    hitters = counted(stream, capacity)

    assert len(hitters) == len(hitters.top()) == min(capacity, len(set(stream)))
    assert len(stream) == hitters.total == sum(hitter.at_most for hitter in hitters.top())
