"""Figures with a goal beside them: all goals are bounds from above."""

from collections.abc import Iterator
from typing import Any


def at_most(goal: float, value: float, unit: str) -> dict[str, Any]:
    """Say what was to be reached, what was measured, and whether that is enough."""
    return {
        "goal": goal,
        "value": round(value, 4 if abs(value) < 1 else 2),
        "unit": unit,
        "reached": value <= goal,
    }


def every(found: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the figures with a goal in nested figures: ("flush.sqlite.wall_ms", figure)."""
    if not isinstance(found, dict):
        return
    if {"goal", "value", "reached"} <= found.keys():
        yield path, found
        return
    for name, value in found.items():
        yield from every(value, f"{path}.{name}" if path else name)
