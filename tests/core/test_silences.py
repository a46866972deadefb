"""Silences and quiet hours: which alerts they hold back, and when."""

from datetime import UTC, datetime
from math import inf

import pytest

from watchkeeper.core.silences import (
    QuietHours,
    Silence,
    parse_matchers,
    parse_quiet_hours,
    parse_silence,
    parse_silences,
    rank,
    silenced_by,
)
from watchkeeper.core.weekly import parse_weekly
from watchkeeper.exceptions import ConfigurationError

SUNDAY = datetime(2026, 5, 3, 3, 0, tzinfo=UTC).timestamp()
ALERT = {"rule": "Slow route", "severity": "warning", "labels": {"route": "/reports/7"}}


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"rule": "Slow route"}, True),
        ({"rule": "Slow*"}, True),
        ({"rule": "slow*"}, False),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
        ({"route": "/reports/*"}, True),
        ({"route": ["/a", "/reports/?"]}, True),
        ({"rule": "Slow*", "route": "/a"}, False),
        ({"host": "web-1"}, False),
        ({"host": ""}, True),
        ({"host": "*"}, True),
    ],
)
def test_every_key_of_a_silence_must_match(match, matches):
    """Rule, severity and labels are compared with globs; a label that is not there is empty."""
    silence = Silence(name="one", matchers=parse_matchers(match, where="match"))

    assert matches is silence.matches(**ALERT)


def test_a_silence_holds_within_its_start_and_end():
    """It begins with its start, and its end is no longer part of it."""
    silence = Silence(name="one", starts_at=100.0, ends_at=200.0)

    assert [None, 200.0, 200.0, None] == [silence.until(at) for at in (99.9, 100, 199.9, 200)]


def test_a_planned_time_holds_only_within_start_and_end():
    """The weekly time ends early where the silence as a whole does."""
    weekly = parse_weekly("Sun 02:00-04:00", where="every")

    assert SUNDAY + 3_600 == Silence(name="one", weekly=weekly).until(SUNDAY)
    assert SUNDAY + 60 == Silence(name="one", weekly=weekly, ends_at=SUNDAY + 60).until(SUNDAY)
    assert Silence(name="one", weekly=weekly).until(SUNDAY + 3_600) is None


def test_of_several_silences_the_one_that_lasts_longest_is_named():
    """Whoever asks why nobody is told learns until when."""
    short, long = Silence(name="short", ends_at=10.0), Silence(name="long", ends_at=20.0)
    other = Silence(name="other", matchers=(("rule", ("Else",)),))

    assert silenced_by([short, long, other], **ALERT, at=5.0) is long
    assert silenced_by([short, long, other], **ALERT, at=20.0) is None
    assert silenced_by([], **ALERT, at=5.0) is None


@pytest.mark.parametrize(
    ("severity", "held"), [("info", True), ("warning", True), ("critical", False)]
)
def test_quiet_hours_hold_what_is_below_a_severity(severity, held):
    """What is critical is told at any hour."""
    quiet = parse_quiet_hours({"every": "daily 22:00-07:00"}, where="quiet_hours")
    assert quiet is not None

    assert held is quiet.hold(severity, at=SUNDAY)
    assert not quiet.hold(severity, at=SUNDAY + 4 * 3_600)


def test_quiet_hours_may_hold_only_the_least_severe():
    """`below` says from which severity on people are told at night."""
    quiet = parse_quiet_hours(
        {"every": "daily 22:00-07:00", "below": "warning"}, where="quiet_hours"
    )
    weekly = parse_weekly("daily 22:00-07:00", where="")

    assert QuietHours(weekly=weekly, below="warning") == quiet
    assert parse_quiet_hours({}, where="quiet_hours") is None


def test_an_unknown_severity_is_the_least():
    """What an older version wrote does not wake anybody."""
    assert [0, 1, 2, 0] == [rank(one) for one in ("info", "warning", "critical", "page")]


def test_a_silence_of_the_settings_is_named_by_its_comment():
    """Without one it is named by its place in the file."""
    silences = parse_silences(
        [
            {
                "match": {"severity": "warning"},
                "every": "Sun 02:00-04:00 Europe/Berlin",
                "comment": "weekly\n backup",
            },
            {
                "match": {},
                "from": "2026-05-01T22:00:00+02:00",
                "until": datetime(2026, 5, 2, tzinfo=UTC),
            },
            {"match": {"rule": "A"}, "until": "2026-05-02T00:00:00Z"},
        ],
        where="silences",
    )

    assert ["weekly backup", "silence 2 of the settings", "silence 3 of the settings"] == [
        one.name for one in silences
    ]
    assert (1777665600.0, 1777680000.0) == (silences[1].starts_at, silences[1].ends_at)
    assert -inf == silences[2].starts_at


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x", "write a list of tables"),
        ([1], "silences[0]: 1 is no table"),
        ([{}], "silences[0]: say which alerts"),
        ([{"match": {}}], "silences[0]: say when"),
        ([{"match": {}, "for": "2h"}], "silences[0]: unknown key 'for'"),
        ([{"match": [], "every": "daily 1:00-2:00"}], "silences[0].match: [] is no table"),
        ([{"match": {"": "x"}, "every": "daily 1:00-2:00"}], "'' is no name of a label"),
        ([{"match": {"a": 7}, "every": "daily 1:00-2:00"}], "match.a: 7 is neither a text"),
        (
            [{"match": {"severity": "warnin"}, "every": "daily 1:00-2:00"}],
            "match.severity: 'warnin' is none of info, warning, critical",
        ),
        ([{"match": {"a": []}, "every": "daily 1:00-2:00"}], "match.a: [] is neither a text"),
        ([{"match": {"a": [7]}, "every": "daily 1:00-2:00"}], "match.a: 7 is no text"),
        ([{"match": {str(n): "x" for n in range(11)}, "until": "x"}], "until: 'x' is no date"),
        ([{"match": {}, "until": "2026-05-02T00:00:00"}], "is no date with time and offset"),
        ([{"match": {}, "until": 7}], "until: '7' is no date"),
        (
            [{"match": {}, "from": "2026-05-02T00:00Z", "until": "2026-05-01T00:00Z"}],
            "until: it ends before it begins",
        ),
        ([{"match": {}, "every": "always"}], "silences[0].every: 'always' is no time"),
        ([{"match": {}, "every": "daily 1:00-2:00"}] * 501, "more than 500 silences"),
    ],
)
def test_what_is_no_silence_is_refused_with_a_cure(given, said):
    """The message names the place."""
    with pytest.raises(ConfigurationError) as raised:
        parse_silences(given, where="silences")

    assert said in str(raised.value)


def test_a_silence_has_a_bounded_number_of_keys():
    """More is a slip."""
    with pytest.raises(ConfigurationError, match="more than 10 keys"):
        parse_silence(
            {"match": {str(n): "x" for n in range(11)}, "every": "daily 1:00-2:00"},
            name="",
            where="silences[0]",
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"below": "warning"}, "quiet_hours: say when"),
        ({"every": "daily 1:00-2:00", "below": "info"}, "below: 'info' is not one of warning"),
        ({"every": "daily 1:00-2:00", "above": "info"}, "unknown key 'above'"),
        ({"every": "nights"}, "quiet_hours.every: 'nights' is no time"),
    ],
)
def test_what_are_no_quiet_hours_is_refused_with_a_cure(given, said):
    """The message names the place."""
    with pytest.raises(ConfigurationError) as raised:
        parse_quiet_hours(given, where="quiet_hours")

    assert said in str(raised.value)
