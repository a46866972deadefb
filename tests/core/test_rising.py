"""Which issues are rising."""

import pytest

from watchkeeper.core.rising import rise


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        (3.0, [4, 4, 12]),
        (6.0, [10, 10, 60]),
        (10.0, [0, 2, 10]),
        (None, [4, 4, 11]),  # not three times as many
        (None, [0, 1, 9]),  # too few to tell
        (None, [0, 0, 50]),  # nothing before: it is new, or was gone
        (None, [50]),  # known for less than an hour
        (None, []),
    ],
)
def test_an_issue_rises_with_three_times_as_many_and_ten(times, hours):
    """The last hour is compared with the mean one before."""
    assert times == rise(hours)
