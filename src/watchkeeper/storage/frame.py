"""The packed form of a frame: columns by kind of value, narrow and compressed.

A payload is one version byte and a zlib stream (whose checksum tells damage). The stream holds
integer and float columns; the bytes of a column are stored plane by plane, because the high bytes
of neighbouring numbers are alike and compress to almost nothing. The low bytes of fractions do not
compress at all: they are blocks of their own in the stream, so that they do not spoil the codes of
the others, which saves 3 % of a slot and 7 % of an hour.
"""

import sys
import zlib
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, Final

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.storage.turns import give_way

VERSION: Final = 1
MAX_PART_BYTES: Final = 8_000  # larger values leave the page on InnoDB and waste the rest of it
MAX_PLAIN_BYTES: Final = 64_000_000  # no payload of ours comes near; a damaged one must not
# Runs only are looked for: a plane repeats nothing else, and it takes a sixth less time.
COMPRESSION: Final = 6  # as far as there is a choice
MIN_BLOCK: Final = 32  # values of a column whose low bytes are a block: each takes 5 bytes more

_WIDTHS: Final = {"B": 1, "H": 2, "I": 4, "Q": 8, "d": 8}
_CODES: Final = tuple(_WIDTHS)
_NOISE: Final = 6  # low bytes of a fraction that look like chance
_ALL, _ONE, _TWO = 0, 1, 2  # what a histogram's (or gauge's) three figures can be derived from


class DamagedFrameError(ValueError):
    """A payload is damaged, or of a version that this process does not know."""


def encode(values: Mapping[int, Value]) -> bytes:
    """Pack the values of one slot by series id; `decode` gives back exactly these."""
    counters: list[tuple[int, float]] = []
    gauges: list[tuple[int, Gauge]] = []
    histograms: list[tuple[int, Histogram]] = []
    for series, value in sorted(values.items(), key=lambda item: item[0]):
        if isinstance(value, Histogram):
            histograms.append((series, value))
        elif isinstance(value, Gauge):
            gauges.append((series, value))
        else:
            counters.append((series, value))
    columns = _Writer()
    _put_counters(columns, counters)
    _put_gauges(columns, gauges)
    _put_histograms(columns, histograms)
    return bytes([VERSION]) + columns.compressed()


def decode(payload: bytes, wanted: Collection[int] | None = None) -> dict[int, Value]:
    """Unpack a payload: series id → value, of the `wanted` ids only unless None.

    Raises DamagedFrameError.
    """
    if payload[:1] != bytes([VERSION]):
        raise DamagedFrameError(f"format {payload[:1].hex() or 'none'} is not known")
    try:
        stream = zlib.decompressobj()
        plain = stream.decompress(payload[1:], MAX_PLAIN_BYTES)
        if not stream.eof:
            raise DamagedFrameError("the payload ends too early")
        columns = _Reader(plain)
        values: dict[int, Value] = {}
        values.update(_take_counters(columns, wanted))
        values.update(_take_gauges(columns, wanted))
        values.update(_take_histograms(columns, wanted))
    except (zlib.error, ValueError, IndexError, OverflowError, StopIteration) as error:
        raise DamagedFrameError(f"the payload is damaged: {error}") from error
    return values


def split(payload: bytes, *, part_bytes: int = MAX_PART_BYTES) -> list[bytes]:
    """Cut a payload into parts of so many bytes, which fit well into a database's pages."""
    return [
        payload[start : start + part_bytes] for start in range(0, max(len(payload), 1), part_bytes)
    ]


