"""The values of one slot: what a frame holds, and how values of the same series combine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Series


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a gauge read within a span of time: its last, smallest and largest value."""

    last: float
    min: float
    max: float


Value = float | Gauge | Histogram
"""A counter's increase, a gauge's readings or a histogram's observations within one slot."""


@dataclass(frozen=True, slots=True, order=True)
class FrameKey:
    """The identity of a frame: which slot, whose, and which of its flushes.

    `resolution` and `start` are whole seconds (start since the epoch, a multiple of the
    resolution); worker 0 stands for all workers of a rolled-up frame.
    """

    resolution: int
    start: int
    worker: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """All series of one worker and slot, as closed by the flusher or read from the store."""

    key: FrameKey
    values: Mapping[Series, Value] = field(default_factory=dict)


def slot_start(at: float, resolution: int) -> int:
    """Return the start (seconds since the epoch) of the slot that holds the moment `at`."""
    return int(at // resolution) * resolution
