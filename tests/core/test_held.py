"""What is given up first when slots wait for longer than there is room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.held import Reason, Relief, relief


@pytest.mark.parametrize(
    ("starts", "details", "too_large", "first", "expected"),
    [
        ([0, 10, 60, 70], [1, 1, 1, 1], True, 0, Relief(Reason.TO_MINUTES, 0)),
        ([0, 60, 70], [1, 1, 1], True, 0, Relief(Reason.TO_MINUTES, 1)),
        ([0, 10, 20], [1, 1, 1], True, 1, Relief(Reason.TO_MINUTES, 1)),
        ([0, 60, 120], [0, 1, 1], True, 0, Relief(Reason.DROP_DETAILS, 1)),
        ([0, 60, 120], [1, 0, 0], True, 1, Relief(Reason.TO_HOURS, 1)),
        ([0, 60, 120], [1, 1, 1], False, 0, Relief(Reason.TO_HOURS, 0)),
        ([0, 3_600, 7_200], [0, 0, 0], True, 0, Relief(Reason.TO_DAYS, 0)),
        ([0, 86_400], [0, 0], True, 0, Relief(Reason.TOGETHER, 0)),
        ([0, 86_400], [0, 0], True, 1, Relief(Reason.NOTHING_LEFT)),
        ([0], [1], True, 0, Relief(Reason.DROP_DETAILS, 0)),
        ([0], [0], True, 0, Relief(Reason.NOTHING_LEFT)),
    ],
)
def test_what_makes_room(starts, details, too_large, first, expected):
    """Minutes, then details if room lacks, then hours and days; the oldest suffer first."""
    found = relief(starts, details=list(map(bool, details)), too_large=too_large, first=first)

    assert expected == found


@given(st.lists(st.integers(0, 10**6).map(lambda slot: slot * 10), max_size=40), st.booleans())
def test_room_is_made_until_one_slot_is_left(starts, too_large):
    """However times are ordered, each step changes something, down to one slot without details."""
    starts = list(starts)
    details = [True] * len(starts)
    for _ in range(2 * len(starts) + 1):
        step = relief(starts, details=details, too_large=too_large)
        if step.reason is Reason.NOTHING_LEFT:
            break
        if step.reason is Reason.DROP_DETAILS:
            assert details[step.at]
            details[step.at] = False
        else:
            del starts[step.at + 1]
            details[step.at] |= details.pop(step.at + 1)

    assert len(starts) <= 1
    assert not too_large or not any(details)
