"""Reading the frames of a window, minutes and slots joined without gap or double count."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.storage.store import FrameStore

PIECE_S: Final = 3_600  # read at once; of a whole day heavy traffic's frames fill a gigabyte
SETTLING_S: Final = 2.0  # the jitter of flushes: until then a slot may lack a worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Frames from `start` on, in order of time.

    `minutes` are the starts of those served by minute frames.
    """

    start: int
    frames: tuple[Frame, ...]
    minutes: frozenset[int]


def read_pieces(
    store: FrameStore,
    *,
    service: str,
    environment: str,
    since: int,
    border: int,
    until: float,
    slot_s: int,
    metrics: Collection[str],
    fine_from: int | None = None,
) -> Iterator[Reading]:
    """Read some metrics' values of [since, until), an hour at a time, no piece across `border`.

    Each minute comes from exactly one resolution: minute frames serve for what is rolled up,
    slots for what starts at or after the end of the newest minute frame. With `fine_from` slots
    serve from that moment on for every minute that they cover in whole. `since`, `border` and
    `fine_from` are whole minutes. A slot that came late appears with the next roll-up. One query,
    and one or two for each piece.
    """
    rolled = int(store.rolled_until(MINUTE_S, since=since))
    slots_from = rolled if fine_from is None else min(rolled, fine_from)
    for start, end in _pieces(since, border, until):
        minutes = store.frames(
            MINUTE_S,
            since=start,
            until=end,
            service=service,
            environment=environment,
            metrics=metrics,
        )
        slots: list[Frame] = []
        if slots_from < end and slot_s < MINUTE_S:
            slots = store.frames(
                slot_s,
                since=max(slots_from, start),
                until=end,
                service=service,
                environment=environment,
                metrics=metrics,
            )
        yield _joined(start, minutes, slots, slot_s)


def _pieces(since: int, border: int, until: float) -> Iterator[tuple[int, float]]:
    """Yield the (start, end) of each piece, oldest first."""
    for begin, end in ((since, min(border, until)), (border, until)):
        for start in range(begin, ceil(end), PIECE_S):
            yield start, min(start + PIECE_S, end)


def _joined(start: int, minutes: list[Frame], slots: list[Frame], slot_s: int) -> Reading:
    whole = _whole_minutes(slots, slot_s)
    chosen = frozenset(frame.key.start for frame in minutes) - whole
    return Reading(
        start=start,
        frames=(
            *(frame for frame in minutes if frame.key.start in chosen),
            *(frame for frame in slots if slot_start(frame.key.start, MINUTE_S) not in chosen),
        ),
        minutes=chosen,
    )


def _whole_minutes(slots: list[Frame], slot_s: int) -> frozenset[int]:
    """Return the minutes of which every slot is there."""
    starts: dict[int, set[int]] = {}
    for frame in slots:
        starts.setdefault(slot_start(frame.key.start, MINUTE_S), set()).add(frame.key.start)
    return frozenset(at for at, found in starts.items() if len(found) * slot_s >= MINUTE_S)
