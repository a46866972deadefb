"""Health checks that one worker runs for all: who does is agreed on through their results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from watchkeeper.core.health import CheckState, silent_from
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.health import Health
from watchkeeper.storage.store import ALL_WORKERS, CheckChange, CheckResult, Store, Worker

GIVEN_UP_S: Final = 300.0  # without a run for so long, a check that is not declared here is gone
LIVE_SLOTS: Final = 4  # without a heartbeat for so long a worker runs nothing
LEASE_SLOTS: Final = 3
MAX_ENDS: Final = 100  # results that are ended at one look
_DEFAULTS: Final[Mapping[str, float]] = {"every_s": 30.0, "timeout_s": 5.0}


def meet(
    health: Health, store: Store, scope: Scope, *, worker: int | None, slot_s: float, now: float
) -> None:
    """Learn what other workers told of checks, and take over those that nobody runs.

    Those are taken under a lease, so that of workers that look at once one takes them. What is
    left of checks and workers that are gone is ended. Raises StorageError.
    """
    here = {"service": scope.service, "environment": scope.environment}
    rows = store.checks(**here)
    declared = health.declared_now(now)
    if not rows and not declared:
        return
    workers = None
    if any(row.at + _number(row, "every_s") < now for row in rows):
        # With those that stopped lately, for the moments at which they did.
        workers = store.workers(**here, seen_since=min(row.at for row in rows) - slot_s)
    live = None if workers is None else live_workers(workers, slot_s=slot_s, now=now)
    free = health.follow(rows, me=worker, live=live, slot_s=slot_s, now=now)
    if free:
        timeouts = (check.timeout_s for check in declared if check.name in free)
        ttl_s = LEASE_SLOTS * slot_s + max(timeouts)
        name = f"checks:{scope.service}:{scope.environment}"
        if store.acquire(name, owner=health.owner, ttl_s=ttl_s) is not None:
            health.take_over(free, rows, now=now)
    if workers is None:
        return
    # Modules that declare checks may come late; others may run them.
    settled = now - health.met_since >= GIVEN_UP_S
    known = {check.name for check in declared} if settled else {row.name for row in rows}
    ends = list(ended(rows, known=known, workers=workers, live=live or (), now=now))[:MAX_ENDS]
    if ends:
        store.end_checks(**here, ends=ends)


def live_workers(workers: Sequence[Worker], *, slot_s: float, now: float) -> set[int]:
    """Return the ids of the workers that write."""
    return {
        one.id
        for one in workers
        if one.stopped_at is None and now - one.seen_at <= LIVE_SLOTS * slot_s
    }


def ended(
    rows: Sequence[CheckResult],
    *,
    known: Collection[str],
    workers: Sequence[Worker],
    live: Collection[int],
    now: float,
) -> Iterator[CheckChange]:
    """Yield the last transition, to unknown, of each result that nobody will renew.

    That is of a worker that stopped or fell silent, and of a check that this process does not
    declare and nobody runs any more.
    """
    stopped = {one.id: one.stopped_at for one in workers}
    for row in rows:
        every_s, timeout_s = _number(row, "every_s"), _number(row, "timeout_s")
        at = silent_from(row.at, every_s=every_s, timeout_s=timeout_s)
        is_silent = now > max(at, row.at + GIVEN_UP_S)
        if row.worker == ALL_WORKERS:
            is_over = is_silent and row.name not in known
        else:
            stopped_at = stopped.get(row.worker)
            is_over = is_silent or stopped_at is not None
            is_over = is_over and row.worker not in live
            at = at if stopped_at is None else max(stopped_at, row.at)
        if is_over:
            yield CheckChange(
                name=row.name,
                worker=row.worker,
                before=row.state,
                after=CheckState.UNKNOWN.value,
                at=at,
                critical=row.critical,
            )


def _number(row: CheckResult, key: str) -> float:
    value: Any = row.data.get(key)
    return float(value) if isinstance(value, int | float) else _DEFAULTS[key]
