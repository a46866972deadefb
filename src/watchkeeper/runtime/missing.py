"""Asking the store which workers of a scope are missing."""

from typing import Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.missing import FORGOTTEN_S, SILENT_SLOTS, STOPPED_S, Missing, missing
from watchkeeper.storage.store import Store

EVER: Final = 0.0  # what everybody was seen since


def missing_workers(store: Store, scope: Scope, *, now: float, slot_s: float) -> list[Missing]:
    """Return who is missing now; see `missing`. One statement while somebody writes.

    Raises StorageError while the database is away.
    """
    recent_s = SILENT_SLOTS * slot_s + max(FORGOTTEN_S, STOPPED_S)
    place = {"service": scope.service, "environment": scope.environment}
    workers = store.workers(**place, seen_since=now - recent_s - slot_s)
    if not workers:  # nobody has written for long: since when, and with a goodbye?
        workers = store.workers(**place, seen_since=EVER)
    return missing(workers, now=now, slot_s=slot_s)
