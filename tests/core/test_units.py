"""Quantities with units are read strictly, written exactly and shown readably."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core import units
from watchkeeper.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (1.0, "1s"),
        (1.5, "1.5s"),
        (0.5, ".5s"),
        (300.0, "5m"),
        (7200.0, "2h"),
        (604800.0, "7d"),
        (0.0, "0s"),
    ],
)
def test_durations_are_read_as_seconds(seconds: float, text: str) -> None:
    """A duration is a number and one of ms, s, m, h, d."""
    assert seconds == units.parse_duration(text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("alert.hold: '5 min' is not a duration; write '5m'", "5 min"),
        ("alert.hold: '5 m' is not a duration; write '5m'", "5 m"),
        ("alert.hold: '90' is not a duration; write '90s'", "90"),
        ("alert.hold: '2 Hours' is not a duration; write '2h'", "2 Hours"),
        ("alert.hold: 'soon' is not a duration; write '5m'", "soon"),
        ("alert.hold: '' is not a duration; write '5m'", ""),
        ("alert.hold: '-5m' is out of range; a duration lies between 0s and 3650d", "-5m"),
        ("alert.hold: '4000d' is out of range; a duration lies between 0s and 3650d", "4000d"),
        (f"alert.hold: '{'9' * 40}…' is not a duration; write '5m'", "9" * 50),
    ],
)
def test_a_wrong_duration_names_the_place_and_the_cure(message: str, text: str) -> None:
    """What is not a duration is refused with the spelling that would be right."""
    with pytest.raises(ConfigurationError) as raised:
        units.parse_duration(text, where="alert.hold")

    assert message == str(raised.value)


def test_a_message_without_a_place_starts_with_the_text() -> None:
    """Without a place the message is still a sentence."""
    with pytest.raises(ConfigurationError, match=r"^'x' is not a duration"):
        units.parse_duration("x")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.05, "5%"),
        (0.05, "0.05"),
        (0.011, "1.1%"),
        (1.0, "100%"),
        (0.0, "0"),
        (0.0005, "5e-2%"),
    ],
)
def test_shares_are_read_as_fractions(share: float, text: str) -> None:
    """A share is a percentage, or a fraction below one."""
    assert share == units.parse_share(text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("'5' is not a share; write 5% or 0.05", "5"),
        ("'1' is not a share; write 1% or 0.01", "1"),
        ("'5 %' is not a share; write 5% or 0.05", "5 %"),
        ("'5ms' is not a share; write 5% or 0.05", "5ms"),
        ("'101%' is out of range; a share lies between 0% and 100%", "101%"),
        ("'-1%' is out of range; a share lies between 0% and 100%", "-1%"),
        ("'2000' is out of range; a share lies between 0% and 100%", "2000"),
    ],
)
def test_a_doubtful_share_is_refused(message: str, text: str) -> None:
    """5 may mean 5 % or 500 %: the user has to say which."""
    with pytest.raises(ConfigurationError) as raised:
        units.parse_share(text)

    assert message == str(raised.value)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(512_000_000, "512MB"), (1_073_741_824, "1GiB"), (100, "100B"), (1500, "1.5kB")],
)
def test_sizes_are_read_as_bytes(size_bytes: int, text: str) -> None:
    """MB is a million bytes, MiB is 2^20."""
    assert size_bytes == units.parse_size(text)


@pytest.mark.parametrize(
    ("cure", "text"),
    [
        ("write '512MB'", "512mb"),
        ("write '512MB'", "512 M"),
        ("write '10B'", "10"),
        ("write '512MB'", "big"),
        ("between 0B", "-1B"),
        ("between 0B", "9999999TB"),
    ],
)
def test_a_wrong_size_names_the_cure(cure: str, text: str) -> None:
    """What is not a size is refused with the spelling that would be right."""
    with pytest.raises(ConfigurationError, match=cure):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("per_second", "text"), [(1 / 60, "1/min"), (5.0, "5/s"), (0.5, "1800/h"), (2 / 86400, "2/d")]
)
def test_rates_are_read_per_second(per_second: float, text: str) -> None:
    """A rate is a number per s, min, h or d."""
    assert per_second == units.parse_rate(text)


@pytest.mark.parametrize(
    ("cure", "text"),
    [("'1/min'", "1/m"), ("'3/h'", "3/hour"), ("'5/min'", "5"), ("'1/min'", "-1/min")],
)
def test_a_wrong_rate_names_the_cure(cure: str, text: str) -> None:
    """What is not a rate is refused with the spelling that would be right."""
    with pytest.raises(ConfigurationError, match=f"is not a rate; write {cure}"):
        units.parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0 ms", 0.0),
        ("1.25 ms", 0.00125),
        ("250 ms", 0.25),
        ("1 s", 1.0),
        ("1 s", 0.9999),
        ("12.3 s", 12.34),
        ("1 min", 60.0),
        ("1 min", 59.99),
        ("1 min 30 s", 90.0),
        ("1 h", 3599.9),
        ("1 h 30 min", 5400.0),
        ("1 d", 86399.0),
        ("7 d", 604800.0),
        ("1 d 2 h", 93600.0),
        ("-5 s", -5.0),
    ],
)
def test_durations_are_shown_to_two_units(text: str, seconds: float) -> None:
    """People read "1 min 30 s", not 90.0."""
    assert text == units.format_duration(seconds)


def test_shares_sizes_and_rates_are_shown_to_three_digits() -> None:
    """Figures for people are rounded to three digits."""
    assert ["12.4 %", "5 %", "0.123 %", "100 %"] == [
        units.format_share(share) for share in (0.124, 0.05, 0.0012345, 1.0)
    ]
    assert ["999 B", "512 MB", "1.07 GB", "2 TB"] == [
        units.format_size(size) for size in (999, 512e6, 1.0737e9, 2e12)
    ]
    assert ["12.5/s", "3/min", "1/h", "0.5/d", "1230/s"] == [
        units.format_rate(rate) for rate in (12.5, 0.05, 1 / 3600, 0.5 / 86400, 1230.4)
    ]


def test_quantities_are_written_in_their_shortest_form() -> None:
    """A stored rule reads like one that a person wrote."""
    assert ["5m", "250ms", "1s", "0s", "90s"] == [
        units.write_duration(seconds) for seconds in (300.0, 0.25, 1.0, 0.0, 90.0)
    ]
    assert ["5%", "1.1%"] == [units.write_share(share) for share in (0.05, 0.011)]
    assert ["512MB", "1GiB"] == [units.write_size(size) for size in (512_000_000, 2**30)]
    assert ["1/min", "5/s"] == [units.write_rate(rate) for rate in (1 / 60, 5.0)]


def test_a_form_that_could_not_be_read_is_never_written() -> None:
    """Near the largest size a rounded form would lie above it; the exact bytes are written."""
    assert "9007199254740991B" == units.write_size(units.MAX_SIZE_BYTES - 1)


@given(st.floats(0, units.MAX_DURATION_S))
def test_a_written_duration_reads_back_the_same(seconds: float) -> None:
    """Writing and reading a duration loses nothing."""
    assert seconds == units.parse_duration(units.write_duration(seconds))


@given(st.floats(0, 1, exclude_max=True))
def test_a_written_share_reads_back_the_same(share: float) -> None:
    """Writing and reading a share loses nothing."""
    assert share == units.parse_share(units.write_share(share))


@given(st.integers(0, units.MAX_SIZE_BYTES))
def test_a_written_size_reads_back_the_same(size: int) -> None:
    """Writing and reading a size loses nothing."""
    assert size == units.parse_size(units.write_size(size))


@given(st.floats(0, 1e12))
def test_a_written_rate_reads_back_the_same(rate: float) -> None:
    """Writing and reading a rate loses nothing."""
    assert rate == units.parse_rate(units.write_rate(rate))


@given(st.text(max_size=60))
def test_no_text_crashes_a_parser(text: str) -> None:
    """Any text is either a quantity or a ConfigurationError."""
    for parse in (units.parse_duration, units.parse_share, units.parse_size, units.parse_rate):
        with suppress(ConfigurationError):
            assert parse(text) >= 0


@given(st.floats(0, 1e10))
def test_every_duration_can_be_shown(seconds: float) -> None:
    """No duration is too long or short to be shown."""
    assert units.format_duration(seconds)
    assert units.format_rate(seconds)
    assert units.format_size(seconds)


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("0", 0.0),
        ("0.99", 0.990196),
        ("-7.25", -7.25),
        ("3.14159", 3.14159265),
        ("5000", 5000.0),
        ("2,534,567", 2_534_567.0),
        ("-1,000,000", -1e6),
        ("1e+18", 1e18),
    ],
)
def test_a_number_is_shown_as_people_write_it(shown: str, value: float):
    """Large ones in groups of three digits, small ones to three digits."""
    assert shown == units.format_number(value)


def test_a_rate_of_nothing_has_the_unit_of_most_thresholds():
    """Beside "1/min", "0/d" would read like a slip."""
    assert "0/min" == units.format_rate(0.0)
