"""Figures with a goal beside them: bounds from above, or from below."""

from collections.abc import Iterator
from typing import Any


def at_most(goal: float, value: float, unit: str) -> dict[str, Any]:
    """Say what was to be reached, what was measured, and whether that is enough."""
    return _figure(goal, value, unit, reached=value <= goal)


def at_least(goal: float, value: float, unit: str) -> dict[str, Any]:
    """Say the same of a figure that is to be no less than its goal."""
    return _figure(goal, value, unit, reached=value >= goal) | {"least": True}


def plain(figure: Any) -> Any:
    """Return the value of a figure, with a goal or without."""
    return figure["value"] if isinstance(figure, dict) else figure


def every(found: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the figures with a goal in nested figures: ("flush.sqlite.wall_ms", figure)."""
    if not isinstance(found, dict):
        return
    if {"goal", "value", "reached"} <= found.keys():
        yield path, found
        return
    for name, value in found.items():
        yield from every(value, f"{path}.{name}" if path else name)


def _figure(goal: float, value: float, unit: str, *, reached: bool) -> dict[str, Any]:
    return {
        "goal": goal,
        "value": round(value, 4 if abs(value) < 1 else 2),
        "unit": unit,
        "reached": reached,
    }
