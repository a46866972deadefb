"""Reading the frames of a window, minutes and slots joined without gap or double count."""

from dataclasses import dataclass
from typing import Final

from watchkeeper.core import metrics
from watchkeeper.core.slot import Frame, slot_start
from watchkeeper.dashboard.windows import MINUTE_S
from watchkeeper.storage.store import FrameStore

SHOWN: Final = (
    metrics.HTTP_DURATION.name,
    metrics.HTTP_BROKEN.name,
    metrics.HTTP_UNHANDLED.name,
    metrics.HTTP_DISCONNECTS.name,
    metrics.PROCESS_CPU.name,
    metrics.HOST_CPU.name,
    metrics.HOST_MEMORY.name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Frames in order of time; `minutes` are the starts of those served by minute frames."""

    frames: tuple[Frame, ...]
    minutes: frozenset[int]


def read_frames(
    store: FrameStore,
    *,
    service: str,
    environment: str,
    since: int,
    until: float,
    slot_s: int,
    fine_from: int | None = None,
) -> Reading:
    """Read what a page needs of [since, until), each minute from exactly one resolution.

    Minute frames serve for what is rolled up, slots for what starts at or after the end of the
    newest minute frame. With `fine_from` slots serve from that moment on for every minute that
    they cover in whole. `since` and `fine_from` are whole minutes. A slot that came late appears
    with the next roll-up. Three queries.
    """
    rolled = int(store.rolled_until(MINUTE_S, since=since))
    minutes = store.frames(
        MINUTE_S,
        since=since,
        until=until,
        service=service,
        environment=environment,
        metrics=SHOWN,
    )
    slots_from = rolled if fine_from is None else min(rolled, fine_from)
    slots: list[Frame] = []
    if slots_from < until and slot_s < MINUTE_S:
        slots = store.frames(
            slot_s,
            since=slots_from,
            until=until,
            service=service,
            environment=environment,
            metrics=SHOWN,
        )
    whole = _whole_minutes(slots, slot_s)
    chosen = frozenset(frame.key.start for frame in minutes) - whole
    return Reading(
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
