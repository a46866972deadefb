"""The page of the rules: its grammar is the parser's, and what it shows can be pasted."""

import re
import tomllib
from pathlib import Path
from runpy import run_path

import pytest

from watchkeeper.core.grammar import EBNF
from watchkeeper.core.rule import Alert
from watchkeeper.core.rules import alert_from_mapping, compile_alerts

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("rules.md", "default-rules.md")


def blocks(language: str) -> list[object]:
    """Return the fenced blocks of the pages in a language; page and number are the ids."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        pytest.param(block, id=f"{page}-{number}")
        for page in PAGES
        for number, block in enumerate(fenced.findall((DOCS / page).read_text("utf-8")))
    ]


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_rules_that_are_shown_compile(block: str) -> None:
    """Each rule of each block is a rule."""
    tables = tomllib.loads(block)["alert"]

    assert all(
        compile_alerts(alert_from_mapping(table, where="a"), where="a", origin="file", slot_s=10)
        for table in tables
    )


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_that_is_shown_runs(block: str, tmp_path: Path) -> None:
    """Each block of Python can be run."""
    file = tmp_path / "settings_of_the_shop.py"
    file.write_text(block, "utf-8")

    assert Alert is run_path(str(file))["Alert"]


def test_the_grammar_that_is_shown_is_the_parsers() -> None:
    """The page repeats the grammar word for word."""
    assert f"```ebnf\n{EBNF}```" in (DOCS / "rules.md").read_text("utf-8")
