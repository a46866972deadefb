"""Short makers of rows, for tests that fill a store."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Across, Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    CheckResult,
    Event,
    Incident,
    IssueCount,
    Outgoing,
    Sample,
    Statement,
    Store,
)

SHOP = Scope(service="shop", environment="production", release="v1")
OTHER = Scope(service="other", environment="production", release="v9")
HERE = {"service": "shop", "environment": "production"}
THERE = {"service": "other", "environment": "production"}


def counter(name: str = "orders_total", scope: Scope = SHOP, **labels: str) -> Series:
    """Name a counter's series."""
    pairs = tuple(sorted([*scope.labels, *labels.items()]))
    return Series(name, Kind.COUNTER, pairs)


def latency(scope: Scope = SHOP, **labels: str) -> Series:
    """Name a request histogram's series."""
    return replace(counter("request_seconds", scope, **labels), kind=Kind.HISTOGRAM)


def memory(scope: Scope = SHOP) -> Series:
    """Name a gauge's series."""
    return replace(counter("memory_bytes", scope), kind=Kind.GAUGE, across=Across.MAX)


VALUES: Mapping[Series, Value] = {
    counter(plan="pro"): 3.0,
    latency(route="/checkout"): Histogram([0.12, 0.3, 0.0, 7.5]),
    memory(): Gauge(5.0, 4.0, 9.5),
}


def frame(
    start: int,
    worker: int = 1,
    *,
    sequence: int = 0,
    resolution: int = 10,
    values: Mapping[Series, Value] = VALUES,
) -> Frame:
    """Make a frame."""
    return Frame(key=FrameKey(resolution, start, worker, sequence), values=values)


def batch(one: Frame, scope: Scope = SHOP, **more: Any) -> Batch:
    """Make what a flush writes."""
    return Batch(**{"scope": scope, "frame": one, "at": one.key.start + 10.5, **more})


def counted(
    fingerprint: str = "1:00000000000000aa", count: int = 1, at: float = 5.0, **more: Any
) -> IssueCount:
    """Make the count of an error in one slot."""
    fields: dict[str, Any] = {
        "fingerprint": fingerprint,
        "count": count,
        "first_at": at,
        "last_at": at,
        "type": "ValueError",
        "title": "ValueError: no such plan",
        "culprit": "shop.orders:place",
    }
    return IssueCount(**{**fields, **more})


def event(number: int, at: float = 5.0, fingerprint: str = "1:00000000000000aa") -> Event:
    """Make an occurrence of an error."""
    return Event(
        id=f"{number:032x}",
        fingerprint=fingerprint,
        at=at,
        method="POST",
        route="/checkout",
        status=500,
        release="v1",
        data={"frames": [{"file": "shop/orders.py", "line": 12}], "note": "ü\x00≤"},
    )


def sample(number: int = 1, at: float = 5.0, **more: Any) -> Sample:
    """Make a stored request."""
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "at": at,
        "reason": "slow",
        "method": "POST",
        "route": "/checkout",
        "status": 200,
        "duration_s": 0.25,
        "request_id": f"req-{number}",
        "release": "v1",
        "data": {"kinds": {"db": [2, 0.125]}, "own_s": 0.125, "spans": [], "user": "ü\x00≤"},
    }
    return Sample(**{**fields, **more})


def statement(fingerprint: str = "00000000000000a1", at: float = 5.0, **more: Any) -> Statement:
    """Make the text of a statement."""
    fields: dict[str, Any] = {
        "fingerprint": fingerprint,
        "db": "postgresql",
        "operation": "SELECT",
        "text": "SELECT * FROM orders WHERE id = ?",
        "callers": ("shop.orders:place:12",),
        "at": at,
    }
    return Statement(**{**fields, **more})


def result(name: str = "database", **more: Any) -> CheckResult:
    """Make a check's result."""
    fields = {"name": name, "state": "pass", "since": 1.0, "at": 5.0, "duration_s": 0.01}
    return CheckResult(**{**fields, **more})


def state(version: int = 0, group: str = "", **more: Any) -> AlertRow:
    """Make the state of a rule."""
    fields: dict[str, Any] = {
        **HERE,
        "rule": "High error rate",
        "group": group,
        "state": "firing",
        "data": {"since": 1.5},
        "version": version,
    }
    return AlertRow(**{**fields, **more})


def incident(**more: Any) -> Incident:
    """Make an incident."""
    fields: dict[str, Any] = {
        **HERE,
        "rule": "High error rate",
        "group": "",
        "severity": "critical",
        "state": "firing",
        "started_at": 100.0,
    }
    return Incident(**{**fields, **more})


def notice(channel: str = "oncall", kind: str = "firing", due_at: float = 100.0) -> Outgoing:
    """Make a notice."""
    return Outgoing(
        kind=kind, sequence=0, channel=channel, payload={"rule": "High"}, due_at=due_at
    )


def fired(*channels: str) -> AlertChange:
    """Make the change that a rule that fires for the first time saves."""
    return AlertChange(
        row=state(), incident=incident(), outgoing=[notice(channel) for channel in channels]
    )


def side_by_side(store: Store, *, service: str, environment: str) -> bool:
    """Tell whether each worker has written since the last of them began: none followed another."""
    workers = store.workers(service=service, environment=environment, seen_since=0)
    return min(one.seen_at for one in workers) > max(one.started_at for one in workers)
