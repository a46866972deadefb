"""The documentation names all there is: settings, metrics, rule fields, verbs, messages."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from watchkeeper.cli.verbs import VERBS
from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.rules import Alert

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


GUIDES = (
    "README.md",
    "docs/getting-started.md",
    "docs/first-alert.md",
    "docs/jobs.md",
    "docs/how-fast-alerts-are.md",
    "docs/own-code.md",
    "docs/errors.md",
    "docs/health.md",
    "docs/notifications.md",
    "docs/testing.md",
    "docs/who-is-told.md",
)


def blocks(language: str) -> list[object]:
    """Return the fenced blocks of the guides in a language; page and number are the ids."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        pytest.param(block, id=f"{guide}-{number}")
        for guide in GUIDES
        for number, block in enumerate(fenced.findall((ROOT / guide).read_text("utf-8")))
    ]


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


def test_the_page_of_default_rules_is_what_the_code_says(reference):
    """Each rule of the pack has its section, with the table that it is."""
    assert reference.default_rules_page() == page("default-rules.md")


def test_every_rule_field_is_documented():
    """Each field of Alert is a row of the rules page."""
    text = page("rules.md")

    assert [] == [f.name for f in fields(Alert) if f"| `{f.name}` |" not in text]


def test_every_verb_is_documented():
    """Each verb of the command line has its heading."""
    text = page("cli.md")

    assert [] == [verb for verb in VERBS if f"## {verb}\n" not in text]


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
        "Run: watchkeeper migrate",
        "nobody is told: no channel set",
        "heartbeat_url was not reached (",
        "not in the audit: ",
        "its schedule cannot be read here",
        "is not instrumented: this version of it is another",
        "mail refused for ",
        "not every service took the message",
        "has more than",
        "there are more than",
        "from now on: ",
        "storing ",
        "are kept for ",
        "slots before the end",
        "slots that a stopped process left",
        "slots are lost: the database did not take them before the end",
        "a spool is damaged",
        "is left as it is: ",
        "the last slot could not be closed",
        "it is not asked any more",
        "its last form stays in force",
        "this rule is off",
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


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with an address for the channel of the guides."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            "ONCALL_URL": "https://hooks.example/oncall",
            "SLACK_URL": "https://hooks.example/slack",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("block", blocks("python"))
def test_the_guides_python_can_be_pasted(block, tmp_path):
    """Each block of Python in README and the guide is a module that imports without a word."""
    (tmp_path / "shop.py").write_text(block, "utf-8")

    done = run_in(tmp_path, "-W", "error", "-c", "import shop")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_guides_settings_can_be_pasted(block, tmp_path):
    """`watchkeeper config check` finds nothing in a block of TOML in README and the guide."""
    (tmp_path / "watchkeeper.toml").write_text(block, "utf-8")

    done = run_in(tmp_path, "-m", "watchkeeper.cli", "config", "check")

    assert (0, "") == (done.returncode, done.stderr)
