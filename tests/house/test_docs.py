"""The documentation names all there is: settings, metrics, rule fields, verbs, messages."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from watchkeeper.cli import main
from watchkeeper.core.metrics import CATALOGUE
from watchkeeper.core.rules import Alert

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """Read one page of the documentation."""
    return (DOCS / name).read_text("utf-8")


@pytest.fixture
def reference():
    """The script that writes the reference pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_what_the_code_says(reference):
    """`python scripts/reference.py` has nothing to change: each setting has its line."""
    assert reference.settings_page() == page("settings.md")


def test_the_metrics_page_is_what_the_code_says(reference):
    """Each metric of the catalogue has its line."""
    assert reference.metrics_page() == page("metrics.md")
    assert all(f"`{metric.name}`" in page("metrics.md") for metric in CATALOGUE)


def test_every_rule_field_is_documented():
    """Each field of Alert is a row of the rules page."""
    text = page("rules.md")

    assert [] == [f.name for f in fields(Alert) if f"| `{f.name}` |" not in text]


def test_every_verb_is_documented():
    """Each verb of the command line has its heading."""
    text = page("cli.md")

    assert [] == [verb for verb in main.list_commands(None) if f"## {verb}" not in text]


def test_every_warning_is_searchable():
    """Each sentence that Watchkeeper logs or shows as an error can be found by its text."""
    text = page("when-it-fails.md")
    sentences = [
        "database unreachable for",
        "database is back after",
        "unknown setting",
        "already installed on this app",
        "already set up in this process with other settings",
        "failed; your app is unaffected",
        "no driver is installed",
        "cannot write",
        "tables are schema",
        "nobody is told: no channel set",
    ]
    # Adjacent literals are one sentence to the reader.
    source = re.sub(
        r"\"\s*\n\s*f?\"",
        "",
        "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")),
    )

    assert [] == [sentence for sentence in sentences if sentence not in text]
    assert [] == [sentence for sentence in sentences if sentence not in source]


def test_the_changelog_has_an_entry_for_this_version():
    """What is new stands in the changelog."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
