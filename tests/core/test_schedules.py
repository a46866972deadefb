"""Schedules: when a job is to run, and when it is late."""

import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from watchkeeper.core.schedules import (
    Reason,
    Schedule,
    lateness,
    next_cron,
    parse_schedule,
    previous_cron,
)
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


@pytest.mark.parametrize(
    ("due", "cron", "grace_s", "success"),
    [
        pytest.param(
            "2026-01-11T03:00", "0 3 * * *", 3_600.0, "2026-01-10T02:59:59", id="its run"
        ),
        pytest.param(
            "2026-01-11T03:00", "0 3 * * *", 3_600.0, "2026-01-10T02:59:00", id="a minute"
        ),
        pytest.param(
            "2026-01-10T03:00", "0 3 * * *", 3_600.0, "2026-01-10T02:58:59", id="earlier"
        ),
        pytest.param(
            "2026-01-10T03:00", "0 3 * * *", 0.5, "2026-01-10T02:59:59", id="beyond grace"
        ),
        pytest.param(
            "2026-01-10T03:00", "* * * * *", None, "2026-01-10T02:59:30", id="each minute"
        ),
        pytest.param(
            "2026-01-10T03:01", "* * * * *", None, "2026-01-10T02:59:55", id="just before"
        ),
    ],
)
def test_a_success_just_before_its_minute_is_the_run_of_it(
    due: str, cron: str, grace_s: float | None, success: str
):
    """The clock of the host that ran it may be ahead of ours."""
    schedule = Schedule(cron=cron, grace_s=grace_s)
    at, then = utc(success), utc(due)

    assert then == schedule.due(at, is_success=True)
    _, reason = lateness(schedule, last_success=at, declared_at=0, now=then - 0.01)
    assert Reason.IN_TIME is reason


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


CRON_FIELDS = (
    (range(60), ("0", "7", "59", "*/15", "5-10", "1,31", "20-40/7", "3/20")),
    (range(24), ("*", "0", "2", "3", "*/6", "1-3", "2,14")),
    (range(1, 32), ("*", "1", "31", "13", "10-12", "*/9")),
    (range(1, 13), ("*", "3", "OCT", "mar-apr", "*/5", "2")),
    (range(8), ("*", "0", "7", "SUN", "mon-fri", "2,4", "*/3")),
)
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = {name: number for some in (WEEKDAYS, MONTHS) for number, name in enumerate(some) if name}


def chosen(text: str, allowed: range) -> set[int]:
    """Read one field of an expression, as crontab(5) describes it."""
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low = allowed.start if first == "*" else NAMES.get(first, first)
        high = (NAMES.get(last, last) if last else low) if first != "*" else allowed.stop - 1
        high = allowed.stop - 1 if step and not last else high
        found |= set(range(int(low), int(high) + 1, int(step or 1)))
    return found


def names(cron: str, moment: datetime) -> bool:
    """Tell whether an expression names a minute, field by field: the oracle."""
    fields = cron.split()
    minute, hour, day, month, weekday = (
        chosen(text, allowed) for text, (allowed, _) in zip(fields, CRON_FIELDS, strict=True)
    )
    is_day, is_weekday = moment.day in day, moment.isoweekday() % 7 in {one % 7 for one in weekday}
    starred = fields[2].startswith("*") or fields[4].startswith("*")
    fits = (is_day and is_weekday) if starred else (is_day or is_weekday)
    return moment.minute in minute and moment.hour in hour and moment.month in month and fits


