"""Each built-in check has a how-to of one screen, whose examples are right."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from checked import check
from watchkeeper.runtime.builtin.options import Common
from watchkeeper.runtime.builtin.registry import BUILT_IN, options_of

PAGES = Path(__file__).parents[2] / "docs/health-checks"
SCREEN = 50  # lines
SHARED = [key for key in Common.__annotations__ if key != "name"]


def page(name: str) -> str:
    """Read one page."""
    return (PAGES / f"{name}.md").read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL)


def resolved(value: Any) -> Any:
    """Put something in the place of what the environment holds."""
    if isinstance(value, dict):
        return {key: resolved(one) for key, one in value.items()}
    named = {"env:DATABASE_URL": "postgresql+psycopg://db/shop", "env:REDIS_URL": "redis://cache"}
    return named.get(value, "a-fake") if str(value).startswith("env:") else value


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_check_has_a_page_of_one_screen(kind: str):
    """With each of its options, and listed on the first page."""
    text = page(kind)
    own = [key for key in options_of(kind) if key not in SHARED]

    assert len(text.splitlines()) <= SCREEN
    assert [] == [key for key in own if f"\n| `{key}` |" not in text]
    assert f"| [`{kind}`]({kind}.md) |" in page("index")


def test_what_all_checks_take_is_on_the_first_page():
    """Once, for all of them."""
    assert [] == [key for key in SHARED if f"\n| `{key}` |" not in page("index")]


def test_there_is_no_page_of_a_check_that_is_gone():
    """Pages and checks are the same."""
    assert {*BUILT_IN, "index"} == {path.stem for path in PAGES.glob("*.md")}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_examples_make_checks(kind: str):
    """What stands there can be copied."""
    made = []
    for block in blocks(kind, "toml"):
        for table in tomllib.loads(block)["health"]["checks"].values():
            options = resolved(table)
            assert kind == options.pop("type")
            made.append(check(kind, **options))
    for block in blocks(kind, "python"):
        names: dict[str, Any] = {}
        exec(block, names)  # noqa: S102  # our own page
        for table in names["settings"].health_checks.values():
            options = dict(table)
            made.append(check(options.pop("type"), **options))

    assert len(made) >= 2
