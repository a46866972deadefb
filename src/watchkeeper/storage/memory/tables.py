"""The tables of the store in memory: plain dictionaries under one lock."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage.hours import SealedHour
from watchkeeper.storage.issues import Facet, FacetKind, IssueEntry
from watchkeeper.storage.store import (
    AlertRow,
    Audit,
    CheckChange,
    CheckResult,
    Event,
    Incident,
    Issue,
    Lease,
    OutboxRow,
    Release,
    Sample,
    Silence,
    Statement,
    StoredRule,
    Worker,
)

MAX_ROWS: Final = 50_000  # per table; the oldest rows make way

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


@dataclass(slots=True)
class Stored:
    """A frame as kept: with its worker's scope (None: unknown, or all) and its mark."""

    frame: Frame
    scope: Scope | None
    rolled: bool = False


@dataclass(slots=True)
class Pending:
    """A notification as kept: with the end of its claim."""

    row: OutboxRow
    claimed_until: float = 0.0


@dataclass(slots=True, eq=False)
class Tables:
    """Everything kept, under one lock."""

    clock: Callable[[], float] = time.time
    damaged_frames: int = field(init=False, default=0)
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)
    _last_ids: dict[str, int] = field(init=False, default_factory=lambda: defaultdict(int))
    _workers: dict[int, Worker] = field(init=False, default_factory=dict)
    _frames: dict[FrameKey, Stored] = field(init=False, default_factory=dict)
    _hours: dict[tuple[int, Series], SealedHour] = field(init=False, default_factory=dict)
    _chunks: dict[tuple[int, Series], bytes] = field(init=False, default_factory=dict)
    _issues: dict[int, Issue] = field(init=False, default_factory=dict)
    _aliases: dict[tuple[str, str, str], int] = field(init=False, default_factory=dict)
    _counts: dict[tuple[int, FrameKey], int] = field(init=False, default_factory=dict)
    _events: dict[str, tuple[int, Event]] = field(init=False, default_factory=dict)
    _facets: dict[int, dict[tuple[FacetKind, str], Facet]] = field(
        init=False, default_factory=dict
    )
    _entries: dict[int, IssueEntry] = field(init=False, default_factory=dict)
    _samples: dict[str, tuple[Scope, Sample]] = field(init=False, default_factory=dict)
    _statements: dict[tuple[str, str, str], Statement] = field(init=False, default_factory=dict)
    _checks: dict[tuple[str, str, str, int], CheckResult] = field(init=False, default_factory=dict)
    _changes: list[tuple[str, str, CheckChange]] = field(init=False, default_factory=list)
    _alerts: dict[tuple[str, str, str, str], AlertRow] = field(init=False, default_factory=dict)
    _incidents: dict[int, Incident] = field(init=False, default_factory=dict)
    _outbox: dict[tuple[int, str, int, str], Pending] = field(init=False, default_factory=dict)
    _silences: dict[int, Silence] = field(init=False, default_factory=dict)
    _rules: dict[tuple[str, str, str], StoredRule] = field(init=False, default_factory=dict)
    _last_good: dict[tuple[str, str], str] = field(init=False, default_factory=dict)
    _rules_changed: dict[tuple[str, str], str] = field(init=False, default_factory=dict)
    _evaluated: dict[tuple[str, str], float] = field(init=False, default_factory=dict)
    _releases: dict[tuple[str, str, str], Release] = field(init=False, default_factory=dict)
    _audits: list[Audit] = field(init=False, default_factory=list)
    _leases: dict[str, tuple[str, Lease]] = field(init=False, default_factory=dict)
    _tokens: dict[tuple[str, str], float] = field(init=False, default_factory=dict)
    _meta: dict[str, str] = field(init=False, default_factory=dict)

    def _next_id(self, table: str) -> int:
        self._last_ids[table] += 1
        return self._last_ids[table]


def same_scope(scope: Scope, service: str, environment: str) -> bool:
    """Tell whether a deployment is of this service and environment, whatever its release."""
    return scope.place == (service, environment)


def plain(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data as it comes back from JSON: plain, and nobody else's."""
    plain: Mapping[str, Any] = json.loads(json.dumps(data))
    return plain


def put(table: dict[_Key, _Row], key: _Key, row: _Row, *, most: int = MAX_ROWS) -> None:
    """Keep a row; the oldest makes way when the table is full."""
    table[key] = row
    if len(table) > most:
        del table[next(iter(table))]


def drop(table: dict[_Key, _Row], keys: Iterable[_Key]) -> int:
    """Delete rows; return how many."""
    gone = list(keys)
    for key in gone:
        del table[key]
    return len(gone)
