"""When somebody looked: the spans of time in which a worker of the service wrote."""

from collections.abc import Iterator
from typing import Final

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.slot import slot_start
from watchkeeper.core.uptime import Span, joined, overlap
from watchkeeper.dashboard.status import silent_after_s
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.runtime.retention import KEEP_WORKERS_S
from watchkeeper.storage.records import MAX_PAST_WORKERS

MAX_CUT_HOURS: Final = 100  # hours with gaps of which the minutes are read; the newest ones
ROLL_UP_S: Final = 2 * MINUTE_S  # within which slots may be in no minute yet


def presence(query: Query) -> list[Span]:
    """Return when at least one worker of the scope wrote, within [start, end) of the query.

    Known to the minute from what was stored, for as long as hours are kept; for a week, as long as
    workers are remembered, their starts and ends are known to the slot besides. Of older hours
    with gaps it is known how many minutes are there, not which: those at the hour's start where
    the hour before ends with data, otherwise those at its end.
    """
    end = min(query.end, query.now)
    spans = joined([*_of_hours(query, end), *_of_frames(query, end)])
    current = silent_after_s(query.slot_s)
    if spans and end - current <= spans[-1].end < end:  # this slot is still open
        spans[-1] = Span(spans[-1].start, end)
    spans = overlap(spans, [Span(query.start, end)])
    lives = _lives(query, end)
    return spans if lives is None else overlap(spans, lives)


def _of_hours(query: Query, end: float) -> Iterator[Span]:
    sealed = query.store.sealed_hours(
        since=slot_start(query.start, HOUR_S),
        until=end,
        service=query.service,
        environment=query.environment,
    )
    cut = [
        at for at, minutes in sorted(sealed.items(), reverse=True) if minutes * MINUTE_S < HOUR_S
    ]
    read = frozenset(cut[:MAX_CUT_HOURS])
    for at, minutes in sealed.items():
        if at not in read:
            yield _about(at, minutes * MINUTE_S, after_data=at - HOUR_S in sealed)
            continue
        query.pause()
        found = query.store.minutes(
            at, service=query.service, environment=query.environment, metrics=(SELF_UP.name,)
        )
        if not found:  # kept no more
            yield _about(at, minutes * MINUTE_S, after_data=at - HOUR_S in sealed)
        for frame in found:
            yield Span(frame.key.start, frame.key.start + MINUTE_S)


def _about(at: int, seconds: float, *, after_data: bool) -> Span:
    """Place so many seconds within an hour of which no minutes are kept."""
    return Span(at, at + seconds) if after_data else Span(at + HOUR_S - seconds, at + HOUR_S)


def _of_frames(query: Query, end: float) -> Iterator[Span]:
    """Yield the minutes that are in no sealed hour yet, and the slots that are in no minute."""
    # Of this hour as well, which nobody seals yet; late ones may belong to an hour of long ago.
    unsealed = query.store.unsealed(before=end + HOUR_S, limit=1)
    since_minute = max(query.start, *(one.start for one in unsealed)) if unsealed else end
    rolled = query.store.rolled_until(MINUTE_S, since=query.start)
    for length_s, since in (
        (MINUTE_S, slot_start(since_minute, MINUTE_S)),
        (query.slot_s, max(query.start - query.slot_s, rolled - ROLL_UP_S)),
    ):
        query.pause()
        for frame in query.store.frames(
            length_s,
            since=since,
            until=end,
            service=query.service,
            environment=query.environment,
            metrics=(SELF_UP.name,),  # little to unpack
        ):
            yield Span(frame.key.start, frame.key.start + length_s)


def _lives(query: Query, end: float) -> list[Span] | None:
    """Return the spans in which a worker lived, as far as known; before that, always.

    None if more workers came and went than are remembered.
    """
    known_from = query.now - KEEP_WORKERS_S
    if end <= known_from:
        return None
    workers = query.store.workers(
        service=query.service,
        environment=query.environment,
        seen_since=max(query.start, known_from),
    )
    if len(workers) >= MAX_PAST_WORKERS:
        return None
    current_s = silent_after_s(query.slot_s)
    lives = [Span(query.start, known_from)]
    for worker in workers:
        seen = worker.seen_at if worker.stopped_at is None else worker.stopped_at
        is_live = worker.stopped_at is None and query.now - worker.seen_at <= current_s
        lives.append(Span(worker.started_at, query.now if is_live else seen))
    return joined(lives)
