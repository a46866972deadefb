"""Schedules: when a job is to run, and when it is late."""

import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.schedules import Reason, Schedule, lateness, next_cron, parse_schedule
from watchkeeper.exceptions import ConfigurationError

HOUR = 3_600.0
DAY = 24 * HOUR
BERLIN = ZoneInfo("Europe/Berlin")
DAILY = parse_schedule(every="24h", grace="1h", where="job 'report'")
AT_THREE = parse_schedule(cron="0 3 * * *", grace="1h", where="job 'report'")


def berlin(text: str, *, fold: int = 0) -> float:
    """Return a moment of Berlin's clocks in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def utc(text: str) -> float:
    """Return a moment of UTC in seconds since the epoch."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("late", "reason", "hours"),
    [
        (0.0, Reason.IN_TIME, 0.0),
        (0.0, Reason.IN_TIME, 23.99),
        (0.0, Reason.WITHIN_GRACE, 24.0),
        (0.0, Reason.WITHIN_GRACE, 25.0),
        (HOUR, Reason.MISSED, 26.0),
        (10 * DAY, Reason.MISSED, 25.0 + 240),
    ],
)
def test_a_job_is_late_after_its_time_and_grace(late: float, reason: Reason, hours: float):
    """Lateness counts from the end of the grace, and is 0 before."""
    now = 1e9 + hours * HOUR

    assert (late, reason) == lateness(DAILY, last_success=1e9, declared_at=0.0, now=now)


@pytest.mark.parametrize(
    ("late", "reason", "hours"),
    [
        (0.0, Reason.FIRST_RUN_AHEAD, 1.0),
        (0.0, Reason.WITHIN_GRACE, 24.5),
        (HOUR, Reason.NEVER_RAN, 26.0),
    ],
)
def test_a_job_that_never_ran_is_counted_from_its_declaration(
    late: float, reason: Reason, hours: float
):
    """A job that nobody starts becomes late too."""
    now = 1e9 + hours * HOUR

    assert (late, reason) == lateness(DAILY, last_success=None, declared_at=1e9, now=now)


@pytest.mark.parametrize(
    ("late", "reason", "now"),
    [
        (0.0, Reason.IN_TIME, "2026-03-05 02:59:59"),
        (0.0, Reason.WITHIN_GRACE, "2026-03-05 03:00:00"),
        (0.0, Reason.WITHIN_GRACE, "2026-03-05 04:00:00"),
        (60.0, Reason.MISSED, "2026-03-05 04:01:00"),
        (DAY + 60, Reason.MISSED, "2026-03-06 04:01:00"),
    ],
)
def test_cron_says_when_a_run_is_due(late: float, reason: Reason, now: str):
    """A run at 03:10 satisfies the one of 03:00; the next is due a day later, by the hour."""
    success = utc("2026-03-04 03:10:00")

    assert (late, reason) == lateness(AT_THREE, last_success=success, declared_at=0, now=utc(now))


@pytest.mark.parametrize(
    ("due", "cron", "after"),
    [
        # an ordinary night
        ("2026-06-02 03:00:00+02:00", "0 3 * * *", "2026-06-01 12:00:00+02:00"),
        # 02:30 does not exist on this day: the clocks go from 02:00 to 03:00
        ("2026-03-29 03:00:00+02:00", "30 2 * * *", "2026-03-28 02:30:00+01:00"),
        ("2026-03-30 02:30:00+02:00", "30 2 * * *", "2026-03-29 03:00:00+02:00"),
        # 02:30 comes twice on this day, and counts once
        ("2026-10-25 02:30:00+02:00", "30 2 * * *", "2026-10-24 02:30:00+02:00"),
        ("2026-10-26 02:30:00+01:00", "30 2 * * *", "2026-10-25 02:30:00+02:00"),
        ("2026-10-26 02:30:00+01:00", "30 2 * * *", "2026-10-25 02:10:00+01:00"),
        # what runs all day long runs in the second pass too
        ("2026-10-25 02:00:00+01:00", "*/30 * * * *", "2026-10-25 02:30:00+02:00"),
    ],
)
def test_cron_follows_the_clocks_of_its_zone(due: str, cron: str, after: str):
    """When the clocks change, a run comes once: not twice, and not never."""
    found = next_cron(cron, datetime.fromisoformat(after).timestamp(), BERLIN)

    assert datetime.fromisoformat(due).timestamp() == found


def test_a_day_of_25_hours_makes_nobody_late():
    """Lateness compares moments, so that a change of the clocks is no missed hour."""
    schedule = parse_schedule(
        cron="0 3 * * *", tz="Europe/Berlin", grace="10m", where="job 'report'"
    )
    success = berlin("2026-10-24 03:01")

    in_time = lateness(
        schedule, last_success=success, declared_at=0, now=berlin("2026-10-25 03:05")
    )

    assert (0.0, Reason.WITHIN_GRACE) == in_time


