"""Coarser and gone: slots become minutes, and what is past its time is deleted.

Minutes become hours in `runtime.hours`.

Both are safe to run in several processes at once: the store's marks decide what is rolled up, and
deleting twice deletes nothing more. The lease that the flusher takes before is only for thrift.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final, Self

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.settings import Settings
from watchkeeper.storage.rows import SEEN_LAG_S
from watchkeeper.storage.store import ALL_WORKERS, Store
from watchkeeper.storage.upkeep import Kind

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
KEEP_COUNTS_S: Final = 30 * DAY_S  # of issues, however soon their events go: a month is shown
KEEP_ISSUES_S: Final = 90 * DAY_S
KEEP_INCIDENTS_S: Final = 400 * DAY_S
KEEP_RELEASES_S: Final = 400 * DAY_S
KEEP_AUDITS_S: Final = 400 * DAY_S
KEEP_SILENCES_S: Final = 400 * DAY_S  # after their end


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long things are kept, in seconds; slots, minutes and hours by their resolution.

    Of samples no more than the newest `max_samples` stay. `chunks_s`, if it is given, is how long
    minutes are kept once their hour is sealed.
    """

    frames_s: Mapping[int, float]
    events_s: float
    samples_s: float
    max_samples: int
    chunks_s: float | None = None

    @classmethod
    def set_by(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(
            frames_s={
                settings.slot_s: settings.seconds("keep_slots"),
                MINUTE_S: settings.seconds("keep_minutes"),
                HOUR_S: settings.seconds("keep_hours"),
            },
            events_s=settings.seconds("keep_events"),
            samples_s=settings.seconds("keep_samples"),
            max_samples=settings.max_samples,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Rows of one kind from before a moment, in seconds since the epoch.

    `resolution` (seconds) tells frames apart; of samples no more than `most` stay.
    """

    kind: Kind
    before: float
    resolution: int = 0
    most: int = 0


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


def deletions(keep: Keep, *, now: float) -> list[Deletion]:
    """List what is past its time, in the order in which it goes.

    Slots of other lengths, from an earlier setting, are kept as long as the finest that is named.
    Minute frames go soon after their hour is sealed, unless they are the slots; it is the chunks
    that are kept as long as minutes.
    """
    finest = min(keep.frames_s)
    kept = {**dict.fromkeys(SLOT_LENGTHS_S, keep.frames_s[finest]), **keep.frames_s}
    hours_s = kept.pop(HOUR_S, KEEP_HOURS_S)
    sealed_s = KEEP_SEALED_S if finest < MINUTE_S else keep.frames_s[finest]
    chunks_s = kept[MINUTE_S] if keep.chunks_s is None else keep.chunks_s
    ages_s = (
        (Kind.CHUNKS, chunks_s),
        (Kind.HOURS, hours_s),
        (Kind.EVENTS, keep.events_s),
        (Kind.COUNTS, max(keep.events_s, KEEP_COUNTS_S)),
        (Kind.SAMPLES, keep.samples_s),
        (Kind.ISSUES, KEEP_ISSUES_S),
        (Kind.INCIDENTS, KEEP_INCIDENTS_S),
        (Kind.CHECKS, KEEP_CHECKS_S),
        (Kind.WORKERS, KEEP_WORKERS_S),
        (Kind.RELEASES, KEEP_RELEASES_S),
        (Kind.AUDITS, KEEP_AUDITS_S),
        (Kind.SILENCES, KEEP_SILENCES_S),
        # Names go last, once nothing bears them any more.
        (Kind.SERIES, max(hours_s, chunks_s, sealed_s, *kept.values()) + SEEN_LAG_S),
    )
    return [
        Deletion(kind=Kind.SEALED, before=now - sealed_s),
        *(
            Deletion(kind=Kind.FRAMES, before=now - age_s, resolution=resolution)
            for resolution, age_s in kept.items()
        ),
        *(
            Deletion(
                kind=kind,
                before=now - age_s,
                most=keep.max_samples if kind is Kind.SAMPLES else 0,
            )
            for kind, age_s in ages_s
        ),
    ]


def prune(
    store: Store,
    *,
    now: float,
    keep: Keep,
    pause: Callable[[], object],
    took: Callable[[float], object] = float,
    on_gone: Callable[[Deletion, int], object] = lambda *_: None,
) -> int:
    """Delete what is past its time, in small transactions; return how many rows went.

    `took` is told how long each transaction took, in seconds, `on_gone` how many rows went by it.
    """
    gone = 0
    for one in deletions(keep, now=now):
        for rows in _in_chunks(_delete(store, one), one, pause, took):
            on_gone(one, rows)
            gone += rows
    for _ in range(MAX_GIVE_BACKS):
        pause()
        started = perf_counter()
        more = store.prepare(at=now)
        took(perf_counter() - started)
        if not more:
            break
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


def _delete(store: Store, one: Deletion) -> Callable[..., int]:
    """Return what deletes some rows of a kind."""
    by_kind: Mapping[Kind, Callable[..., int]] = {
        Kind.SEALED: store.prune_sealed,
        Kind.FRAMES: partial(store.prune_frames, one.resolution),
        Kind.CHUNKS: store.prune_chunks,
        Kind.HOURS: store.prune_hours,
        Kind.EVENTS: store.prune_events,
        Kind.COUNTS: store.prune_counts,
        Kind.SAMPLES: partial(store.prune_samples, most=one.most),
        Kind.ISSUES: store.prune_issues,
        Kind.INCIDENTS: store.prune_incidents,
        Kind.CHECKS: store.prune_checks,
        Kind.WORKERS: store.prune_workers,
        Kind.RELEASES: store.prune_releases,
        Kind.AUDITS: store.prune_audits,
        Kind.SILENCES: store.prune_silences,
        Kind.SERIES: store.prune_series,
    }
    return by_kind[one.kind]


def _in_chunks(
    delete: Callable[..., int],
    one: Deletion,
    pause: Callable[[], object],
    took: Callable[[float], object],
) -> Iterator[int]:
    """Delete in transactions of as many rows as take a short time; yield how many each took."""
    most = MAX_LARGE_ROWS if one.kind is Kind.SEALED else MAX_ROWS
    limit = min(FIRST_ROWS, most)
    for _ in range(MAX_PRUNES):
        pause()
        started = perf_counter()
        rows = delete(before=one.before, limit=limit)
        took_s = perf_counter() - started
        took(took_s)
        limit = next_limit(limit, took_s=took_s, most=most)
        if not rows:
            break
        yield rows
