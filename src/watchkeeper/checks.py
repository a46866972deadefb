"""For your own health checks: what they may return besides a plain value."""

from watchkeeper.core.health import CheckState, Observed, warn

__all__ = ["CheckState", "Observed", "warn"]
