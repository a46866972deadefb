"""The built-in check of the workers: whether one fell silent, and whether there are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

from watchkeeper.core.health import CheckState, Observed, Warned, warn
from watchkeeper.core.missing import SILENT_SLOTS
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.builtin.options import Common, made, whole
from watchkeeper.runtime.builtin.own import Own
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Store

MAX_WORKERS: Final = 10_000
FIRST_SLOTS: Final = 2  # of this process: whoever began with it has written by then
MAX_NAMED: Final = 5  # of those that are missing


def worker_heartbeat_check(
    *,
    own: Own | None,
    at_least: int = 1,
    **common: Unpack[Common],
) -> Check:
    """Return a check of the workers of this service and environment, in our own database.

    Fails while fewer than `at_least` write, or one is missing: it fell silent without a goodbye,
    and none took its place. Warns while our own database is away: that is no fault of the service.
    Warns, too, in the first moments: who has only just begun has not written yet.
    Raises ConfigurationError.
    """
    least = whole(at_least, "at_least", least=1, most=MAX_WORKERS, example=2)

    began: list[float] = []  # when this process first looked
    unknown = warn("not known: Watchkeeper's own database does not answer")

    def look(deadline: float) -> Observed | Warned:
        store = None if own is None else own.store
        if own is None or store is None:
            return unknown
        try:
            began.extend(() if began else (own.clock(),))
            return _counted(own, store, least, began=began[0])
        except StorageError:
            return unknown

    return made(look, common, name="workers")


def _counted(own: Own, store: Store, least: int, *, began: float) -> Observed:
    from watchkeeper.runtime.missing import missing_workers

    now, slot_s = own.clock(), own.settings.slot_s
    workers = store.workers(
        service=own.scope.service,
        environment=own.scope.environment,
        seen_since=now - SILENT_SLOTS * slot_s,
    )
    live = sum(1 for worker in workers if worker.stopped_at is None)
    gone = missing_workers(store, own.scope, now=now, slot_s=slot_s)
    words = []
    if gone:
        names = ", ".join(str(one.worker) for one in gone[:MAX_NAMED])
        words.append(f"missing: {names}" + (" …" if len(gone) > MAX_NAMED else ""))
    if live < least:
        words.append(f"{live} of at least {least} workers write")
    text, state = "; ".join(words), CheckState.FAIL if words else CheckState.PASS
    if words and 0 <= now - began < FIRST_SLOTS * slot_s:
        text, state = f"only just begun: {text}", CheckState.WARN
    return Observed(
        value=live,
        unit="workers",
        text=text,
        state=state,
    )
