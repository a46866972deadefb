"""Reading the frames of a window, minutes and slots joined without gap or double count."""

from dataclasses import dataclass
from typing import Final

from watchkeeper.core import metrics
from watchkeeper.core.slot import Frame
from watchkeeper.dashboard.windows import MINUTE_S, align_up
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
    """Frames in order of time: minute frames up to `boundary`, single slots from there on."""

    frames: tuple[Frame, ...]
    boundary: int


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
    """Read what a page needs of [since, until), each slot exactly once.

    Minute frames serve for what is rolled up, slots for what starts at or after the end of the
    newest minute frame. With `fine_from` single slots serve from that moment on wherever they
    are still kept. `since` and `fine_from` are whole minutes. A slot that came late appears with
    the next roll-up. Three queries.
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
    boundary = _boundary(rolled, slots) if slot_s < MINUTE_S else align_up(until, MINUTE_S)
    return Reading(
        frames=(
            *(frame for frame in minutes if frame.key.start < boundary),
            *(frame for frame in slots if frame.key.start >= boundary),
        ),
        boundary=boundary,
    )


def _boundary(rolled: int, slots: list[Frame]) -> int:
    """Return from when on slots count: the first whole minute that they cover, if it is rolled."""
    first = min((frame.key.start for frame in slots), default=rolled)
    return rolled if first >= rolled else min(align_up(first, MINUTE_S), rolled)
