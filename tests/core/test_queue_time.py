"""How long a request waited in front of the application."""

import pytest

from watchkeeper.core.queue_time import queue_seconds

NOW = 1_700_000_000.25


@pytest.mark.parametrize(
    "header",
    [
        "t=1700000000.000",
        "1700000000",
        " t=1700000000000 ",
        "1700000000000",
        "t=1700000000000000",
        "1700000000000000000",
    ],
)
def test_proxies_write_the_moment_in_their_own_units(header):
    """Seconds, milliseconds, microseconds and nanoseconds, with and without "t="."""
    assert 0.25 == pytest.approx(queue_seconds(header, now=NOW), abs=1e-6)


@pytest.mark.parametrize(
    "header",
    ["", "t=", "soon", "nan", "inf", "-5", "0", "1600000000", "1800000000", "1e400", "9" * 40],
)
def test_what_is_no_moment_of_this_request_is_left_out(header):
    """Nonsense, another year, or a moment well ahead tells nothing."""
    assert queue_seconds(header, now=NOW) is None


def test_a_clock_a_little_ahead_means_no_wait():
    """Two machines never agree to the millisecond."""
    assert 0.0 == queue_seconds("t=1700000000.500", now=NOW)
