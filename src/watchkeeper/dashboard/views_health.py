"""View models of health checks: how they are, and how long they were so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UptimeFigures:
    """Seconds in each state within [start, end), and the share of the known ones without failure.

    `share` is None if nothing is known: what is unknown counts neither for nor against.
    """

    start: float
    end: float
    share: float | None
    pass_s: float
    warn_s: float
    fail_s: float
    unknown_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNow:
    """One health check: `state` is pass, warn, fail or unknown, `since` None if it is unknown."""

    name: str
    state: str
    critical: bool
    since: float | None
    last_at: float
    duration_s: float
    output: str
    value: float | None = None  # what it measured, in its own unit
    unit: str = ""
    uptime: UptimeFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """The service as a whole, and every check."""

    service: str
    environment: str
    at: float
    start: float
    end: float
    state: str
    uptime: UptimeFigures
    total: int
    checks: tuple[CheckNow, ...]
