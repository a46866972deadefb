"""How far two clocks are apart, and when that is worth a word."""

import pytest

from watchkeeper.core.skew import skew_s, told_of


@pytest.mark.parametrize(
    ("expected", "asked", "database", "answered"),
    [
        (0.0, 100.0, 100.5, 101.0),
        (95.0, 195.0, 100.0, 195.0),
        (-30.0, 99.0, 130.0, 101.0),
        (None, 100.0, 100.0, 102.5),
        (None, 100.0, 100.0, 99.0),
    ],
)
def test_the_middle_of_question_and_answer_is_compared(
    expected: float | None, asked: float, database: float, answered: float
) -> None:
    """What took long, or a clock that was set meanwhile, says nothing."""
    assert expected == skew_s(asked_at=asked, database_at=database, answered_at=answered)


@pytest.mark.parametrize(
    ("beginning", "skew"),
    [
        ("", 14.9),
        ("", -14.9),
        ("the clock of web-1 is 15 s ahead of the database's: ", 15.0),
        ("the clock of web-1 is 1 min 35 s behind the database's: ", -95.0),
    ],
)
def test_a_clock_is_told_of_from_a_distance_that_does_harm(beginning: str, skew: float) -> None:
    """With the host's name, the direction, and the cure."""
    told = told_of("web-1", skew)

    assert told.startswith(beginning)
    assert bool(beginning) == told.endswith("set it by NTP")
