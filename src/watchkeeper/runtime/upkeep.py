"""The upkeep of the storage: roll up, seal, thin out, prune, and store less while room is short.

Every process follows what is decided; whoever holds the lease decides it and does the work.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from watchkeeper.core import upkeep
from watchkeeper.core.budget import Reason, Room, Storing, Tier, decide, excess_bytes, shorten
from watchkeeper.core.catalogue import (
    SELF_BUDGET,
    SELF_PRUNE,
    SELF_STORED,
    SELF_STORING,
)
from watchkeeper.core.growth import Point, forecast, noted
from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.self_metrics import SELF_FULL_IN
from watchkeeper.core.units import format_duration, format_size
from watchkeeper.core.upkeep import Notes
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.retention import KEEP_HOURS_S, Keep, prune, roll_up
from watchkeeper.runtime.returns import mark_return
from watchkeeper.runtime.skew import Skew
from watchkeeper.runtime.thinning import coarsen_counts, thin_out
from watchkeeper.storage.store import Store

EVERY_S: Final = 60.0
PRUNE_EVERY_S: Final = 600.0
LEASE: Final = "retention"
LEASE_S: Final = 3 * EVERY_S
# How far a shortage of room may shorten what is kept, and never below.
LEAST_SLOTS_S: Final = 2 * 3_600.0  # rules look back an hour
LEAST_SAMPLES_S: Final = 86_400.0
LEAST_MINUTES_S: Final = 86_400.0
LEAST_EVENTS_S: Final = 3 * 86_400.0
LEAST_HOURS_S: Final = 30 * 86_400.0
CUT_AGAIN_S: Final = 3_600.0  # what was deleted may take a while to show
GROWN: Final = 1.01  # … unless it grows nevertheless

STORED: Final[Mapping[Storing, str]] = {
    Storing.NOTHING: "nothing",
    Storing.COUNTS: "metrics and counts only, no samples and events",
    Storing.SHORTER: "fewer samples, and the finest data for a shorter time",
    Storing.FEWER_DETAILS: "fewer samples",
    Storing.EVERYTHING: "everything",
}

_log = logging.getLogger("watchkeeper")


class Upkeep:
    """Looks after one store, once a minute; `apply` is told how much is to be stored."""

    def __init__(
        self,
        store: Store,
        *,
        recorder: Recorder,
        keep: Keep,
        budget_bytes: int,
        apply: Callable[[Storing], None],
        pause: Callable[[], object],
        now: float,
        skew: Skew | None = None,
    ) -> None:
        """Begin; the first turn is due in a minute."""
        self._store = store
        self._recorder = recorder
        self._keep = keep
        self._budget_bytes = budget_bytes
        self._apply = apply
        self._pause = pause
        self._looked_at = now
        self._skew = skew
        self._pruned_at = 0.0  # by this process: the first who gets the lease prunes

    def follow(self) -> Notes:
        """Store as much as was decided, by whichever process; raise StorageError."""
        notes = read(self._store)
        self._apply(notes.storing)
        return notes

    def run(self, *, now: float, owner: str) -> bool:
        """Do what is due, if the lease is ours; tell whether it was. Raises StorageError."""
        if 0 <= now - self._looked_at < EVERY_S:
            return False
        self._looked_at = now
        mark_return(self._store, self._recorder.scope, now=now)
        if self._skew is not None:
            self._skew.look(self._store)
        if self._store.acquire(LEASE, owner=owner, ttl_s=LEASE_S) is None:
            self.follow()
            return False
        notes = self._look(read(self._store), now=now)
        if notes.storing is not Storing.NOTHING or notes.reason is not Reason.DISK:
            notes = self._coarsen(notes, now=now)
        thin_out(self._store, pause=self._pause)
        coarsen_counts(self._store, now=now, pause=self._pause)
        if self._is_prune_due(notes, now=now):
            notes = self._prune(notes, now=now)
        self._store.set_meta(upkeep.KEY, upkeep.write_notes(notes))
        return True

    def _look(self, notes: Notes, *, now: float) -> Notes:
        """Measure, decide how much is stored, and tell all processes before anything else."""
        room = self._store.room()
        self._recorder.series(SELF_STORED).record(room.stored_bytes)
        self._recorder.series(SELF_BUDGET).record(room.used_bytes / self._budget_bytes)
        used_before = notes.room.used_bytes if notes.room else None
        decision = decide(
            notes.storing,
            room,
            budget_bytes=self._budget_bytes,
            used_before_bytes=used_before,
        )
        self._recorder.series(SELF_STORING).record(decision.storing)
        if decision.stepped:
            _log.warning(
                "watchkeeper: storing %s from now on: %s",
                STORED[decision.storing],
                _why(room, decision.reason, budget_bytes=self._budget_bytes),
            )
        notes = replace(
            notes,
            at=now,
            storing=decision.storing,
            reason=decision.reason,
            room=room,
            budget_bytes=self._budget_bytes,
            history=noted(notes.history, at=now, used_bytes=room.used_bytes),
        )
        self._tell_when_full(notes.history, room, now=now)
        self._store.set_meta(upkeep.KEY, upkeep.write_notes(notes))
        self._apply(notes.storing)
        return self._cut(notes, room, now=now)

    def _tell_when_full(self, history: Sequence[Point], room: Room, *, now: float) -> None:
        full_in_s = forecast(history, room, budget_bytes=self._budget_bytes, now=now).full_in_s
        if full_in_s is not None:
            self._recorder.series(SELF_FULL_IN).record(full_in_s)

    def _cut(self, notes: Notes, room: Room, *, now: float) -> Notes:
        """Shorten what is kept where bytes are to go; as it was set once there is room again."""
        if notes.storing > Storing.SHORTER:
            return replace(notes, keep_s={}, cut_at=0.0, cut_bytes=0)
        excess = excess_bytes(room, budget_bytes=self._budget_bytes)
        waits = now - notes.cut_at < CUT_AGAIN_S and room.used_bytes < GROWN * notes.cut_bytes
        if not excess or waits:
            return notes
        cuts = shorten(self._tiers(notes), excess_bytes=excess, now=now)
        for name, kept_s in cuts.items():
            _log.warning(
                "watchkeeper: %s are kept for %s only: %s",
                name,
                format_duration(kept_s),
                _why(room, notes.reason, budget_bytes=self._budget_bytes),
            )
        return replace(
            notes, keep_s={**notes.keep_s, **cuts}, cut_at=now, cut_bytes=room.used_bytes
        )

    def _tiers(self, notes: Notes) -> list[Tier]:
        """List what may be kept for a shorter time: the finest first."""
        sizes = {one.table: one for one in self._store.table_sizes()}
        tiers = []
        for name, (table, least_s) in _TIERS.items():
            size = sizes.get(table)
            if size is not None:
                tiers.append(
                    Tier(
                        name=name,
                        used_bytes=size.bytes - size.free_bytes,
                        oldest_at=size.oldest_at,
                        keep_s=self._kept_s(notes)[name],
                        least_s=least_s,
                    )
                )
        return tiers

    def _kept_s(self, notes: Notes) -> dict[str, float]:
        """Return how long each tier is kept now."""
        frames = self._keep.frames_s
        set_s = {
            SLOTS: frames[min(frames)],
            SAMPLES: self._keep.samples_s,
            MINUTES: frames[MINUTE_S],
            EVENTS: self._keep.events_s,
            HOURS: frames.get(HOUR_S, KEEP_HOURS_S),
        }
        return {name: min(usual, notes.keep_s.get(name, usual)) for name, usual in set_s.items()}

    def _coarsen(self, notes: Notes, *, now: float) -> Notes:
        if roll_up(self._store, now=now, pause=self._pause):
            notes = replace(notes, rolled_at=now)
        if seal(self._store, now=now, pause=self._pause):
            notes = replace(notes, sealed_at=now)
        return notes

    def _is_prune_due(self, notes: Notes, *, now: float) -> bool:
        """Tell whether to prune: each ten minutes, and each minute while room is short."""
        waited_s = now - self._pruned_at
        return not 0 <= waited_s < PRUNE_EVERY_S or notes.storing <= Storing.SHORTER

    def _prune(self, notes: Notes, *, now: float) -> Notes:
        self._pruned_at = now
        kept = self._kept_s(notes)
        frames = self._keep.frames_s
        gone = prune(
            self._store,
            now=now,
            keep=replace(
                self._keep,
                frames_s={**frames, min(frames): kept[SLOTS], HOUR_S: kept[HOURS]},
                chunks_s=kept[MINUTES],
                events_s=kept[EVENTS],
                samples_s=kept[SAMPLES],
            ),
            pause=self._pause,
            took=self._recorder.series(SELF_PRUNE).record,
        )
        return replace(notes, pruned_at=now, pruned_rows=gone)


SLOTS: Final = "slots"
SAMPLES: Final = "samples"
MINUTES: Final = "minutes"
EVENTS: Final = "events"
HOURS: Final = "hours"
# Where each is, and the least time that it is kept for; the finest first, for they go first.
_TIERS: Final[Mapping[str, tuple[str, float]]] = {
    SLOTS: ("wk_frame", LEAST_SLOTS_S),
    SAMPLES: ("wk_sample", LEAST_SAMPLES_S),
    MINUTES: ("wk_chunk", LEAST_MINUTES_S),
    EVENTS: ("wk_event", LEAST_EVENTS_S),
    HOURS: ("wk_hour", LEAST_HOURS_S),
}


def read(store: Store) -> Notes:
    """Read what the upkeep found and did last; raise StorageError."""
    return upkeep.read_notes(store.meta(upkeep.KEY))


def _why(room: Room, reason: Reason, *, budget_bytes: int) -> str:
    if reason is Reason.DISK:
        return (
            f"{format_size(room.disk_free_bytes or 0)} of the disk's "
            f"{format_size(room.disk_bytes or 0)} are free."
        )
    return (
        f"the tables take {format_size(room.used_bytes)} of {format_size(budget_bytes)} "
        "(storage_budget)."
    )
