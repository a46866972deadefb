"""The rows that pass through a store: frozen values, no SQL type among them.

All times are seconds since the epoch (UTC); all ids are 64-bit integers given by the store unless
said otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame

ALL_WORKERS = 0  # the worker of frames that are merged over all workers
OWN_WORKER = -1  # of what a worker told before it had an id; never stored
RAN_BY = "ran_by"  # in a check result's data: the id of the worker that ran it
MAX_PAST_WORKERS = 500  # of a scope: days of deploys, about 100 kB; a crash loop fills no more
WORKER_SILENT_S = 3_600.0  # a worker silent for so long, while others write, is past


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process that records. `id` is never used again; `number` is small and reused."""

    id: int
    number: int
    scope: Scope
    host: str
    pid: int
    started_at: float
    seen_at: float
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCount:
    """How often one error happened in one worker and slot, with what describes its issue.

    An error that was reached by several call paths is counted once for each of them.
    """

    fingerprint: str  # "<algorithm version>:<16 hex digits>"
    aliases: tuple[str, ...] = ()  # fingerprints of the same error by older algorithms
    count: int
    first_at: float
    last_at: float
    type: str
    title: str  # type and message of the first event, scrubbed
    culprit: str  # innermost application frame, "module:function"
    level: str = "error"
    path: str = ""  # hash of the complete call path
    routes: Mapping[str, int] = field(default_factory=dict)  # "GET /orders/{id}" → how often
    users: tuple[str, ...] = ()  # hashes of those it happened to


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One stored occurrence of an error. `id` is made by the capturer (32 hex digits).

    `issue` is the id of the one that it is stored under, told by the store; 0 until then.
    """

    id: str
    fingerprint: str
    at: float
    method: str = ""
    route: str = ""
    status: int = 0
    release: str = ""
    request_id: str = ""
    path: str = ""  # hash of the complete call path
    issue: int = field(default=0, compare=False)
    data: Mapping[str, Any] = field(default_factory=dict)  # frames, causes, context: JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A group of the same error, as stored."""

    id: int
    scope: Scope  # release: that of the first occurrence
    fingerprint: str
    type: str
    title: str
    culprit: str
    level: str
    state: str  # open | resolved | came_back | muted | ignored (core.issues)
    count: int
    first_at: float
    last_at: float
    last_release: str
    state_at: float = 0.0  # when it came into its state; 0: it was never changed
    state_by: str = ""  # who did; empty: what happened did it
    state_data: Mapping[str, Any] = field(
        default_factory=dict
    )  # {"until": …}, {"release": "next"}
    version: int = 0  # grows with each change that is not a further occurrence
    users: int = 0  # different ones it happened to, as far as they are kept apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One stored request (or run of a job) with what happened inside. `id`: 32 hex digits.

    `data` holds JSON values:

        {"queue_s": 0.002, "first_byte_s": 0.1,      where known
         "kinds": {"db": [12, 0.034]},               number of calls and seconds by kind
         "own_s": 0.05,                              what is left of the duration
         "spans": [{"kind": "db", "name": "SELECT …", "statement": "…", "start_s": 0.001,
                    "seconds": 0.003}, …],           the slowest, by start
         "omitted": 0,                               spans that are not among them
         "user": "…", "tags": {…}}                   where set; the user is a hash
    """

    id: str
    at: float  # when it ended
    reason: str  # failed | slow | ordinary
    method: str = ""
    route: str
    status: int = 0
    duration_s: float
    request_id: str = ""
    fingerprint: str = ""  # of the error that it failed with
    path: str = ""  # hash of the complete call path of that error
    release: str = ""
    worker: int = ALL_WORKERS  # its id; set when it is written
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The text of a database statement without its values, and where it is executed."""

    fingerprint: str  # 16 hex digits; the label `statement` of its metrics
    db: str  # postgresql, sqlite, …
    operation: str  # SELECT, INSERT, …
    text: str
    callers: tuple[str, ...] = ()  # "module:function:line", the latest first
    at: float  # last seen, about


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The last known result of one health check: `state` is pass, warn, fail or unknown."""

    name: str
    worker: int = ALL_WORKERS  # the worker's id for checks of one worker alone
    state: str
    since: float  # when it came into this state
    at: float  # when it last ran
    duration_s: float
    output: str = ""
    critical: bool = True
    failures: int = 0  # consecutive failed runs
    successes: int = 0  # consecutive good runs
    data: Mapping[str, Any] = field(default_factory=dict)  # value, unit, every_s, timeout_s, …

    def owned_by(self, worker: int) -> "CheckResult":
        """Return the result as that of this worker: its own, or what it ran for all."""
        data = {**self.data, RAN_BY: worker}
        return replace(self, worker=own_or_all(self.worker, worker), data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckChange:
    """One transition of a health check."""

    name: str
    worker: int
    before: str
    after: str
    at: float
    output: str = ""
    critical: bool = True  # whether it was one of the service

    def owned_by(self, worker: int) -> "CheckChange":
        """Return the transition as one of this worker, if it is its own."""
        return replace(self, worker=own_or_all(self.worker, worker))


def own_or_all(marked: int, worker: int) -> int:
    """Return whose a result is that was made before its worker had an id."""
    return worker if marked == OWN_WORKER else marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Everything that one flush of one worker writes, in one transaction."""

    scope: Scope
    frame: Frame
    at: float  # when the flush was made: the worker's heartbeat
    issues: Sequence[IssueCount] = ()
    events: Sequence[Event] = ()
    checks: Sequence[CheckResult] = ()
    check_changes: Sequence[CheckChange] = ()
    samples: Sequence[Sample] = ()
    statements: Sequence[Statement] = ()  # new ones, and those with a new caller

    def owned_by(self, worker: int) -> "Batch":
        """Return the batch with the worker's id in its frame's key, its samples and checks."""
        frame = replace(self.frame, key=replace(self.frame.key, worker=worker))
        samples = [replace(sample, worker=worker) for sample in self.samples]
        return replace(
            self,
            frame=frame,
            samples=samples,
            checks=[one.owned_by(worker) for one in self.checks],
            check_changes=[one.owned_by(worker) for one in self.check_changes],
        )


class Written(StrEnum):
    """What a write did."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the same key was there already: nothing was counted twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that was won: `token` grows with each take-over."""

    name: str
    token: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """How much room one table takes, with its indexes and partitions.

    `table` is its name with the usual prefix. Of its `bytes`, `free_bytes` hold nothing and are
    filled first, where the database tells. `rows` are counted in small tables and estimated by
    the database in large ones. `oldest_at` is when the oldest row is from; None where there is
    none, or where finding it would take a search through a large table.
    """

    table: str
    bytes: int
    rows: int
    free_bytes: int = 0
    oldest_at: float | None = None
