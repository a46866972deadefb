"""Hours sealed in a SQL database: minute frames become rows and chunks, and go."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
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

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import frame as packed
from watchkeeper.storage import rows
from watchkeeper.storage.frame import DamagedFrameError
from watchkeeper.storage.hour import (
    CHUNK_VERSION,
    HOUR_VERSION,
    pack_histogram,
)
from watchkeeper.storage.hours import SealedHour, StoredHour, Unsealed
from watchkeeper.storage.sql.base import chunks
from watchkeeper.storage.sql.frames import DAMAGED, one_of
from watchkeeper.storage.sql.hours import HOUR, SqlHours
from watchkeeper.storage.sql.schema import chunk, frame, hour, meta

MAX_KEYS: Final = 1_000  # minute frames looked for at once: 16 hours, or one with many late parts
SHARE_BYTES: Final = 200_000  # of packed frames per share: about 20 MB of histograms

_KEY: Final = (frame.c.start, frame.c.worker, frame.c.sequence)


class SqlSealing(SqlHours):
    """The part of the SQL store that seals hours and lets them go."""

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
        names = {number: one for one, number in self._ids(series, start).items()}
        stored: dict[Series, StoredHour] = {}
        with self._database.read() as connection:
            minutes: dict[int, bytes] | None = None
            for some in chunks(sorted(names)):
                # Read the rows of an hour that are there already: none, unless frames came late.
                statement = select(*HOUR).where(hour.c.start == start, hour.c.series.in_(some))
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
        ids = self._ids([one.series for one in hours], start)
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
