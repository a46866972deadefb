"""The rows of hours that pass through a store."""

from dataclasses import dataclass

from watchkeeper.core.hours import Hour, Minutes
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import FrameKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """An hour with minute frames that are in no hour's row yet.

    `shares` says into how many shares of the series to split it, so that one fits into memory.
    """

    start: int
    keys: tuple[FrameKey, ...]
    shares: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRow:
    """What one series adds up to within the hour that begins at `start`."""

    series: Series
    start: int
    hour: Hour


@dataclass(frozen=True, slots=True, kw_only=True)
class HourTotal:
    """What the rows of one series add up to over several hours: count and sum, no more."""

    count: int
    sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHour:
    """What is stored of one series and hour already; None where it is gone or damaged."""

    revision: int  # how often it was written
    hour: Hour | None
    minutes: Minutes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHour:
    """What is to be stored of one series and hour.

    `chunk` are its minutes, packed; `revision` is that of the row whose place it takes, 0 if
    there is none.
    """

    series: Series
    hour: Hour
    chunk: bytes
    revision: int = 0
