"""The page of the JSON API names every address and every field."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from watchkeeper.dashboard import (
    audits,
    endpoints,
    releases,
    views_alerts,
    views_health,
    views_inside,
    views_issues,
)
from watchkeeper.dashboard.parameters import LIMIT, MAX_LIMIT, MAX_OFFSET
from watchkeeper.dashboard.sums import Level
from watchkeeper.runtime.folded import FoldedValue

PAGE = (Path(__file__).parents[2] / "docs/json-api.md").read_text("utf-8")
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
NAMED = frozenset(part for code in re.findall(r"`([^`]+)`", PROSE) for part in code.split("."))
VIEWS = [
    one
    for module in (views_alerts, views_health, views_inside, views_issues, releases, audits)
    for one in vars(module).values()
    if is_dataclass(one) and one.__module__ == module.__name__
]


@pytest.mark.parametrize("view", [*VIEWS, Level, FoldedValue], ids=lambda view: view.__name__)
def test_every_field_is_documented(view):
    """Whoever reads an answer finds what each of its fields means."""
    assert [] == [one.name for one in fields(view) if one.name not in NAMED]


def test_every_address_is_documented():
    """Each address has its heading."""
    headings = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    addresses = {
        re.sub(r"\(.*?\)", "<id>", pattern.pattern.removeprefix("/api/v1/")).replace("\\", "")
        for pattern, _ in endpoints._TABLE
    }

    assert set() == addresses - headings
    assert "samples/<id>.json" in addresses


def test_the_bounds_are_those_of_the_code():
    """The page says how many rows there are at most."""
    assert f"rows, 1 to {MAX_LIMIT}; {LIMIT} unless set" in PAGE
    assert f"0 to {MAX_OFFSET:,}" in PAGE