class _Writer:
    """Columns on their way out: type, length and byte planes of each."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(COMPRESSION, strategy=zlib.Z_RLE)
        self._packed: list[bytes] = []  # what came out of the stream
        self._pieces: list[bytes] = []  # what goes into it next

    def put(self, values: Sequence[int] | Sequence[float], code: str) -> None:
        column = array(code, values)
        if sys.byteorder == "big":
            column.byteswap()
        data, width = column.tobytes(), _WIDTHS[code]
        self._pieces.append(bytes([_CODES.index(code)]) + len(column).to_bytes(4, "little"))
        if code == "d" and len(column) >= MIN_BLOCK:
            self._end_block()
            self._pieces.extend(data[plane::width] for plane in range(_NOISE))
            self._end_block()
            self._pieces.extend(data[plane::width] for plane in range(_NOISE, width))
        else:
            self._pieces.extend(data[plane::width] for plane in range(width))
        give_way()

    def compressed(self) -> bytes:
        """Return the stream of all columns."""
        self._end_block(zlib.Z_FINISH)
        return b"".join(self._packed)

    def _end_block(self, how: int = zlib.Z_BLOCK) -> None:
        self._packed.append(self._stream.compress(b"".join(self._pieces)))
        self._packed.append(self._stream.flush(how))
        self._pieces.clear()

    def integers(self, values: Sequence[int]) -> None:
        largest = max(values, default=0)
        self.put(values, next(code for code in "BHIQ" if largest < 256 ** _WIDTHS[code]))

    def signed(self, values: Iterable[int]) -> None:
        # Zigzag: small numbers of either sign become small unsigned ones.
        self.integers([value * 2 if value >= 0 else -value * 2 - 1 for value in values])

    def floats(self, values: Sequence[float]) -> None:
        if all(0 <= value < 2**53 and value == int(value) for value in values):
            self.integers([int(value) for value in values])
        else:
            self.put(values, "d")


class _Reader:
    """Columns on their way in, in the order in which they were written."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, length: int | None = None) -> list[float]:
        code = _CODES[self.data[self.at]]
        found = int.from_bytes(self.data[self.at + 1 : self.at + 5], "little")
        width = _WIDTHS[code]
        start, end = self.at + 5, self.at + 5 + found * width
        if end > len(self.data) or length not in (None, found):
            raise DamagedFrameError("a column is of the wrong length")
        planes = bytearray(found * width)
        for plane in range(width):
            planes[plane::width] = self.data[start + plane * found : start + (plane + 1) * found]
        column: array[Any] = array(code, bytes(planes))
        if sys.byteorder == "big":
            column.byteswap()
        self.at = end
        give_way()
        return column.tolist()  # a list is sliced and walked faster

    def integers(self, length: int | None = None) -> list[int]:
        if _CODES[self.data[self.at]] == "d":
            raise DamagedFrameError("a column is of the wrong type")
        return self.take(length)  # type: ignore[return-value]  # no other type holds fractions

    def signed(self, length: int | None = None) -> list[int]:
        return [
            value >> 1 if not value & 1 else -(value >> 1) - 1 for value in self.integers(length)
        ]

    def ids(self) -> list[int]:
        return list(accumulate(self.integers()))


def _put_ids(columns: _Writer, ids: Sequence[int]) -> None:
    columns.integers([now - before for now, before in zip(ids, (0, *ids), strict=False)])


def _put_counters(columns: _Writer, counters: Sequence[tuple[int, float]]) -> None:
    _put_ids(columns, [series for series, _ in counters])
    columns.floats([value for _, value in counters])


def _take_counters(columns: _Reader, wanted: Collection[int] | None) -> dict[int, Value]:
    ids = columns.ids()
    values = columns.take(len(ids))
    return {
        series: float(value)
        for series, value in zip(ids, values, strict=True)
        if wanted is None or series in wanted
    }


def _put_gauges(columns: _Writer, gauges: Sequence[tuple[int, Gauge]]) -> None:
    _put_ids(columns, [series for series, _ in gauges])
    modes = [_ONE if one.last == one.min == one.max else _ALL for _, one in gauges]
    figures: list[float] = []
    for mode, (_, one) in zip(modes, gauges, strict=True):
        figures += (one.last,) if mode == _ONE else (one.last, one.min, one.max)
    columns.integers(modes)
    columns.put(figures, "d")


