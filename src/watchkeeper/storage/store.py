"""The contract of a store: eighteen small protocols; most rows are in `records`.

Those of `alerts`, `outbox`, `silences`, `rules`, `hours`, `issues`, `releases`, `audits`,
`values` and `upkeep` stand there, with their protocols.

All times are seconds since the epoch (UTC). Every method may raise `StorageError`;
`StorageUnavailableError` means "try again later". Every write is one transaction.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from watchkeeper.core.budget import Room
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage.alerts import AlertChange, AlertRow, AlertStore, Incident
from watchkeeper.storage.audits import Audit, AuditStore
from watchkeeper.storage.hours import (
    HourRow,
    HourStore,
    HourTotal,
    SealedHour,
    StoredHour,
    Unsealed,
)
from watchkeeper.storage.issues import EventStore, TriageStore
from watchkeeper.storage.outbox import NO_INCIDENT, OutboxRow, OutboxStore, Outgoing
from watchkeeper.storage.records import (
    ALL_WORKERS,
    MAX_PAST_WORKERS,
    OWN_WORKER,
    RAN_BY,
    Batch,
    CheckChange,
    CheckResult,
    Event,
    Issue,
    IssueCount,
    Lease,
    Sample,
    Statement,
    TableSize,
    Worker,
    Written,
)
from watchkeeper.storage.releases import MarkKind, Release, ReleaseStore
from watchkeeper.storage.rules import RuleStore, StoredRule
from watchkeeper.storage.silences import Silence, SilenceStore
from watchkeeper.storage.upkeep import ErasureStore, ExportStore, UpkeepStore
from watchkeeper.storage.values import Swap, ValueStore

__all__ = [
    "ALL_WORKERS",
    "NO_INCIDENT",
    "OWN_WORKER",
    "RAN_BY",
    "AdminStore",
    "AlertChange",
    "AlertRow",
    "AlertStore",
    "Audit",
    "AuditStore",
    "Batch",
    "CheckChange",
    "CheckResult",
    "CheckStore",
    "Event",
    "EventStore",
    "FrameStore",
    "HourRow",
    "HourStore",
    "HourTotal",
    "Incident",
    "Issue",
    "IssueCount",
    "IssueStore",
    "Lease",
    "MarkKind",
    "OutboxRow",
    "OutboxStore",
    "Outgoing",
    "Release",
    "ReleaseStore",
    "RuleStore",
    "Sample",
    "SampleStore",
    "SealedHour",
    "Silence",
    "SilenceStore",
    "Statement",
    "Store",
    "StoredHour",
    "StoredRule",
    "Swap",
    "TableSize",
    "TriageStore",
    "Unsealed",
    "ValueStore",
    "Worker",
    "Written",
]


class FrameStore(Protocol):
    """Workers and their frames."""

    damaged_frames: int  # payloads that could not be read and were left out, since the start

    def register(self, scope: Scope, *, host: str, pid: int, at: float) -> Worker:
        """Add a worker: a new id, and the smallest number free among the live ones.

        Marks its release, unless that is marked already.
        """

    def write(self, batch: Batch) -> Written:
        """Write a flush. A second write of the same frame key changes nothing at all."""

    def stop_worker(self, worker: int, *, at: float) -> None:
        """Mark a worker as cleanly stopped."""

    def workers(self, *, service: str, environment: str, seen_since: float) -> list[Worker]:
        """List the workers of a scope that wrote since, newest heartbeat first."""

    def frames(
        self,
        resolution: int,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        skip: Collection[FrameKey] = (),
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the frames whose slot starts in [since, until), oldest first.

        Holds the series of the scope only, and with `metrics` those of these metrics only, which
        is faster. Frames in `skip` are not even fetched. A payload that is damaged or of an
        unknown version is left out and counted in `damaged_frames`.
        """

    def rolled_until(self, resolution: int, *, since: float) -> float:
        """Return the end of the newest frame of this resolution from `since` on, or `since`."""

    def unrolled(self, resolution: int, *, before: float, limit: int) -> list[Frame]:
        """Read frames of slots that ended at or before `before` and are in no coarser frame yet.

        Oldest first, of every scope, at most `limit`; a minute that does not fit in whole waits
        for the next call, unless it is the first.
        """

    def write_rollup(self, rolled: Sequence[Frame], sources: Collection[FrameKey]) -> bool:
        """Write coarser frames and mark their sources as rolled, in one transaction.

        Each frame's sequence is chosen by the store (the next free one of its slot). Returns
        False, having changed nothing, if any source is marked already or gone: another roller
        was faster.
        """

    def add_frames(self, frames: Sequence[Frame]) -> None:
        """Write ready-made frames (an imported or made history) without a worker's heartbeat."""

    def prune_frames(self, resolution: int, *, before: float, limit: int) -> int:
        """Delete up to `limit` frames that start before; return how many.

        A store that drops whole days at once may delete more.
        """

    def prune_workers(self, *, before: float, limit: int, most: int = MAX_PAST_WORKERS) -> int:
        """Delete up to `limit` workers last seen before, or past and not among the newest `most`.

        The newest are counted within each service and environment. A worker is past if it stopped
        cleanly, or fell silent `WORKER_SILENT_S` before the last heartbeat of its scope. Returns
        how many rows went.
        """

    def prune_series(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` series last seen before that nothing names; return how many.

        What a frame, a minute or an hour names stays, whatever `before` says. A store that keeps
        no rows of series has none to delete.
        """


class IssueStore(Protocol):
    """Issues and their counts per slot."""

    def issue(self, issue_id: int) -> Issue | None:
        """Read one issue; by the id of one that was merged into another, that other one."""

    def issues(
        self,
        *,
        service: str,
        environment: str,
        seen_since: float,
        limit: int,
        first_seen_since: float | None = None,
    ) -> list[Issue]:
        """List issues of a scope, last seen first; with `first_seen_since`, only newer ones."""

    def issue_ids(
        self, fingerprints: Collection[str], *, service: str, environment: str
    ) -> dict[str, int]:
        """Find the issues of a scope that fingerprints lead to; unknown ones are left out."""

    def issue_names(
        self, begins: Collection[str], *, service: str, environment: str, limit: int
    ) -> dict[str, int]:
        """Find the names of a scope that begin so, and their issues; the first in order."""

    def issue_fingerprints(self, issue_id: int) -> list[str]:
        """List every name that leads to an issue, sorted.

        A name is a fingerprint, or a fingerprint and a call path ("1:…/…") that was split off.
        """

    def issue_counts(
        self, issue_ids: Collection[int], *, since: float, until: float, resolution: int
    ) -> dict[int, dict[int, int]]:
        """Count occurrences: issue id → start of a span of `resolution` seconds → count."""

    def roll_issue_counts(self, resolution: int, *, before: float, limit: int) -> int:
        """Make of up to `limit` finer counts from before those of coarser slots; return how many.

        In one transaction, and merged over all workers: nothing is lost or counted twice.
        """

    def prune_counts(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` counts of issues from before; return how many."""

    def prune_issues(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` issues last seen before, with all they hold; return how many."""


class SampleStore(Protocol):
    """Stored requests with what happened inside, and the texts of statements."""

    def sample(self, sample_id: str, *, service: str, environment: str) -> Sample | None:
        """Read one sample of a scope."""

    def samples(
        self,
        *,
        service: str,
        environment: str,
        since: float,
        until: float,
        limit: int,
        route: str | None = None,
        reason: str | None = None,
        fingerprints: Collection[str] | None = None,
        request_id: str | None = None,
    ) -> list[Sample]:
        """List samples that ended in [since, until), newest first; None: of any."""

    def statements(
        self, *, service: str, environment: str, fingerprints: Collection[str] | None = None
    ) -> list[Statement]:
        """Read the texts of statements, of these fingerprints only unless None, by fingerprint."""

    def prune_samples(self, *, before: float, most: int, limit: int) -> int:
        """Delete up to `limit` samples that ended before, or are not among the newest `most`.

        Up to `limit` statements last seen before go as well; returns how many rows went. A store
        that drops whole days at once may delete more.
        """


class CheckStore(Protocol):
    """Last results and transitions of health checks; they are written with a `Batch`."""

    def checks(self, *, service: str, environment: str) -> list[CheckResult]:
        """Read the last result of every check and worker."""

    def check_changes(
        self, *, service: str, environment: str, since: float, limit: int
    ) -> list[CheckChange]:
        """Read transitions, newest first."""

    def end_checks(self, *, service: str, environment: str, ends: Collection[CheckChange]) -> int:
        """Delete results of checks that nobody runs any more, with a last transition each.

        Only of those that are in the state `before` still, without a run since `at`; returns how
        many went.
        """

    def prune_checks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` transitions, and as many last results, from before."""


class AdminStore(Protocol):
    """Schema, leases, tokens and what tells how the store is."""

    def migrate(self) -> int:
        """Bring the schema up to date under a lock; return its version.

        Raises SchemaError if the tables are newer than this version knows.
        """

    def acquire(self, name: str, *, owner: str, ttl_s: float) -> Lease | None:
        """Take or renew a lease by compare-and-set on the store's clock; None: it is held.

        One that has more than ten times `ttl_s` to run is free: a clock was wrong as it was taken.
        """

    def release(self, name: str, *, owner: str) -> None:
        """Give a lease back early."""

    def meta(self, key: str) -> str | None:
        """Read one value of the store's own."""

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        """Write a value (with `only_new`: unless there is one) and return what is stored now."""

    def add_token(self, digest: str, *, purpose: str, expires_at: float) -> None:
        """Store the hash of a one-time token."""

    def use_token(self, digest: str, *, purpose: str, at: float) -> bool:
        """Consume a one-time token: True for the first use before its end, False ever after."""

    def prepare(self, *, at: float) -> bool:
        """Make room for the days ahead, where the store keeps days apart; cheap to repeat.

        Where room is given back to the disk, gives back a small piece; returns whether more waits.
        """

    def size_bytes(self) -> int:
        """Return how much room Watchkeeper's tables take."""

    def room(self) -> Room:
        """Tell how much room is taken, and is left on the disk where that is known; cheap."""

    def table_sizes(self) -> list[TableSize]:
        """Measure each table, the largest first; reads a SQLite file from end to end."""

    def description(self) -> str:
        """Name the store in a few words without secrets: "sqlite watchkeeper.db"."""

    def close(self) -> None:
        """Close every connection; the store opens new ones if it is used again."""


class Store(
    FrameStore,
    HourStore,
    IssueStore,
    TriageStore,
    EventStore,
    SampleStore,
    AlertStore,
    OutboxStore,
    SilenceStore,
    RuleStore,
    CheckStore,
    ReleaseStore,
    AuditStore,
    AdminStore,
    ValueStore,
    UpkeepStore,
    ErasureStore,
    ExportStore,
    Protocol,
):
    """Everything that Watchkeeper needs of a database."""