@given(
    st.tuples(*[st.sampled_from(texts) for _, texts in CRON_FIELDS]).map(" ".join),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_cron_names_the_minutes_that_its_fields_name(cron: str, after: int):
    """An expression's next run is the first minute that an oracle finds, minute by minute."""
    _, _, day, month, weekday = cron.split()
    assume((day, month) != ("31", "2") or not weekday.startswith("*"))  # refused: it never comes

    found = next_cron(cron, float(after), ZoneInfo("Etc/UTC"))

    assert names(cron, datetime.fromtimestamp(found, UTC))
    first = after // 60 * 60 + 60
    searched = range(first, int(min(found, first + 2 * DAY)), 60)
    assert not any(names(cron, datetime.fromtimestamp(at, UTC)) for at in searched)


@given(
    st.tuples(*[st.sampled_from(texts) for _, texts in CRON_FIELDS[:3]]).map(
        lambda parts: " ".join([*parts, "*", "*"])
    ),
    st.integers(-3 * 24 * 60, 3 * 24 * 60),
    st.sampled_from(["2026-03-29 02:30", "2026-10-25 02:30"]),
)
def test_back_and_ahead_agree_where_the_clocks_change(cron: str, minutes: int, change: str):
    """The last run before is followed by the next one: none is left out or seen twice."""
    at = berlin(change) + 60 * minutes
    before, due = previous_cron(cron, at, BERLIN), next_cron(cron, at, BERLIN)

    assert before is not None
    assert before <= at < due
    assert due == next_cron(cron, max(before, at - 60), BERLIN) or before > at - 60


def test_a_run_has_a_moment_before_it():
    """An expression names the moment since which a run has waited; `every` names none."""
    assert utc("2026-03-04 03:00:00") == AT_THREE.due_before(utc("2026-03-04 03:00:07"))
    assert utc("2026-03-04 03:00:00") == AT_THREE.due_before(utc("2026-03-04 03:00:00"))
    assert utc("2026-03-03 03:00:00") == AT_THREE.due_before(utc("2026-03-04 02:59:59"))
    assert None is DAILY.due_before(1e9)
    assert None is previous_cron("0 0 */31 * MON#2", 1e9, UTC)


def test_schedules_are_shown_in_a_few_words():
    """As they are written."""
    assert ("every 1 d", "0 3 * * * UTC") == (DAILY.text, AT_THREE.text)


@pytest.mark.parametrize(
    ("message", "schedule"),
    [
        ("'Mars/Base' is no time zone known here", Schedule(cron="0 3 * * *", tz="Mars/Base")),
        ("'0 3 99 \\* \\*' names no time", Schedule(cron="0 3 99 * *")),
        ("'0 0 \\*/31 \\* MON#2' names no time", Schedule(cron="0 0 */31 * MON#2")),
    ],
)
def test_what_another_host_wrote_may_mean_nothing_here(message: str, schedule: Schedule):
    """A host without the time zone says so, and does not break."""
    with pytest.raises(ConfigurationError, match=message):
        schedule.due(1e9)


@pytest.mark.parametrize(
    "cron", ["0 3 15W * *", "0 3 W * *", "0 3 L-2 * *", "0 3 * * 1W", "@daily"]
)
def test_what_only_other_crons_know_is_refused(cron: str):
    """`L` is the last day, `LW` the last working day; the rest of Quartz' letters is refused."""
    with pytest.raises(ConfigurationError, match="write minute, hour, day, month and weekday"):
        parse_schedule(cron=cron, where="job 'report'")
    assert parse_schedule(cron="0 3 L * *", where="job 'report'") is not None
    assert parse_schedule(cron="0 3 LW * *", where="job 'report'") is not None


def test_without_a_time_zone_database_the_cure_is_named(monkeypatch: pytest.MonkeyPatch):
    """A slim image may have no zones at all: UTC works, the others name the package."""
    import zoneinfo

    before = zoneinfo.TZPATH
    ZoneInfo.clear_cache()
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(())
    try:
        assert parse_schedule(cron="0 3 * * *", where="job 'report'") is not None
        with pytest.raises(ConfigurationError, match="or install tzdata"):
            parse_schedule(cron="0 3 * * *", tz="Asia/Tokyo", where="job 'report'")
    finally:
        zoneinfo.reset_tzpath(before)
