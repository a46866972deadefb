"""A message about a file names the line, and never a wrong one."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.settings.toml_lines import TomlLines

FILE = '''\
# alert = "no"
service = "shop"
text = """
[[alert]]
when = "no"
"""
raw = \'\'\'
when = 1\'\'\'
[capture]
logs = false

[[alert]]
name = "A # B"   # name = "C"
when = "p95{route='/x'} > 1s"
"over" = [
    "1m",  # when = 1
    "5m",
]
worse = { when = "p95 > 3s", severity = "critical" }

[alert.skip]
route = ["/a"]

[[ alert ]]
name = "B"
slo.target = "99.9%"

[channels.oncall]
type = "webhook"
at = 2026-01-01 12:00:00
'''


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (2, ("service",)),
        (3, ("text",)),
        (9, ("capture",)),
        (10, ("capture", "logs")),
        (9, ("capture", "nothing")),
        (12, ("alert", 0)),
        (13, ("alert", 0, "name")),
        (14, ("alert", 0, "when")),
        (15, ("alert", 0, "over")),
        (17, ("alert", 0, "over", 1)),
        (19, ("alert", 0, "worse", "severity")),
        (21, ("alert", 0, "skip")),
        (22, ("alert", 0, "skip", "route")),
        (12, ("alert", 0, "for")),
        (24, ("alert", 1)),
        (25, ("alert", 1, "name")),
        (26, ("alert", 1, "slo")),
        (26, ("alert", 1, "slo", "target")),
        (28, ("channels", "oncall")),
        (30, ("channels", "oncall", "at")),
    ],
)
def test_each_key_has_its_line(line: int, path: tuple[str | int, ...]) -> None:
    """Comments, texts of several lines and arrays do not lead astray."""
    assert tomllib.loads(FILE)

    assert f"a.toml:{line}" == TomlLines("a.toml", FILE).of(*path)


def test_rules_in_one_array_have_their_lines() -> None:
    """An array of inline tables is as good as tables."""
    lines = TomlLines(
        "a.toml", "alert = [\n  { name = 'A', when = 'x' },\n\n  { name = 'B' },\n]\n"
    )

    assert ["a.toml:2", "a.toml:4", "a.toml:4"] == [
        lines.of("alert", 0, "when"),
        lines.of("alert", 1, "name"),
        lines.of("alert", 1, "when"),
    ]


def test_the_tables_of_a_project_have_their_lines() -> None:
    """In pyproject.toml all stands below [tool.watchkeeper]."""
    text = "[[alert]]\nname = 'no'\n[tool.watchkeeper]\nslot = 'x'\n[[tool.watchkeeper.alert]]\n"
    lines = TomlLines("pyproject.toml", text, root=("tool", "watchkeeper"))

    assert "pyproject.toml:4" == lines.of("slot")
    assert "pyproject.toml:5" == lines.of("alert", 0, "name")


def test_a_table_without_a_line_has_that_of_the_first_one_within() -> None:
    """Its own line goes first, wherever it stands."""
    lines = TomlLines(
        "a.toml", "\n[health.chekcs.z]\na = 1\n[health.checks.z]\n[channels.a]\n[channels]\n"
    )

    assert "a.toml:2" == lines.of("health", "chekcs")
    assert "a.toml:4" == lines.of("health", "checks")
    assert "a.toml:6" == lines.of("channels")


@pytest.mark.parametrize("text", ["a = 'b", "a = [", "a", "x = " + "[" * 5_000])
def test_what_is_not_understood_has_no_line(text: str) -> None:
    """The file alone is named rather than a wrong line."""
    assert "a.toml" == TomlLines("a.toml", f"service = 1\n{text}").of("service")


@given(st.text(alphabet="ab=[]{}.,\"'\n# \\", max_size=60))
def test_every_text_has_an_end(text: str) -> None:
    """No text makes it fail or hang."""
    assert TomlLines("a.toml", text).of("a").startswith("a.toml")
