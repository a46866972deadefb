"""What is written to a terminal."""

import click
import pytest

from watchkeeper.cli.terminal import echo, plain, sparkline


def test_control_characters_do_not_reach_the_terminal():
    """A stored text cannot clear the screen or set a title."""
    assert (
        plain("\x1b[2Jowned\x07") == "\N{REPLACEMENT CHARACTER}[2Jowned\N{REPLACEMENT CHARACTER}"
    )


def test_long_texts_are_cut():
    """A text that is too long ends with an ellipsis."""
    assert plain("abcdef", width=4) == "abc…"


def test_a_sparkline_reaches_from_nothing_to_the_largest():
    """The largest value is a full bar, nothing the smallest, and the unknown a gap."""
    assert sparkline([0.0, 4.0, None, 8.0], width=10) == "▁▅ █"


def test_a_sparkline_of_nothing_but_zeros_is_flat():
    """Without errors the line lies at the bottom."""
    assert sparkline([0.0, 0.0], width=10) == "▁▁"


def test_a_sparkline_is_as_wide_as_asked():
    """Many values share a bar: their mean."""
    assert sparkline([0.0, 2.0, 4.0, 4.0], width=2) == "▃█"


def test_a_sparkline_without_values_is_empty():
    """No values, no line."""
    assert sparkline([], width=10) == ""


def test_no_color_is_respected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Output that is not a terminal, or NO_COLOR, gets text without colour codes."""
    monkeypatch.setenv("NO_COLOR", "1")

    echo(click.style("red", fg="red"))

    assert capsys.readouterr().out == "red\n"
