"""Slots begin at multiples of their length, and frames have an order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.slot import FrameKey, slot_start


@pytest.mark.parametrize(
    ("start", "at"), [(0, 0.0), (0, 9.999), (10, 10.0), (1_700_000_000, 1_700_000_009.5)]
)
def test_a_moment_belongs_to_one_slot(start: int, at: float):
    """A slot holds its start and not its end."""
    assert start == slot_start(at, 10)


@given(st.floats(min_value=0, max_value=4e9), st.integers(min_value=1, max_value=3600))
def test_a_slot_holds_its_moment(at: float, resolution: int):
    """Every moment lies within the slot that it is put into."""
    start = slot_start(at, resolution)

    assert 0 == start % resolution
    assert start <= at < start + resolution


def test_frames_sort_by_time_then_worker_then_flush():
    """The order of keys is the order in which things happened."""
    keys = [FrameKey(10, 20, 1, 1), FrameKey(10, 10, 2, 1), FrameKey(10, 10, 1, 2)]

    assert [keys[2], keys[1], keys[0]] == sorted(keys)