@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 0 1 * *", "15 1,2,3 * * SUN", "0 12 L * *"]),
    st.floats(min_value=1.6e9, max_value=1.9e9),
)
def test_the_next_run_is_always_ahead(cron: str, after: float):
    """Whatever the clocks do, the next run lies after the moment asked for."""
    assert after < next_cron(cron, after, BERLIN)


@given(
    st.floats(min_value=1, max_value=1e6),
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=-1e6, max_value=1e7),
)
def test_lateness_is_never_negative_and_agrees_with_its_reason(
    every_s: float, grace_s: float, passed: float
):
    """There is a lateness exactly when the reason says so."""
    schedule = Schedule(every_s=every_s, grace_s=grace_s)

    late, reason = lateness(schedule, last_success=1e9, declared_at=0.0, now=1e9 + passed)

    assert late >= 0
    assert (late > 0) == (reason is Reason.MISSED)


def test_a_clock_that_was_set_back_is_said():
    """A success that lies in the future tells nothing; a minute's difference is no matter."""
    ahead = lateness(DAILY, last_success=1e9 + 61, declared_at=0, now=1e9)
    differs = lateness(DAILY, last_success=1e9 + 60, declared_at=0, now=1e9)

    assert (0.0, Reason.CLOCK_SET_BACK) == ahead
    assert (0.0, Reason.IN_TIME) == differs


@pytest.mark.parametrize(
    ("grace_s", "given"),
    [
        (60.0, {"every": "1m"}),
        (DAY / 10, {"every": "24h"}),
        (DAY / 10, {"cron": "0 3 * * *"}),
        (0.0, {"every": "24h", "grace": "0s"}),
    ],
)
def test_without_a_grace_it_is_a_tenth_of_the_time_between_runs(
    grace_s: float, given: dict[str, str]
):
    """A job that takes longer today than yesterday is not late for that; `grace` decides."""
    schedule = parse_schedule(where="job 'report'", **given)

    assert grace_s == schedule.grace(utc("2026-03-04 03:00:00"))


def test_no_schedule_is_none():
    """A job without a schedule has no lateness."""
    assert parse_schedule(where="job 'report'") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": "24h", "cron": "0 3 * * *"}, r"job 'report': write every= or cron=, not both"),
        ({"every": "24 hours"}, r"job 'report'\.every: '24 hours' is not a duration; write '24h'"),
        ({"every": 3600}, r"job 'report'\.every: '3600' is not a duration; write '3600s'"),
        ({"every": "0s"}, r"job 'report'\.every: '0s' is too often to be watched"),
        ({"every": "1h", "grace": "5"}, r"job 'report'\.grace: '5' is not a duration"),
        ({"grace": "1h"}, r"job 'report'\.grace: without every= or cron=.* every='24h'"),
        ({"every": "1h", "tz": "UTC"}, r"job 'report'\.tz: a time zone belongs to cron="),
        ({"cron": "0 3 * *"}, r"job 'report'\.cron: '0 3 \* \*' has 4 fields instead of 5"),
        ({"cron": "* * * * * *"}, r"has 6 fields instead of 5"),
        ({"cron": "61 3 * * *"}, r"'61 3 \* \* \*' is not a cron expression \(Bad minute\)"),
        ({"cron": "0 3 31 4 *"}, r"is not a cron expression \(Bad day-of-month\)"),
        ({"cron": 3}, r"'3' has 1 fields instead of 5; write .*'0 3 \* \* \*'"),
        ({"cron": "0 3 * * " + "1," * 100}, r"more than 200 characters"),
        ({"cron": "0 3 * * *", "tz": "Berlin"}, r"\.tz: 'Berlin' is no time zone .*Europe/Berlin"),
        ({"cron": "0 3 * * *", "tz": "Europe"}, r"\.tz: 'Europe' is no time zone"),
        ({"cron": "0 3 * * *", "tz": "../etc/passwd"}, r"is no time zone"),
        ({"cron": "0 3 * * *", "tz": 1}, r"\.tz: 1 is no time zone"),
    ],
)
def test_a_wrong_schedule_names_the_place_and_the_cure(given: dict[str, object], message: str):
    """Whoever wrote it knows at once what to write instead."""
    with pytest.raises(ConfigurationError, match=message):
        parse_schedule(where="job 'report'", **given)


def test_an_expression_that_never_comes_is_refused():
    """February has a fifth Monday at times, but the second Monday is never the 1st."""
    assert parse_schedule(cron="0 0 * 2 MON#5", where="job 'report'") is not None
    with pytest.raises(ConfigurationError, match="names no day that ever comes"):
        parse_schedule(cron="0 0 */31 * MON#2", where="job 'report'")


def test_only_cron_needs_a_library():
    """A process whose jobs say `every` imports neither the cron library nor time zones."""
    program = (
        "import sys\n"
        "from watchkeeper.core.schedules import lateness, parse_schedule\n"
        "schedule = parse_schedule(every='1h', where='job')\n"
        "lateness(schedule, last_success=0.0, declared_at=0.0, now=1e6)\n"
        "print([name for name in ('cronsim', 'zoneinfo') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]\n" == done.stdout
