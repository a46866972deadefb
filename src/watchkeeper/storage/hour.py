"""The packed forms of an hour: the histogram of an hour's row, and the chunk of its minutes.

A chunk is packed like a frame, with the number of the minute (0 to 59) in the place of a series.
The histogram is packed for being read by the thousand: one version byte, a checksum and two narrow
arrays. A compressed one would take as much room at this size and twenty times as long to read.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Mapping
from itertools import accumulate
from math import inf
from operator import sub
from typing import Any, Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import Minutes
from watchkeeper.core.slot import Value
from watchkeeper.storage import frame as packed
from watchkeeper.storage.frame import DamagedFrameError

CHUNK_VERSION: Final = packed.VERSION
HOUR_VERSION: Final = 1
MINUTES: Final = 60

_HEADER: Final = struct.Struct("<bQ")  # scale, zeros
_TABLE: Final = struct.Struct("<iHBB")  # first index, length, codes of steps and counts
_CHECKSUM: Final = struct.Struct("<I")
_CODES: Final = "BHIQ"
_WIDTHS: Final = (1, 2, 4, 8)


def pack_minutes(minutes: Minutes) -> bytes:
    """Pack the minutes of one series and hour; `unpack_minutes` gives back exactly these."""
    return packed.encode(minutes)


def unpack_minutes(payload: bytes) -> dict[int, Value]:
    """Unpack a chunk: minute (0 to 59) → value; raise DamagedFrameError."""
    minutes = packed.decode(payload)
    if any(not 0 <= minute < MINUTES for minute in minutes):
        raise DamagedFrameError("the payload is damaged: an hour has 60 minutes")
    return minutes


def pack_histogram(one: Histogram) -> bytes:
    """Pack a histogram's buckets; count, sum, min and max are columns of the hour's row."""
    body = (
        _HEADER.pack(one.scale, one.zero)
        + _packed_table(one.buckets)
        + _packed_table(one.negative)
    )
    return bytes([HOUR_VERSION]) + _CHECKSUM.pack(zlib.crc32(body)) + body


def unpack_histogram(payload: bytes, *, total: float, low: float, high: float) -> Histogram:
    """Unpack a histogram, given its sum, min and max; raise DamagedFrameError."""
    if payload[:1] != bytes([HOUR_VERSION]):
        raise DamagedFrameError(f"format {payload[:1].hex() or 'none'} is not known")
    body = payload[1 + _CHECKSUM.size :]
    if len(payload) < 1 + _CHECKSUM.size or _CHECKSUM.unpack_from(payload, 1)[0] != zlib.crc32(
        body
    ):
        raise DamagedFrameError("the payload is damaged: its checksum differs")
    one = Histogram.__new__(Histogram)  # every attribute is set below; `__init__` takes time
    try:
        one.scale, one.zero = _HEADER.unpack_from(body)
        one.buckets, at = _unpacked_table(body, _HEADER.size)
        one.negative, _ = _unpacked_table(body, at)
    except (struct.error, ValueError, IndexError) as error:
        raise DamagedFrameError(f"the payload is damaged: {error}") from error
    one.count = one.zero + sum(one.buckets.values()) + sum(one.negative.values())
    one.sum, one.min, one.max = (total, low, high) if one.count else (0.0, inf, -inf)
    return one


def _packed_table(table: Mapping[int, int]) -> bytes:
    indexes = sorted(table)
    steps = list(map(sub, indexes[1:], indexes))
    counts = [table[index] for index in indexes]
    step_code, count_code = _code(steps), _code(counts)
    header = _TABLE.pack(indexes[0] if indexes else 0, len(indexes), step_code, count_code)
    return header + _bytes(steps, step_code) + _bytes(counts, count_code)


def _unpacked_table(body: bytes, at: int) -> tuple[dict[int, int], int]:
    first, length, step_code, count_code = _TABLE.unpack_from(body, at)
    at += _TABLE.size
    if not length:
        return {}, at
    middle = at + (length - 1) * _WIDTHS[step_code]
    end = middle + length * _WIDTHS[count_code]
    steps = _numbers(body[at:middle], step_code)
    counts = _numbers(body[middle:end], count_code)
    return dict(zip(accumulate(steps, initial=first), counts, strict=True)), end


def _code(numbers: list[int]) -> int:
    largest = max(numbers, default=0)
    return next(code for code, width in enumerate(_WIDTHS) if largest < 256**width)


def _bytes(numbers: list[int], code: int) -> bytes:
    column: array[Any] = array(_CODES[code], numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _numbers(data: bytes, code: int) -> "array[int]":
    column: array[int] = array(_CODES[code], data)
    if sys.byteorder == "big":
        column.byteswap()
    return column
