"""Hours and their chunks in a SQL database."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.hours import HOUR_S, MINUTE_S, Hour, Minutes, finite
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import frame as packed
from watchkeeper.storage import rows
from watchkeeper.storage.frame import DamagedFrameError
from watchkeeper.storage.hour import (
    CHUNK_VERSION,
    HOUR_VERSION,
    pack_histogram,
    unpack_histogram,
    unpack_minutes,
)
from watchkeeper.storage.hours import HourRow, HourTotal, SealedHour, StoredHour, Unsealed
from watchkeeper.storage.sql.base import chunks
from watchkeeper.storage.sql.frames import DAMAGED, SqlFrames, one_of
from watchkeeper.storage.sql.schema import chunk, frame, hour, meta
from watchkeeper.storage.turns import give_way

MAX_KEYS: Final = 1_000  # minute frames looked for at once: 16 hours, or one with many late parts
SHARE_BYTES: Final = 200_000  # of packed frames per share: about 20 MB of histograms
MAX_IDS: Final = 2_000  # series per statement that reads; more are read in several
FEW_IDS: Final = 50  # series of which each hour is looked up; of more the hours are walked through
FETCHED: Final = 20  # rows between two looks whether others want their turn: 0.3 ms
MAX_STARTS: Final = 1_000  # hours that are looked up in one statement: six weeks
# A server takes it for an error if a sum is no number any more. A power of two changes no digit;
# of the hours of a year each series has less.
_SHARE: Final = 2.0**-14

_KEY: Final = (frame.c.start, frame.c.worker, frame.c.sequence)
_HOUR: Final = (
    hour.c.start,
    hour.c.series,
    hour.c["count"].label("observed"),  # `count` is a method of a row
    hour.c.sum,
    hour.c.min,
    hour.c.max,
    hour.c.last,
    hour.c.revision,
    hour.c.format,
    hour.c.histogram,
)


class SqlHours(SqlFrames):
    """The hours' part of the SQL store, above that of the frames."""

    def unsealed(self, *, before: float, limit: int) -> list[Unsealed]:
        """List hours that ended at or before `before` and have minutes to seal."""
        # Find the minutes that wait; a newer process' frames wait for one that knows their format.
        waiting = (
            select(*_KEY)
            .where(
                frame.c.resolution == MINUTE_S,
                frame.c.start < before,
                frame.c.rolled == 0,
                frame.c.part == 0,
                frame.c.format <= packed.VERSION,
            )
            .order_by(*_KEY)
            .limit(MAX_KEYS)
        )
        with self._database.read() as connection:
            keys = [FrameKey(MINUTE_S, *row) for row in connection.execute(waiting)]
            found = [one for one in rows.by_hour(keys) if one.start + HOUR_S <= before]
            if len(keys) == MAX_KEYS and len(found) > 1:
                found.pop()  # it may go on behind the limit: rather seal it at once than twice
            return [
                replace(one, shares=1 + self._bytes(connection, one.keys) // SHARE_BYTES)
                for one in found[:limit]
            ]

    def unsealed_frames(self, hour: Unsealed, share: int) -> list[Frame]:
        """Read one share of the series of an hour's minute frames; damaged ones are marked."""
        wanted = _Share(share, hour.shares)
        damaged: list[FrameKey] = []
        frames = []
        with self._database.read() as connection:
            for key, payload in self._payloads(connection, hour.keys):
                try:
                    values = packed.decode(payload, wanted)
                except DamagedFrameError:
                    damaged.append(key)
                else:
                    frames.append(Frame(key=key, values=self._named(connection, values, None)))
        if damaged and share == 0:
            self.damaged_frames += len(damaged)
            with self._database.write() as connection:
                self._mark(connection, damaged, DAMAGED)
        return frames

    def stored_hour(
        self, start: int, series: Collection[Series]
    ) -> Mapping[Series, StoredHour] | None:
        """Read what is stored of an hour; None if a newer version wrote what cannot be read."""
        names = {number: one for one, number in self._ids(series).items()}
        stored: dict[Series, StoredHour] = {}
        with self._database.read() as connection:
            minutes: dict[int, bytes] | None = None
            for some in chunks(sorted(names)):
                # Read the rows of an hour that are there already: none, unless frames came late.
                statement = select(*_HOUR).where(hour.c.start == start, hour.c.series.in_(some))
                for row in connection.execute(statement):
                    if row.format > HOUR_VERSION:
                        return None
                    if minutes is None:
                        minutes = self._chunks(connection, start, sorted(names))
                        if minutes is None:
                            return None
                    stored[names[row.series]] = StoredHour(
                        revision=row.revision,
                        hour=self._hour(row),
                        minutes=self._minutes(minutes.get(row.series)),
                    )
        return stored

    def seal(self, start: int, hours: Sequence[SealedHour], sources: Collection[FrameKey]) -> bool:
        """Write an hour's rows and chunks and mark its minute frames, or change nothing."""
        ids = self._ids([one.series for one in hours])
        seen = {ids[one.series]: one.revision for one in hours}
        values = [_hour_values(start, ids[one.series], one) for one in hours]
        part_bytes = self._database.dialect.part_bytes
        parts = [
            part
            for one in hours
            for part in _chunk_values(start, ids[one.series], one, part_bytes=part_bytes)
        ]
        wanted = sorted(set(sources))
        # One at a time: this row is the lock that keeps two from writing the same hour.
        serialise = update(meta).where(meta.c.name == "schema").values(value=meta.c.value)
        with self._database.write() as connection:
            connection.execute(serialise)
            if (
                self._mark(connection, wanted, 1) != len(wanted)
                or self._revisions(connection, start, seen) != seen
            ):
                connection.rollback()
                return False
            for some in chunks(sorted(one for one, revision in seen.items() if revision)):
                # Make way for the new chunks of series that have some.
                connection.execute(
                    delete(chunk).where(chunk.c.hour == start, chunk.c.series.in_(some))
                )
            upsert = self._database.dialect.upsert(hour)
            for some_values in chunks(values):
                connection.execute(upsert, some_values)
            for some_parts in chunks(parts):
                # Add chunks.
                connection.execute(insert(chunk), some_parts)
        return True

    def sealed_hours(
        self, *, since: float, until: float, service: str, environment: str
    ) -> dict[int, int]:
        """List the sealed hours of a scope: start → how many of its minutes are there."""
        with self._database.read() as connection:
            names = self._wanted(connection, service, environment, [SELF_UP.name])
            # Read of which hours there are rows: a look-up of one series in each.
            statement = (
                select(hour.c.start, hour.c["count"].label("minutes"))
                .where(hour.c.start.in_(_starts(since, until)), hour.c.series.in_(list(names)))
                .order_by(hour.c.start)
            )
            return {row.start: row.minutes for row in connection.execute(statement)}

    def hours(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
        series: Collection[Series] | None = None,
    ) -> list[HourRow]:
        """Read the rows of hours that start in [since, until), oldest first."""
        found: list[HourRow] = []
        with self._database.read() as connection:
            names = self._wanted(connection, service, environment, metrics)
            if series is not None:
                chosen = set(series)
                names = {number: one for number, one in names.items() if one in chosen}
            for some in _pieces(names):
                # Read the hours of series.
                statement = (
                    select(*_HOUR)
                    .where(*_within(since, until, ids=len(some)), hour.c.series.in_(some))
                    .order_by(hour.c.start)
                )
                for fetched in connection.execute(statement).partitions(FETCHED):
                    give_way()
                    for row in fetched:
                        one = self._hour(row)
                        if one is not None:
                            start, number = row[:2]
                            found.append(HourRow(series=names[number], start=start, hour=one))
        return found if len(names) <= MAX_IDS else sorted(found, key=lambda one: one.start)

    def hour_totals(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
    ) -> dict[Series, HourTotal]:
        """Add up the rows of hours that start in [since, until), each series for itself."""
        totals: dict[Series, HourTotal] = {}
        with self._database.read() as connection:
            names = self._wanted(connection, service, environment, metrics)
            for some in _pieces(names):
                # Add up the hours of series.
                statement = (
                    select(
                        hour.c.series,
                        func.sum(hour.c["count"]).label("observed"),
                        func.sum(hour.c.sum * _SHARE).label("share"),
                    )
                    .where(hour.c.start >= since, hour.c.start < until, hour.c.series.in_(some))
                    .group_by(hour.c.series)
                )
                for row in connection.execute(statement):
                    totals[names[row.series]] = HourTotal(
                        count=int(row.observed), sum=finite(float(row.share) / _SHARE)
                    )
        return totals

    def minutes(
        self,
        start: int,
        *,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the minutes of a sealed hour as minute frames."""
        with self._database.read() as connection:
            names = self._wanted(connection, service, environment, metrics)
            found = self._chunks(connection, start, list(names), newer=False) or {}
        read = ((names[number], self._minutes(found[number])) for number in found)
        return rows.minute_frames(start, ((one, each) for one, each in read if each is not None))

    def prune_sealed(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` minute frames that are sealed and start before."""
        # The oldest minutes whose hour is sealed.
        old = (
            select(*_KEY)
            .where(
                frame.c.resolution == MINUTE_S,
                frame.c.start < before,
                frame.c.rolled == 1,
                frame.c.part == 0,
            )
            .order_by(*_KEY)
            .limit(limit)
        )
        return self._delete_frames(MINUTE_S, old)

    def prune_chunks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` parts of chunks of hours that start before."""
        key = (chunk.c.hour, chunk.c.series, chunk.c.part)
        # The oldest chunks past their time.
        old = select(*key).where(chunk.c.hour < before).order_by(*key).limit(limit)
        return self._delete(chunk, old)

    def prune_hours(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` rows of hours that start before."""
        key = (hour.c.start, hour.c.series)
        # The oldest hours past their time.
        old = select(*key).where(hour.c.start < before).order_by(*key).limit(limit)
        return self._delete(hour, old)

    def _delete(self, table: Table, old: Select[Any]) -> int:
        with self._database.write() as connection:
            keys = [tuple(row) for row in connection.execute(old)]
            for some in chunks(keys):
                # Delete rows by their key, which the first column alone finds in the index.
                first = {key[0] for key in some}
                columns = tuple(table.primary_key.columns)
                connection.execute(
                    delete(table).where(columns[0].in_(first), tuple_(*columns).in_(some))
                )
        return len(keys)

    def _ids(self, series: Collection[Series]) -> dict[Series, int]:
        """Return the ids of series, giving new ones to those never seen."""
        ordered = list(series)
        places = {one: float(place) for place, one in enumerate(ordered)}
        one = Frame(key=FrameKey(HOUR_S, 0, 0, 0), values=places)
        (numbered,) = self._series.numbered([one], at=int(time.time()))
        return dict(zip(ordered, numbered, strict=True))

    def _wanted(
        self,
        connection: Connection,
        service: str,
        environment: str,
        metrics: Collection[str] | None,
    ) -> dict[int, Series]:
        found = self._series.of_metrics(connection, metrics)
        return {
            number: one
            for number, one in found.items()
            if rows.is_wanted(one, service, environment, None)
        }

    def _bytes(self, connection: Connection, keys: Sequence[FrameKey]) -> int:
        size = 0
        for some in chunks(keys):
            # Add up how large the frames are.
            statement = select(func.sum(func.length(frame.c.payload))).where(one_of(some))
            size += int(connection.execute(statement).scalar() or 0)
        return size

    def _revisions(
        self, connection: Connection, start: int, ids: Collection[int]
    ) -> dict[int, int]:
        """Return how often each series' row of an hour was written, 0 where there is none."""
        found = dict.fromkeys(ids, 0)
        for some in chunks(sorted(ids)):
            # Read how far the rows of an hour are.
            statement = select(hour.c.series, hour.c.revision).where(
                hour.c.start == start, hour.c.series.in_(some)
            )
            found.update((row.series, row.revision) for row in connection.execute(statement))
        return found

    def _chunks(
        self, connection: Connection, start: int, ids: Sequence[int], *, newer: bool = True
    ) -> dict[int, bytes] | None:
        """Read the packed chunks of an hour by series; None if one is of a newer version.

        Without `newer` such a one is read like any other.
        """
        parts: dict[int, list[bytes]] = defaultdict(list)
        for some in _pieces(ids):
            # Read the chunks of series, part by part.
            statement = (
                select(chunk.c.series, chunk.c.format, chunk.c.payload)
                .where(chunk.c.hour == start, chunk.c.series.in_(some))
                .order_by(chunk.c.hour, chunk.c.series, chunk.c.part)
            )
            for row in connection.execute(statement):
                if newer and row.format > CHUNK_VERSION:
                    return None
                parts[row.series].append(row.payload)
        return {number: b"".join(some) for number, some in parts.items()}

    def _minutes(self, payload: bytes | None) -> Minutes | None:
        if payload is None:
            return None
        try:
            return unpack_minutes(payload)
        except DamagedFrameError:
            self.damaged_frames += 1
            return None

    def _hour(self, row: Any) -> Hour | None:
        """Read a row; None where its histogram is damaged or of an unknown version."""
        # Taken apart at once: to ask for each column by name takes longer than to unpack them all.
        _, _, count, total, low, high, last, _, _, packed_histogram = row
        histogram = None
        if packed_histogram is not None:
            try:
                histogram = unpack_histogram(packed_histogram, total=total, low=low, high=high)
            except DamagedFrameError:
                self.damaged_frames += 1
                return None
        return Hour(count=count, sum=total, min=low, max=high, last=last, histogram=histogram)


@dataclass(frozen=True, slots=True)
class _Share(Collection[int]):
    """The ids of one share of all series."""

    share: int
    shares: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number % self.shares == self.share

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


def _hour_values(start: int, number: int, one: SealedHour) -> dict[str, object]:
    found = one.hour
    return {
        "start": start,
        "series": number,
        "count": found.count,
        "sum": found.sum,
        "min": found.min,
        "max": found.max,
        "p50": found.quantile(0.5),
        "p95": found.quantile(0.95),
        "p99": found.quantile(0.99),
        "last": found.last,
        "revision": one.revision + 1,
        "format": HOUR_VERSION,
        "histogram": None if found.histogram is None else pack_histogram(found.histogram),
    }


def _chunk_values(
    start: int, number: int, one: SealedHour, *, part_bytes: int
) -> Iterable[dict[str, object]]:
    for place, part in enumerate(packed.split(one.chunk, part_bytes=part_bytes)):
        yield {
            "hour": start,
            "series": number,
            "part": place,
            "format": CHUNK_VERSION,
            "payload": part,
        }


def _within(since: float, until: float, *, ids: int) -> list[ColumnElement[bool]]:
    """Choose hours: by looking each up where there are few series, else by walking through."""
    if ids <= FEW_IDS and until - since <= MAX_STARTS * HOUR_S:
        return [hour.c.start.in_(_starts(since, until))]
    return [hour.c.start >= since, hour.c.start < until]


def _starts(since: float, until: float) -> list[int]:
    return list(range(ceil(since / HOUR_S) * HOUR_S, ceil(until), HOUR_S))


def _pieces(ids: Collection[int]) -> Iterable[Sequence[int]]:
    ordered = sorted(ids)
    return (ordered[start : start + MAX_IDS] for start in range(0, len(ordered), MAX_IDS))
