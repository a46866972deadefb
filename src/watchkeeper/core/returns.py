"""Which release is back: run again although a newer one was deployed, which nobody runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.missing import Heartbeats

GONE_S: Final = 90.0  # the newest release is given up by then; a restart takes less
BESIDE_S: Final = (
    3_600.0  # whoever runs beside it for so long is another program, with its own name
)


class Reason(StrEnum):
    """Why a release is back, or is not."""

    BACK = "back"  # its workers began when or after the newest release did
    LEFT = "left"  # it was there all the time: the newest one was withdrawn
    IS_NEWEST = "is_newest"  # there is nothing to go back from
    BESIDE = "beside"  # it ran beside the newest one for long: it is another program
    RUNNING = "running"  # somebody runs the newest one, or did so just now


@dataclass(frozen=True, slots=True)
class Return:
    """Whether a release is back, and since when (seconds since the epoch)."""

    reason: Reason
    at: float | None = None


def returned(
    release: str, newest: str, marked_at: float, workers: Iterable[Heartbeats], *, now: float
) -> Return:
    """Decide whether `release`, which a live worker runs, took the place of the newest mark.

    `marked_at` is the moment of that mark, `workers` are all those of the scope that may matter.
    From a newest release that no worker ever ran nobody went back.
    """
    if release == newest:
        return Return(Reason.IS_NEWEST)
    every = list(workers)
    ends = [
        one.seen_at if one.stopped_at is None else one.stopped_at
        for one in every
        if one.scope.release == newest
    ]
    if not ends or max(ends) > now - GONE_S:
        return Return(Reason.RUNNING)
    if max(ends) - BESIDE_S > marked_at and _is_beside(release, every, max(ends)):
        return Return(Reason.BESIDE)
    begun = []
    for one in every:
        if one.scope.release != release:
            continue
        if one.started_at > marked_at:
            begun.append(one.started_at)
        elif one.stopped_at is None and one.seen_at > now - GONE_S:
            return Return(Reason.LEFT, max(ends))  # it was never gone, and is alone again
    return Return(Reason.BACK, min(begun)) if begun else Return(Reason.LEFT, max(ends))


def _is_beside(release: str, workers: Iterable[Heartbeats], end: float) -> bool:
    """Tell whether a release was run all through the time before a moment; restarts are no gap."""
    lives = sorted(
        (one.started_at, one.seen_at if one.stopped_at is None else one.stopped_at)
        for one in workers
        if one.scope.release == release
    )
    run_until = end - BESIDE_S
    for start, stop in lives:
        if start <= run_until + GONE_S:
            run_until = max(run_until, stop)
    return run_until > end - GONE_S
