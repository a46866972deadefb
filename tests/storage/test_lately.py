"""A bounded memory of what was used lately."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.storage.lately import Lately


def filled(count: int, most: int = 10) -> "Lately[int, str]":
    """Hold the numbers up to `count` by themselves."""
    lately: Lately[int, str] = Lately(most)
    for number in range(count):
        lately.put(number, str(number))
    return lately


def test_what_is_held_is_found():
    """A key leads to its value, one that was never put to nothing."""
    assert ["0", "8", None] == [filled(9).get(key) for key in (0, 8, 9)]


def test_what_was_longest_unused_is_forgotten_first():
    """One that is read again and again outlives those that came with it."""
    lately = filled(5)
    for number in range(5, 100):
        lately.get(0)
        lately.put(number, str(number))

    assert "0" == lately.get(0)
    assert [None] * 4 == [lately.get(key) for key in (1, 2, 3, 4)]
    assert "99" == lately.get(99)


@given(keys=st.lists(st.integers(0, 40)))
def test_it_is_bounded_and_keeps_the_last_half(keys: Sequence[int]):
    """However it is used, it holds no more than its number, and the latest half of it."""
    lately: Lately[int, int] = Lately(10)
    for key in keys:
        if lately.get(key) is None:
            lately.put(key, key)

    assert len(lately) <= 10
    latest = list(dict.fromkeys(reversed(keys)))[:5]
    assert latest == [lately.get(key) for key in latest]


def test_what_is_dropped_is_gone():
    """Values of both generations are dropped, the others stay."""
    lately = filled(9)
    lately.get(2)

    lately.drop(lambda value: int(value) % 2 == 0)

    assert [None, "1", None, "3"] == [lately.get(key) for key in range(4)]
    lately.clear()
    assert (None, 0) == (lately.get(1), len(lately))
