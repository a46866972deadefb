"""When a rule's condition became true for the client."""

from collections.abc import Iterator

import pytest

from watchkeeper.core.rule import Alert
from watchkeeper.demo.crossing import crossed_at
from watchkeeper.demo.traffic import Seen

ERRORS = Alert("High error rate", when="error_rate > 5%", over="10s")
SLOW = Alert("Slow responses", when="p95 > 500ms", over="10s", hold="2s")


def stream(
    seconds: float, *, rate: int = 50, start: float = 1000.0, status: int = 200, took: float = 0.01
) -> Iterator[Seen]:
    """Make requests that finish at even distances."""
    for number in range(int(seconds * rate)):
        yield Seen(start + number / rate, took, status)


def test_all_good_requests_never_cross():
    """A shop without errors gives the alert no moment to be late for."""
    assert crossed_at(ERRORS, list(stream(20))) is None


def test_two_errors_are_never_sure():
    """Fewer than three bad requests do not make the condition true, whatever their share."""
    seen = [Seen(1000.0, 0.01, 500), Seen(1000.1, 0.01, 500)]

    assert crossed_at(ERRORS, seen) is None


def test_the_third_error_of_three_crosses():
    """Three errors of three requests are sure: the condition is true at the third."""
    seen = [Seen(1000.0 + number, 0.01, 500) for number in range(3)]

    assert crossed_at(ERRORS, seen) == 1002.0


def test_certainty_takes_longer_with_a_window_full_of_good_requests():
    """Good requests before the incident keep the share low until enough errors came."""
    calm = list(stream(10, start=1000.0))
    burst = list(stream(5, start=1010.0, status=500))

    at = crossed_at(ERRORS, calm + burst)

    assert at is not None
    assert 1010.6 < at < 1010.95  # Wilson's lower end passes 5 % at 43 of 500


def test_requests_that_left_the_window_count_no_more():
    """Errors older than the window do not add up with new ones."""
    first = [Seen(1000.0 + number / 10, 0.01, 500) for number in range(2)]
    later = [Seen(1020.0, 0.01, 500)]

    assert crossed_at(ERRORS, first + later) is None


def test_order_does_not_matter():
    """The client's list may be in any order."""
    seen = [Seen(1000.0 + number, 0.01, 500) for number in range(5)]

    assert crossed_at(ERRORS, seen) == crossed_at(ERRORS, seen[::-1])


def test_hold_moves_the_moment():
    """A rule with a hold time is due when its condition has been true for so long."""
    slow = list(stream(6, took=0.9))

    assert crossed_at(SLOW, slow) == pytest.approx(1000.04 + 2.0)


def test_a_condition_that_does_not_last_never_crosses():
    """A condition that ends within the hold time is no crossing."""
    slow = list(stream(0.2, took=0.9))
    good = list(stream(10, start=1000.2, rate=400))

    assert crossed_at(SLOW, slow + good) is None


def test_other_rules_are_refused():
    """A rule that is no share of requests has no such moment."""
    with pytest.raises(ValueError, match="not about a share"):
        crossed_at(Alert("Busy", when="requests > 100", over="1m"), [])
