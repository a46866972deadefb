"""Hours and their chunks in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.hours import HOUR_S, MINUTE_S, finite
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.storage import rows
from watchkeeper.storage.hour import unpack_minutes
from watchkeeper.storage.hours import HourRow, HourTotal, SealedHour, StoredHour, Unsealed
from watchkeeper.storage.memory.tables import Tables, drop, put

MAX_CHUNKS: Final = 10_000  # of some kB each


class MemoryHours(Tables):
    """Hours and their chunks in memory."""

    __slots__ = ()

    def unsealed(self, *, before: float, limit: int) -> list[Unsealed]:
        """List hours that ended at or before `before` and have minutes to seal."""
        with self._lock:
            keys = sorted(
                key
                for key, stored in self._frames.items()
                if key.resolution == MINUTE_S
                and slot_start(key.start, HOUR_S) + HOUR_S <= before
                and not stored.rolled
            )
        return rows.by_hour(keys)[:limit]

    def unsealed_frames(self, hour: Unsealed, share: int) -> list[Frame]:
        """Read the frames of an hour, whose series are all in one share."""
        with self._lock:
            found = [self._frames[key].frame for key in hour.keys if key in self._frames]
        return found if share == 0 else []

    def stored_hour(
        self, start: int, series: Collection[Series]
    ) -> Mapping[Series, StoredHour] | None:
        """Read what is stored of an hour."""
        with self._lock:
            found = {one: self._hours.get((start, one)) for one in series}
            chunks = {one: self._chunks.get((start, one)) for one in series}
        return {
            one: StoredHour(
                revision=row.revision,
                hour=row.hour,
                minutes=None if (chunk := chunks[one]) is None else unpack_minutes(chunk),
            )
            for one, row in found.items()
            if row is not None
        }

    def seal(self, start: int, hours: Sequence[SealedHour], sources: Collection[FrameKey]) -> bool:
        """Write an hour's rows and chunks and mark its minute frames, or change nothing."""
        with self._lock:
            marked = [self._frames.get(key) for key in set(sources)]
            if any(stored is None or stored.rolled for stored in marked):
                return False
            now = {one.series: self._hours.get((start, one.series)) for one in hours}
            if any(
                (row.revision if (row := now[one.series]) else 0) != one.revision for one in hours
            ):
                return False
            for stored in marked:
                if stored is not None:
                    stored.rolled = True
            for one in hours:
                row = replace(one, chunk=b"", revision=one.revision + 1)
                put(self._hours, (start, one.series), row)
                put(self._chunks, (start, one.series), one.chunk, most=MAX_CHUNKS)
            return True

    def sealed_hours(
        self, *, since: float, until: float, service: str, environment: str
    ) -> dict[int, int]:
        """List the sealed hours of a scope: start → how many of its minutes are there."""
        found = self._rows(since, until, service, environment, [SELF_UP.name])
        return {row.start: row.hour.count for row in found}

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
        found = self._rows(since, until, service, environment, metrics)
        wanted = None if series is None else set(series)
        return [row for row in found if wanted is None or row.series in wanted]

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
        for row in self._rows(since, until, service, environment, metrics):
            before = totals.get(row.series, HourTotal(count=0, sum=0.0))
            totals[row.series] = HourTotal(
                count=before.count + row.hour.count, sum=finite(before.sum + row.hour.sum)
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
        with self._lock:
            found = [
                (one, chunk)
                for (hour, one), chunk in self._chunks.items()
                if hour == start and rows.is_wanted(one, service, environment, metrics)
            ]
        return rows.minute_frames(start, ((one, unpack_minutes(chunk)) for one, chunk in found))

    def prune_sealed(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` minute frames that are sealed and start before."""
        with self._lock:
            old = [
                key
                for key, stored in self._frames.items()
                if key.resolution == MINUTE_S and key.start < before and stored.rolled
            ]
            return drop(self._frames, sorted(old)[:limit])

    def prune_chunks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` chunks of hours that start before."""
        with self._lock:
            return drop(self._chunks, [key for key in self._chunks if key[0] < before][:limit])

    def prune_hours(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` rows of hours that start before."""
        with self._lock:
            return drop(self._hours, [key for key in self._hours if key[0] < before][:limit])

    def _rows(
        self,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None,
    ) -> list[HourRow]:
        with self._lock:
            found = [
                HourRow(series=series, start=start, hour=row.hour)
                for (start, series), row in self._hours.items()
                if since <= start < until and rows.is_wanted(series, service, environment, metrics)
            ]
        return sorted(found, key=lambda row: row.start)
