"""Whether the work that runs in this context is recorded already, or is not to be recorded."""

from contextvars import ContextVar
from enum import Enum
from typing import Any, Final


class Cover(Enum):
    """Who answers for the database work of a context."""

    OWN = 1  # Watchkeeper, which does not watch itself
    ABOVE = 2  # an instrument further up: Django's


covered: Final[ContextVar[Cover | tuple[Any, float] | None]] = ContextVar(
    "watchkeeper_covered", default=None
)
"""Instruments of drivers record where this is None; those of SQLAlchemy and Django unless OWN.

SQLAlchemy's puts here which execution it times, and since when.
"""
