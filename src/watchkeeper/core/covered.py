"""Whether the work that runs in this context is recorded already, or is not to be recorded."""

from contextvars import ContextVar
from enum import Enum
from typing import Final


class Cover(Enum):
    """Who answers for the database work of a context."""

    OWN = 1  # Watchkeeper, which does not watch itself
    ABOVE = 2  # an instrument further up: Django's or SQLAlchemy's


covered: Final[ContextVar[Cover | None]] = ContextVar("watchkeeper_covered", default=None)
"""Instruments of drivers, and SQLAlchemy's, record where this is None; Django's unless OWN."""
