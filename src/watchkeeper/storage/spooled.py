"""The packed form of a batch in a spool: a frame's payload, and the rest as JSON.

Series are told once per spool, by the first batch that holds them; so batches are unpacked in the
order in which they were packed.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from watchkeeper.core.metrics import Across, Kind, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import frame as packed
from watchkeeper.storage.records import (
    Batch,
    CheckChange,
    CheckResult,
    Event,
    IssueCount,
    Sample,
    Statement,
)

MAX_PLAIN_BYTES: Final = 128_000_000  # the rest of a batch: 1,000 events of 64 kB come near
_SIZE: Final = 4  # bytes that tell how long the JSON is
_FAST: Final = 1  # of zlib: there is little time when a process stops
_ROWS: Final[Mapping[str, type]] = {
    "issues": IssueCount,
    "events": Event,
    "checks": CheckResult,
    "check_changes": CheckChange,
    "samples": Sample,
    "statements": Statement,
}
_TUPLES: Final = ("aliases", "callers", "users")  # JSON knows lists only


class DamagedBatchError(ValueError):
    """A packed batch is damaged, or holds what this version does not know."""


class Packer:
    """Packs the batches of one spool, one after the other."""

    def __init__(self) -> None:
        """Know no series yet."""
        self._numbers: dict[Series, int] = {}

    def pack(self, batch: Batch) -> bytes:
        """Pack one batch; `Unpacker` gives back exactly this."""
        new: list[Sequence[Any]] = []
        values = {}
        for series, value in batch.frame.values.items():
            number = self._numbers.get(series)
            if number is None:
                number = self._numbers[series] = len(self._numbers)
                new.append((series.metric, series.kind, series.across, series.labels))
            values[number] = value
        key, scope = batch.frame.key, batch.scope
        rest = {
            "key": (key.resolution, key.start, key.worker, key.sequence),
            "scope": (scope.service, scope.environment, scope.release),
            "at": batch.at,
            "series": new,
            **{name: [_plain(row) for row in getattr(batch, name)] for name in _ROWS},
        }
        told = zlib.compress(json.dumps(rest, separators=(",", ":")).encode(), _FAST)
        return len(told).to_bytes(_SIZE, "little") + told + packed.encode(values)


class Unpacker:
    """Unpacks the batches of one spool, in the order in which they were packed."""

    def __init__(self) -> None:
        """Know no series yet."""
        self._series: list[Series] = []

    def unpack(self, data: bytes) -> Batch:
        """Give back one batch. Raises DamagedBatchError."""
        try:
            end = _SIZE + int.from_bytes(data[:_SIZE], "little")
            rest = json.loads(_inflated(data[_SIZE:end]))
            service, environment, release = rest["scope"]
            self._series += [_series(*one) for one in rest["series"]]
            values = packed.decode(data[end:])
            return Batch(
                scope=Scope(service=service, environment=environment, release=release),
                frame=Frame(
                    key=FrameKey(*rest["key"]),
                    values={self._series[number]: value for number, value in values.items()},
                ),
                at=rest["at"],
                **{name: [_row(kind, row) for row in rest[name]] for name, kind in _ROWS.items()},
            )
        except (zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
            raise DamagedBatchError(f"a slot of the spool cannot be read: {error}") from error


def _series(metric: str, kind: str, across: str, labels: Sequence[Sequence[str]]) -> Series:
    pairs = tuple((name, text) for name, text in labels)
    return Series(metric, Kind(kind), pairs, Across(across))


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    plain = stream.decompress(data, MAX_PLAIN_BYTES)
    if not stream.eof:
        raise DamagedBatchError("it ends too early")
    return plain


def _plain(row: Any) -> dict[str, Any]:
    return {one.name: getattr(row, one.name) for one in fields(row)}


def _row(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(
        **{name: tuple(value) if name in _TUPLES else value for name, value in values.items()}
    )
