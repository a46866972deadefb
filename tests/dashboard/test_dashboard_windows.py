"""The span of time that a page's URL states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.dashboard.windows import MAX_POINTS, align_up, parse_window, step_s

NOW = 1_800_000_000.0


def test_no_parameters_show_the_last_hour():
    """Without parameters a page shows the hour that ends now."""
    window = parse_window({}, now=NOW)

    assert (NOW - 3_600, NOW, True) == (window.start, window.end, window.live)
    assert "range=1h" == window.query


def test_an_end_freezes_the_window():
    """A link with an end shows that span for ever, whenever it is opened."""
    window = parse_window({"range": "6h", "end": "1799990000"}, now=NOW)

    assert (1_799_990_000.0, 21_600, False) == (window.end, window.span_s, window.live)
    assert "range=6h&end=1799990000" == window.query


def test_an_end_that_lies_ahead_means_now():
    """Nobody can look into the future; stepping there goes back to live."""
    window = parse_window({"range": "15m", "end": "1800000100"}, now=NOW)

    assert (NOW, True) == (window.end, window.live)


@pytest.mark.parametrize(
    ("text", "span_s"), [("730s", 730), ("730", 730), ("5s", 60), ("999999s", 604_800)]
)
def test_any_span_can_be_given_in_seconds(text, span_s):
    """A zoomed span is given in seconds, from a minute to a week."""
    assert span_s == parse_window({"range": text}, now=NOW).span_s


@pytest.mark.parametrize(
    "query",
    [
        {"range": "2 weeks"},
        {"range": "-5s"},
        {"range": "٣s"},
        {"range": "1e9"},
        {"end": "yesterday"},
        {"end": "-1"},
        {"end": "9" * 30},
        {"end": "1.5"},
    ],
)
def test_what_cannot_be_read_is_refused(query):
    """A wrong parameter is an error with a sentence, not a guess."""
    with pytest.raises(ValueError, match=r"range|end"):
        parse_window(query, now=NOW)


def test_stepping_moves_by_a_whole_window_and_back_to_live():
    """The arrows step by the length of the window."""
    window = parse_window({"range": "1h"}, now=NOW)

    earlier = window.moved(-3_600, now=NOW)

    assert (NOW - 3_600, False) == (earlier.end, earlier.live)
    assert earlier.moved(3_600, now=NOW).live


@given(span_s=st.integers(60, 604_800), slot_s=st.sampled_from([1, 2, 5, 10, 15, 20, 30, 60]))
def test_a_chart_has_few_enough_points_of_whole_slots(span_s, slot_s):
    """No chart has more than 360 points, and each holds whole slots."""
    step = step_s(span_s, slot_s=slot_s)

    assert step % slot_s == 0
    assert span_s / step <= MAX_POINTS


def test_aligning_goes_up_to_the_next_multiple():
    """A moment on a multiple stays; any other moves up."""
    assert (120, 120, 180) == (align_up(61, 60), align_up(120, 60), align_up(120.5, 60))
