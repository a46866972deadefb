"""The rhythm of flushing: calm, quick in trouble, calm again."""

import pytest

from watchkeeper.core.pace import Reason, Trouble, is_trouble, next_flush, noticed

SLOT_END = 1_010.0


@pytest.mark.parametrize(
    ("bad", "total", "rate", "expected"),
    [
        (2, 2, 0.05, False),  # two bad events wake nobody, however few requests there were
        (3, 10, 0.05, True),
        (3, 60, 0.05, False),  # exactly the threshold is not above it
        (4, 60, 0.05, True),
        (3, 3, 1.0, False),
    ],
)
def test_trouble_needs_three_bad_events_above_the_rate(bad, total, rate, expected):
    """A worker flushes early only for at least three bad events above the lowest threshold."""
    assert expected is is_trouble(bad=bad, total=total, error_rate=rate)


@pytest.mark.parametrize(
    ("trouble", "flushed_at", "now", "expected"),
    [
        pytest.param(None, 1_000, 1_001, (SLOT_END, Reason.SLOT_ENDS), id="calm"),
        pytest.param(
            Trouble(1_004, 1_004), 1_000, 1_004, (1_004, Reason.TROUBLE_BEGAN), id="at once"
        ),
        pytest.param(
            Trouble(1_004, 1_005), 1_004.5, 1_005, (1_005.5, Reason.TROUBLE), id="each second"
        ),
        pytest.param(
            Trouble(900, 1_004), 1_004, 1_005, (1_006, Reason.TROUBLE), id="each two seconds"
        ),
        pytest.param(
            Trouble(600, 1_004), 1_004, 1_005, (SLOT_END, Reason.SLOT_ENDS), id="after 5 minutes"
        ),
        pytest.param(
            Trouble(900, 930), 1_004, 1_005, (SLOT_END, Reason.SLOT_ENDS), id="calm again"
        ),
        pytest.param(
            Trouble(1_000, 1_009), 1_009.5, 1_009.6, (SLOT_END, Reason.SLOT_ENDS), id="slot end"
        ),
    ],
)
def test_flushes_come_quickly_in_trouble_only(trouble, flushed_at, now, expected):
    """Trouble is flushed at once, then each second, then each two, then as ever."""
    assert expected == next_flush(
        trouble, flushed_at=flushed_at, slot_end=SLOT_END, now=now, bad=1
    )


def test_nothing_hurries_while_all_requests_are_good():
    """After a new issue, or while errors come from elsewhere, no rule of requests can fire."""
    trouble = Trouble(1_004, 1_005)

    assert (SLOT_END, Reason.SLOT_ENDS) == next_flush(
        trouble, flushed_at=1_004.5, slot_end=SLOT_END, now=1_005, bad=0
    )


@pytest.mark.parametrize(
    ("flushed_at", "now", "expected"),
    [
        pytest.param(1_000, 1_004, (1_004, Reason.NEWS), id="at once"),
        pytest.param(1_003.75, 1_004, (1_004.25, Reason.NEWS), id="not twice in half a second"),
        pytest.param(1_009.75, 1_009.8, (SLOT_END, Reason.SLOT_ENDS), id="slot end"),
    ],
)
def test_news_does_not_wait_for_the_rhythm_of_trouble(flushed_at, now, expected):
    """A new issue in long trouble is written as soon as one in a calm hour."""
    long = Trouble(600, 1_003)

    assert expected == next_flush(
        long, flushed_at=flushed_at, slot_end=SLOT_END, now=now, bad=0, has_news=True
    )


def test_trouble_goes_on_until_a_minute_of_calm():
    """Trouble seen again within a minute is the same trouble; later it is a new one."""
    first = noticed(None, now=100.0)

    assert Trouble(100.0, 100.0) == first
    assert Trouble(100.0, 150.0) == noticed(first, now=150.0)
    assert Trouble(161.0, 161.0) == noticed(first, now=161.0)
