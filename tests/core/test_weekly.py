"""Times of the week, through both changes of the clocks."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.weekly import DAYS, parse_weekly
from watchkeeper.exceptions import ConfigurationError

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    """Read a moment with its offset."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Sun 02:00-04:00", "2026-05-03T02:00+00:00", "2026-05-03T04:00+00:00"),
        ("Sun 02:00-04:00", "2026-05-03T03:59:59+00:00", "2026-05-04T03:00+00:00"),
        ("daily 22:00-06:00 Europe/Berlin", "2026-05-03T22:00+02:00", "2026-05-03T21:59+02:00"),
        ("daily 22:00-06:00 Europe/Berlin", "2026-05-04T05:59+02:00", "2026-05-04T06:00+02:00"),
        ("Mon-Fri 08:00-18:00", "2026-05-01T08:00+00:00", "2026-05-02T09:00+00:00"),
        ("Fri-Mon 08:00-18:00", "2026-05-04T08:00+00:00", "2026-05-05T09:00+00:00"),
        ("Sat,Sun 00:00-24:00", "2026-05-03T23:59:59+00:00", "2026-05-04T00:00+00:00"),
        ("Sun 22:00-02:00", "2026-05-04T01:59+00:00", "2026-05-03T01:00+00:00"),
        ("sun 9:00 - 10:00", "2026-05-03T09:30+00:00", "2026-05-03T08:59+00:00"),
        ("daily 08:00-08:00", "2026-05-03T07:00+00:00", None),
        ("Mon-Fri 08:00-18:00 Asia/Kolkata", "2026-05-01T02:30+00:00", "2026-05-01T02:29+00:00"),
    ],
)
def test_a_time_of_the_week_is_one_on_the_wall_clock(text, inside, outside):
    """Days and hours are those of its time zone; it ends on the next day where it must."""
    weekly = parse_weekly(text, where="every")

    assert weekly.until(at(inside)) is not None
    assert outside is None or weekly.until(at(outside)) is None


# 2026-03-29 02:00 +01:00 → 03:00 +02:00, 2026-10-25 03:00 +02:00 → 02:00 +01:00.
CHANGES = [
    # text, begins, ends
    ("Sun 01:00-02:00", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
    ("Sun 02:00-04:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
    ("Sun 02:15-02:45", "2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"),
    ("Sun 02:30-03:30", "2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"),
    ("Sun 01:30-02:30", "2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"),
    ("Sat 22:00-06:00", "2026-03-28T22:00+01:00", "2026-03-29T06:00+02:00"),
    ("Sun 01:00-02:00", "2026-10-25T01:00+02:00", "2026-10-25T02:00+01:00"),
    ("Sun 02:00-04:00", "2026-10-25T02:00+02:00", "2026-10-25T04:00+01:00"),
    ("Sun 02:15-02:45", "2026-10-25T02:15+02:00", "2026-10-25T02:45+01:00"),
    ("Sun 01:30-02:30", "2026-10-25T01:30+02:00", "2026-10-25T02:30+01:00"),
    ("Sat 22:00-06:00", "2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00"),
]


@pytest.mark.parametrize(("text", "begins", "ends"), CHANGES)
def test_a_change_of_the_clocks_neither_loses_nor_splits_a_time(text, begins, ends):
    """It begins when the clock first shows its start, and ends when it last shows its end."""
    weekly = parse_weekly(f"{text} {BERLIN}", where="every")

    assert at(ends) == weekly.until(at(begins))
    assert weekly.until(at(begins) - 1) is None
    assert at(ends) == weekly.until(at(ends) - 1)
    assert weekly.until(at(ends)) is None
    assert at(begins) == weekly.next_start(at(begins) - 86_400)


def test_an_hour_that_comes_twice_begins_anew_each_week():
    """The next time after the change of the clocks is a week later by the wall clock."""
    weekly = parse_weekly(f"Sun 02:00-04:00 {BERLIN}", where="every")

    assert at("2026-11-01T02:00+01:00") == weekly.next_start(at("2026-10-25T02:00+02:00"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("always", "is no time of the week; write 'Sun 02:00-04:00 Europe/Berlin'"),
        ("Sun 02:00", "is no time of the week"),
        ("Sun 25:00-26:00", "has no such time of the day"),
        ("Sun 02:60-03:00", "has no such time of the day"),
        ("Sun 24:00-24:00", "has no such time of the day"),
        ("Funday 02:00-03:00", "is no day; write one of Mon"),
        ("Sun 02:00-03:00 Mars/Base", "is no time zone known here"),
        ("x" * 300, "is no time of the week"),
    ],
)
def test_what_is_no_time_of_the_week_is_refused_with_a_cure(text, said):
    """The message names the place and what to write."""
    with pytest.raises(ConfigurationError) as raised:
        parse_weekly(text, where="silences[0].every")

    assert said in str(raised.value)
    assert str(raised.value).startswith("silences[0].every: ")


@given(
    day=st.sampled_from(DAYS),
    start=st.integers(0, 1_439),
    to=st.integers(0, 1_440),
    zone=st.sampled_from(
        ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    ),
    moment=st.floats(1_600_000_000, 1_900_000_000),
)
def test_it_is_in_force_at_its_own_times_and_says_when_it_ends(day, start, to, zone, moment):
    """Whatever the zone and the season: what has begun goes on until it ends, then it is over."""
    text = f"{day} {start // 60}:{start % 60:02}-{to // 60}:{to % 60:02} {zone}"
    weekly = parse_weekly(text, where="every")

    begins = weekly.next_start(moment)
    ends = weekly.until(begins)

    assert ends is not None
    assert begins < ends <= begins + 26 * 3_600
    local = datetime.fromtimestamp(begins, ZoneInfo(zone)).replace(tzinfo=None)
    wall = local.replace(hour=0, minute=0) + timedelta(minutes=start)
    assert timedelta() <= local - wall <= timedelta(hours=1)  # later only out of a gap
