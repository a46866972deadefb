"""Hours and their minutes, read from a SQL database."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from math import ceil
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    func,
    select,
)

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.hours import HOUR_S, Hour, Minutes, finite
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import rows
from watchkeeper.storage.frame import DamagedFrameError
from watchkeeper.storage.hour import (
    CHUNK_VERSION,
    unpack_histogram,
    unpack_minutes,
)
from watchkeeper.storage.hours import HourRow, HourTotal
from watchkeeper.storage.sql.frames import SqlFrames
from watchkeeper.storage.sql.schema import chunk, hour
from watchkeeper.storage.turns import give_way

MAX_IDS: Final = 2_000  # series per statement that reads; more are read in several
FEW_IDS: Final = 50  # series of which each hour is looked up; of more the hours are walked through
FETCHED: Final = 20  # rows between two looks whether others want their turn: 0.3 ms
MAX_STARTS: Final = 1_000  # hours that are looked up in one statement: six weeks
# A server takes it for an error if a sum is no number any more. A power of two changes no digit;
# of the hours of a year each series has less.
_SHARE: Final = 2.0**-14

HOUR: Final = (
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
    """The hours' part of the SQL store that reads, above that of the frames."""

    def sealed_hours(
        self, *, since: float, until: float, service: str, environment: str
    ) -> dict[int, int]:
        """List the sealed hours of a scope: start → how many of its minutes are there."""
        with self._database.read() as connection:
            names = self._wanted(connection, service, environment, [SELF_UP.name], since)
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
            names = self._wanted(connection, service, environment, metrics, since)
            if series is not None:
                chosen = set(series)
                names = {number: one for number, one in names.items() if one in chosen}
            for some in _pieces(names):
                # Read the hours of series.
                statement = (
                    select(*HOUR)
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
            names = self._wanted(connection, service, environment, metrics, since)
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
            names = self._wanted(connection, service, environment, metrics, start)
            found = self._chunks(connection, start, list(names), newer=False) or {}
        read = ((names[number], self._minutes(found[number])) for number in found)
        return rows.minute_frames(start, ((one, each) for one, each in read if each is not None))

    def _ids(self, series: Collection[Series], start: int) -> dict[Series, int]:
        """Return the ids of the series of an hour, giving new ones to those never seen."""
        ordered = list(series)
        places = {one: float(place) for place, one in enumerate(ordered)}
        one = Frame(key=FrameKey(HOUR_S, start, 0, 0), values=places)
        (numbered,) = self._series.numbered([one], at=int(time.time()))
        return dict(zip(ordered, numbered, strict=True))

    def _wanted(
        self,
        connection: Connection,
        service: str,
        environment: str,
        metrics: Collection[str] | None,
        since: float,
    ) -> dict[int, Series]:
        found = self._series.of_metrics(connection, metrics, since=since)
        return {
            number: one
            for number, one in found.items()
            if rows.is_wanted(one, service, environment, None)
        }

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
