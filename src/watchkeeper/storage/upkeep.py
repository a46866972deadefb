"""The contract of a store for who looks after it by hand: three small protocols with their rows.

All times are seconds since the epoch (UTC). Every method may raise `StorageError`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from watchkeeper.storage.alerts import Incident
from watchkeeper.storage.records import Event, Issue, Sample

Position = tuple[float, str]
"""The key of an event or a sample: when it happened, and its id."""


class Kind(StrEnum):
    """What is pruned together: the end of the name of a store's method `prune_…`."""

    FRAMES = "frames"
    SEALED = "sealed"
    CHUNKS = "chunks"
    HOURS = "hours"
    EVENTS = "events"
    COUNTS = "counts"
    SAMPLES = "samples"
    ISSUES = "issues"
    INCIDENTS = "incidents"
    CHECKS = "checks"
    WORKERS = "workers"
    SERIES = "series"
    RELEASES = "releases"
    AUDITS = "audits"
    SILENCES = "silences"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How many rows of one table are past their time, and when the oldest of them is from."""

    what: str
    rows: int
    oldest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Which schema the tables are of (0: there are none), and which one this version knows."""

    found: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """A table of ours by its name in the database; days kept apart are counted with it."""

    name: str
    partitions: int = 0


class Marked(StrEnum):
    """Rows that may bear the mark of a user."""

    SAMPLES = "samples"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look through `rows` rows found, and the last one of them (None: there were none)."""

    found: Sequence[Position]
    rows: int
    last: Position | None


class UpkeepStore(Protocol):
    """The schema, what is past its time, and the tables as a whole."""

    def schema(self) -> Schema:
        """Tell of which schema the tables are; nothing is made."""

    def database_time(self) -> float | None:
        """Return what the database server's clock shows, in seconds since the epoch.

        None where that is the clock of its processes: of a file, and in memory.
        """

    def missing_sql(self) -> list[str]:
        """Return the statements that would bring the schema up to date; nothing is executed.

        Raises SchemaError if the tables are newer than this version knows.
        """

    def past(
        self,
        kind: Kind,
        *,
        before: float,
        resolution: int = 0,
        sealed_before: float = 0.0,
        most: int = 0,
    ) -> list[Past]:
        """Count what `prune_…` of a kind would delete, table by table.

        `resolution` is that of frames, of which those that are sealed and start before
        `sealed_before` are left out; of samples the newest `most` stay.
        """

    def tables(self) -> list[OwnTable]:
        """List the tables that are ours, by name; a foreign one is not, whatever it is called."""

    def remove(self) -> list[OwnTable]:
        """Drop exactly the tables that `tables` lists, and return them."""


class ErasureStore(Protocol):
    """What is kept about one user, by the hash that marks it."""

    def marked(
        self,
        kind: Marked,
        user: str,
        *,
        service: str,
        environment: str,
        after: Position,
        limit: int,
    ) -> Looked:
        """Look through up to `limit` rows of a scope after a key for those of a user."""

    def erase(self, kind: Marked, rows: Collection[Position]) -> int:
        """Delete rows by their keys; return how many there were. Counts of issues stay."""

    def forget_user(self, user: str, *, service: str, environment: str, dry_run: bool) -> int:
        """Take a user out of those that issues of a scope happened to; return of how many.

        With `dry_run` nothing changes.
        """


class ExportStore(Protocol):
    """Rows of a scope page by page, in the order of their keys, which the next page starts after.

    A page shorter than `limit` is the last one.
    """

    def next_samples(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[Sample]:
        """Read samples, oldest first."""

    def next_events(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[tuple[int, Event]]:
        """Read events with the ids of their issues, oldest first."""

    def next_issues(
        self, *, service: str, environment: str, seen_since: float, after: int, limit: int
    ) -> list[Issue]:
        """Read issues that were seen since, by id."""

    def next_incidents(
        self, *, service: str, environment: str, since: float, after: int, limit: int
    ) -> list[Incident]:
        """Read incidents that started or ended since, by id."""
