"""Numbers, moments and changes as people read them."""

import pytest

from watchkeeper.dashboard import texts
from watchkeeper.dashboard.stacks import read_stack

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (0.0312, "0.0312"),
        (41.23, "41.2"),
        (99.96, "100"),
        (1234.5, "1,234"),
    ],
)
def test_numbers_have_three_digits(value, shown):
    """A figure is as long as an eye takes in at once."""
    assert shown == texts.number(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 %"), (0.0042, "0.42 %"), (0.074, "7.4 %"), (0.38, "38 %"), (1, "100 %")],
)
def test_shares_have_two_digits(value, shown):
    """A share is shown in percent."""
    assert shown == texts.share(value)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (42.9, "42 s"), (930, "15 min"), (93_600, "1 d 2 h")]
)
def test_spans_are_whole(seconds, shown):
    """How long something lasts is told without false precision."""
    assert shown == texts.span(seconds)


def test_moments_name_the_day_only_when_it_is_another():
    """Today needs no date, another year needs one."""
    assert "08:00" == texts.clock(NOW, NOW)
    assert "14 Jan 08:00" == texts.clock(NOW - 86_400, NOW)
    assert "15 Jan 2026 08:00" == texts.clock(NOW - 365 * 86_400, NOW)
    assert "2027-01-15 08:00:00 UTC" == texts.exact(NOW)


@pytest.mark.parametrize(
    ("now", "before", "shown", "worse"),
    [
        (104, 100, "▲ 4 %", True),
        (62, 100, "▼ 38 %", False),
        (310, 100, "▲ ×3.1", True),
        (100.1, 100, "± 0 %", False),
        (0, 100, "▼ 100 %", False),
    ],
)
def test_changes_are_told_in_percent_or_as_a_factor(now, before, shown, worse):
    """A change says its direction and its size."""
    change = texts.relative(now, before, more_is_worse=True)

    assert (shown, worse) == (change.text, change.is_worse)


@pytest.mark.parametrize("pair", [(None, 1), (1, None), (1, 0)])
def test_without_a_figure_before_there_is_no_change(pair):
    """Nothing is compared with nothing."""
    assert texts.relative(*pair) is None


def test_shares_are_compared_in_points():
    """2.1 % after 0.2 % is 1.9 points more."""
    assert "▲ 1.9 pts" == texts.points(0.021, 0.002).text
    assert texts.points(0.021, 0.002).is_worse
    assert "± 0 pts" == texts.points(0.0211, 0.0212).text
    assert texts.points(None, 0.1) is None


def test_bars_are_as_high_as_their_share_of_the_highest():
    """The highest bar fills the picture, none is invisible, zero is not drawn."""
    assert "M4 20v-20h3v20zM8 20v-10h3v10z" == texts.bars([0, 4, 2])
    assert "M0 20v-20h3v20zM4 20v-1h3v1z" == texts.bars([1000, 1])
    assert "" == texts.bars([0, 0])


def frames(count, *, app=()):
    """Return so many frames, those numbered in `app` of the application."""
    return [
        {"module": f"m{number}.x", "function": "f", "line": number, "app": number in app}
        for number in range(count)
    ]


def test_the_innermost_application_frame_is_open():
    """Of several frames of the application the one nearest to the error is open."""
    (trace,) = read_stack({"type": "E", "frames": frames(5, app={1, 3})}).traces

    opened = [frame.line for group in trace.groups for frame in group.frames if frame.opened]

    assert [3] == opened
    assert [False, True, False, True, False] == [group.is_app for group in trace.groups]


def test_without_application_frames_the_innermost_is_open():
    """An error within a library is looked at where it was raised."""
    (trace,) = read_stack({"type": "E", "frames": frames(3)}).traces

    assert [2] == [frame.line for group in trace.groups for frame in group.frames if frame.opened]


def test_frames_that_were_left_out_are_named_where_they_are_missing():
    """Of a deep recursion the page tells how many frames are not shown, and where."""
    (trace,) = read_stack({"type": "E", "frames": frames(100), "omitted": 9_900}).traces

    assert [(30, 0), (69, 9_900), (1, 0)] == [
        (len(group.frames), group.left_out) for group in trace.groups
    ]


def test_a_folded_group_names_its_libraries():
    """The fold says how many frames of which packages it holds, at most four by name."""
    (trace,) = read_stack({"type": "E", "frames": frames(7, app={6})}).traces

    assert "m0, m1, m2, m3, …" == trace.groups[0].packages
