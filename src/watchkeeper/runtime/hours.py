"""Hours sealed: their minute frames become a row and a chunk for each series.

Safe to run in several processes at once, and to be killed at any moment: the store marks the
minutes in the transaction that writes the rows they went into.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from watchkeeper.core.hours import HOUR_S, by_series, joined, summed, with_late
from watchkeeper.core.made import make
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import FrameKey, Value, slot_start
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.store import SealedHour, Store, StoredHour, Unsealed

CLOSED_AFTER_S: Final = 120.0  # the last minute's frame is a while in coming; later ones are late
MAX_HOURS: Final = 2  # in one call, at 1 to 2 s each; a longer backlog goes on in the next one


def seal(store: Store, *, now: float, pause: Callable[[], object]) -> int:
    """Seal the hours that are over, and add late minutes to those that were sealed before.

    Returns how many hours were written. `pause` is called often. Raises StorageError; what was
    written by then stays.
    """
    closed = slot_start(now - CLOSED_AFTER_S, HOUR_S)
    written = 0
    for hour in store.unsealed(before=closed, limit=MAX_HOURS):
        written += _seal_hour(store, hour, pause)
    return written


def _seal_hour(store: Store, hour: Unsealed, pause: Callable[[], object]) -> bool:
    sealed: list[SealedHour] = []
    sources: Collection[FrameKey] = ()
    made: dict[Series, dict[int, Value]] = {}
    for share in range(hour.shares):
        frames = store.unsealed_frames(hour, share)
        if share == 0:
            sources = [frame.key for frame in frames]
        pause()
        minutes = by_series(frames, pause=pause)
        make(frames, made, pause=pause)
        if share == hour.shares - 1:
            minutes.update(made)
        stored = store.stored_hour(hour.start, minutes)
        if stored is None:
            return False  # a newer version's: left for one that can read it
        for series, late in minutes.items():
            sealed.append(_sealed(series, late, stored.get(series)))
            pause()
    # False: another process was faster with one of them; the next call takes the others.
    return bool(sources) and store.seal(hour.start, sealed, sources)


def _sealed(series: Series, late: Mapping[int, Value], stored: StoredHour | None) -> SealedHour:
    minutes = late
    if stored is not None and stored.minutes is not None:
        minutes = joined(series, stored.minutes, late)
    hour = summed(minutes)
    if stored is not None and stored.minutes is None and stored.hour is not None:
        hour = with_late(stored.hour, hour)
    return SealedHour(
        series=series,
        hour=hour,
        chunk=pack_minutes(minutes),
        revision=0 if stored is None else stored.revision,
    )
