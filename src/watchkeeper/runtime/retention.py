"""Coarser and gone: slots become minutes, and what is past its time is deleted.

Minutes become hours in `runtime.hours`.

Both are safe to run in several processes at once: the store's marks decide what is rolled up, and
deleting twice deletes nothing more. The lease that the flusher takes before is only for thrift.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter, sleep
from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.storage.store import ALL_WORKERS, Store

CLOSED_AFTER_S: Final = 30.0  # a minute waits so long for slow workers; later ones make a part
SLOT_LENGTHS_S: Final = tuple(s for s in range(1, MINUTE_S) if MINUTE_S % s == 0)
MAX_FRAMES: Final = 400  # read at once: 8 workers' minutes of 10-s slots, about 3 MB
MAX_ROUNDS: Final = 25  # per slot length and call; a longer backlog goes on in the next one
MAX_ROWS: Final = 1_000  # deleted in one transaction
MAX_LARGE_ROWS: Final = 50  # of minute frames, each of many kB
FIRST_ROWS: Final = 50  # in the first transaction, until it is known how long they take
MIN_ROWS: Final = 10
LONG_S: Final = 0.025  # a transaction that takes longer makes the next ones smaller: 50 ms at most
SHORT_S: Final = 0.01  # one that takes less makes them larger
MAX_PRUNES: Final = 100  # transactions per kind of row and call
MAX_GIVE_BACKS: Final = 100  # small pieces of free room in one call: 160 MB of a SQLite file

DAY_S: Final = 86_400.0
# Minutes in sealed hours are in chunks as well; who began to read a page may still ask for them.
KEEP_SEALED_S: Final = 3 * HOUR_S
KEEP_HOURS_S: Final = 400 * DAY_S
KEEP_WORKERS_S: Final = 7 * DAY_S
KEEP_CHECKS_S: Final = 90 * DAY_S
KEEP_ISSUES_S: Final = 90 * DAY_S
KEEP_INCIDENTS_S: Final = 400 * DAY_S
KEEP_RELEASES_S: Final = 400 * DAY_S
KEEP_AUDITS_S: Final = 400 * DAY_S


def roll_up(
    store: Store,
    *,
    now: float,
    pause: Callable[[], object],
    slot_lengths_s: Collection[int] = SLOT_LENGTHS_S,
) -> int:
    """Merge the slots of closed minutes into frames of a minute; return how many were written.

    Looks for slots of every length that divides a minute, for the setting may have changed.
    `pause` is called between frames. Raises StorageError; what was written by then stays.
    """
    closed = slot_start(now - CLOSED_AFTER_S, MINUTE_S)
    written = 0
    for length_s in slot_lengths_s:
        for _ in range(MAX_ROUNDS):
            waiting = store.unrolled(length_s, before=closed, limit=MAX_FRAMES)
            for start, frames in _by_minute(waiting).items():
                written += _roll_minute(store, start, frames, pause)
            if not waiting:
                break
            pause()
    return written


def prune(
    store: Store,
    *,
    now: float,
    keep_s: Mapping[int, float],
    keep_events_s: float,
    keep_samples_s: float,
    max_samples: int,
    pause: Callable[[], object],
    keep_chunks_s: float | None = None,
    took: Callable[[float], object] = float,
) -> int:
    """Delete what is past its time, in small transactions; return how many rows went.

    `keep_s` tells for each resolution (in seconds) how long it is kept: slots, minutes, hours.
    Slots of other lengths, from an earlier setting, are kept as long as the finest that is named.
    Minute frames go soon after their hour is sealed, unless they are the slots; it is the chunks
    that are kept as long as minutes, or for `keep_chunks_s`. Of samples no more than the newest
    `max_samples` stay. `took` is told how long each transaction took, in seconds.
    """
    finest = min(keep_s)
    kept = {**dict.fromkeys(SLOT_LENGTHS_S, keep_s[finest]), **keep_s}
    hours_s = kept.pop(HOUR_S, KEEP_HOURS_S)
    sealed_s = KEEP_SEALED_S if finest < MINUTE_S else keep_s[finest]
    chunks_s = kept[MINUTE_S] if keep_chunks_s is None else keep_chunks_s
    gone = _in_chunks(store.prune_sealed, now - sealed_s, pause, took, limit=MAX_LARGE_ROWS)
    deletions: list[tuple[Callable[..., int], float]] = [
        *((partial(store.prune_frames, resolution), age_s) for resolution, age_s in kept.items()),
        (store.prune_chunks, chunks_s),
        (store.prune_hours, hours_s),
        (store.prune_events, keep_events_s),
        (partial(store.prune_samples, most=max_samples), keep_samples_s),
        (store.prune_issues, KEEP_ISSUES_S),
        (store.prune_incidents, KEEP_INCIDENTS_S),
        (store.prune_checks, KEEP_CHECKS_S),
        (store.prune_workers, KEEP_WORKERS_S),
        (store.prune_releases, KEEP_RELEASES_S),
        (store.prune_audits, KEEP_AUDITS_S),
    ]
    gone += sum(_in_chunks(delete, now - age_s, pause, took) for delete, age_s in deletions)
    for _ in range(MAX_GIVE_BACKS):
        pause()
        started = perf_counter()
        more = store.prepare(at=now)
        took_s = perf_counter() - started
        took(took_s)
        if not more:
            break
        _rest(took_s)
    return gone


def next_limit(limit: int, *, took_s: float, most: int = MAX_ROWS) -> int:
    """Return how many rows the next transaction may delete, after one that took so long."""
    if took_s > LONG_S:
        return max(MIN_ROWS, limit // 2)
    return min(most, limit * 2) if took_s < SHORT_S else limit


def _roll_minute(
    store: Store, start: int, frames: Sequence[Frame], pause: Callable[[], object]
) -> int:
    minute = Frame(
        key=FrameKey(MINUTE_S, start, ALL_WORKERS, 0), values=merge_frames(frames, pause=pause)
    )
    pause()
    # False: another process was faster with one of them; the next round takes the others.
    return int(store.write_rollup([minute], [frame.key for frame in frames]))


def _by_minute(frames: Iterable[Frame]) -> dict[int, list[Frame]]:
    minutes: dict[int, list[Frame]] = {}
    for frame in frames:
        minutes.setdefault(slot_start(frame.key.start, MINUTE_S), []).append(frame)
    return minutes


def _in_chunks(
    delete: Callable[..., int],
    before: float,
    pause: Callable[[], object],
    took: Callable[[float], object],
    *,
    limit: int = MAX_ROWS,
) -> int:
    gone, most = 0, limit
    limit = min(FIRST_ROWS, most)
    for _ in range(MAX_PRUNES):
        pause()
        started = perf_counter()
        some = delete(before=before, limit=limit)
        took_s = perf_counter() - started
        took(took_s)
        limit = next_limit(limit, took_s=took_s, most=most)
        gone += some
        if not some:
            break
        _rest(took_s)
    return gone


def _rest(took_s: float) -> None:
    """Leave the database to others for as long as we had it.

    Whoever waits for SQLite's lock looks for it now and then only: it must be free for a while.
    """
    sleep(min(took_s, LONG_S))
