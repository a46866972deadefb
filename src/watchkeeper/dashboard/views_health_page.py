"""The view model of the page of health checks, in words."""

from dataclasses import dataclass

from watchkeeper.dashboard.status import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """One line of the page of health checks; `uptimes` in words, in the order of its columns."""

    name: str
    level: Level
    state: str
    critical: bool
    at: float | None
    duration_s: float
    output: str
    uptimes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPage:
    """What the page of health checks shows; a stranger is shown no more than the level."""

    at: float
    level: Level
    sentence: str
    columns: tuple[str, ...] = ()
    uptimes: tuple[str, ...] = ()
    rows: tuple[HealthRow, ...] = ()
    notes: tuple[str, ...] = ()