def _take_gauges(columns: _Reader, wanted: Collection[int] | None) -> dict[int, Value]:
    ids = columns.ids()
    modes = columns.integers(len(ids))
    figures = iter(columns.take())
    values: dict[int, Value] = {}
    for series, mode in zip(ids, modes, strict=True):
        last = next(figures)
        low, high = (last, last) if mode == _ONE else (next(figures), next(figures))
        if wanted is None or series in wanted:
            values[series] = Gauge(last, low, high)
    return values


def _put_histograms(columns: _Writer, items: Sequence[tuple[int, Histogram]]) -> None:
    histograms = [one for _, one in items]
    modes = [_mode(one) for one in histograms]
    _put_ids(columns, [series for series, _ in items])
    columns.integers([one.count for one in histograms])
    columns.signed(one.scale for one in histograms)
    columns.integers([one.zero for one in histograms])
    columns.integers(modes)
    columns.put([one.min for one in histograms], "d")
    columns.put([h.max for h, mode in zip(histograms, modes, strict=True) if mode != _ONE], "d")
    columns.put([h.sum for h, mode in zip(histograms, modes, strict=True) if mode == _ALL], "d")
    _put_buckets(columns, [one.buckets for one in histograms])
    _put_buckets(columns, [one.negative for one in histograms])


def _put_buckets(columns: _Writer, tables: Sequence[dict[int, int]]) -> None:
    firsts: list[int] = []
    steps: list[int] = []
    counts: list[int] = []
    for table in tables:
        if not table:
            continue
        indexes = sorted(table)
        firsts.append(indexes[0])
        steps += map(sub, indexes[1:], indexes)
        counts += map(table.__getitem__, indexes)
        give_way()
    columns.integers([len(table) for table in tables])
    columns.signed(firsts)
    columns.integers(steps)
    columns.integers(counts)


def _mode(one: Histogram) -> int:
    """Tell which of sum, min and max follow from the others: with 1 or 2 values some do."""
    if one.sum == one.min == one.max:
        return _ONE
    return _TWO if one.sum == one.min + one.max else _ALL


def _take_histograms(columns: _Reader, wanted: Collection[int] | None) -> dict[int, Value]:
    ids = columns.ids()
    size = len(ids)
    counts = columns.integers(size)
    scales = columns.signed(size)
    zeros = columns.integers(size)
    modes = columns.integers(size)
    lows = columns.take(size)
    highs, sums = iter(columns.take()), iter(columns.take())
    keep = [wanted is None or series in wanted for series in ids]
    positive, negative = _take_buckets(columns, keep), _take_buckets(columns, keep)
    values: dict[int, Value] = {}
    for place, series in enumerate(ids):
        low, mode = lows[place], modes[place]
        high = low if mode == _ONE else next(highs)
        total = next(sums) if mode == _ALL else low + high if mode == _TWO else low
        if not keep[place]:
            continue
        one = Histogram.__new__(Histogram)  # every attribute is set below; `__init__` takes time
        one.count, one.scale, one.zero = counts[place], scales[place], zeros[place]
        one.sum, one.min, one.max = total, low, high
        one.buckets, one.negative = positive[place], negative[place]
        values[series] = one
    return values


def _take_buckets(columns: _Reader, keep: Sequence[bool]) -> list[dict[int, int]]:
    sizes = columns.integers(len(keep))
    firsts = iter(columns.signed())
    steps, counts = columns.integers(), columns.integers(sum(sizes))
    tables: list[dict[int, int]] = []
    at = step_at = 0
    for size, kept in zip(sizes, keep, strict=True):
        give_way()
        if not size:
            tables.append({})
            continue
        first = next(firsts)
        if kept:
            indexes = accumulate(steps[step_at : step_at + size - 1], initial=first)
            tables.append(dict(zip(indexes, counts[at : at + size], strict=True)))
        else:
            tables.append({})
        at += size
        step_at += size - 1
    return tables
