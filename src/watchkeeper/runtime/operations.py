"""What can be done inside a request under one name: a statement, calls to a host, a span."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.runtime.live import LiveSeries


class OperationKind(StrEnum):
    """What the time of an operation counts as."""

    DB = "db"
    HTTP = "http"
    CACHE = "cache"
    OWN = "own"


class Operation:
    """One named thing that is done again and again; compared and hashed by identity.

    `name` is for people: the normalised statement, "GET api.example.com", a span's name.
    `statement` is the fingerprint of a database statement, else empty.
    """

    __slots__ = ("count", "failures", "kind", "name", "rows", "series", "statement")

    def __init__(
        self,
        kind: OperationKind,
        name: str,
        *,
        series: tuple[LiveSeries, ...] = (),
        statement: str = "",
        rows: LiveSeries | None = None,
        failures: LiveSeries | None = None,
    ) -> None:
        """Name an operation; `series` observe its duration."""
        self.kind = kind
        self.name = name
        self.series = series
        self.statement = statement
        self.rows = rows
        self.failures = failures
        self.count = 0  # executions, about: decides when the caller is looked for
