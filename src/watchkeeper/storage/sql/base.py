"""What the parts of the SQL store share: the database, and the series known by id."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, cast

from sqlalchemy import Connection, CursorResult, select

from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.slot import Frame, Value
from watchkeeper.exceptions import StorageError
from watchkeeper.storage.rows import MAX_NAME, cut, digest
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.schema import series

MAX_CACHED_SERIES: Final = 50_000  # about 20 MB; beyond it the cache starts anew
CHUNK: Final = 200  # keys per statement: below every database's limit of parameters


class Part:
    """One part of the store, over a database that all parts share."""

    def __init__(self, database: Database) -> None:
        """Use a database; nothing is opened yet."""
        self._database = database
        self._series = SeriesIds(database)
        self._resolutions: set[int] = set()  # those written here, for the partitions ahead
        self.damaged_frames = 0


class SeriesIds:
    """Series and their ids, each asked of the database once."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._lock = Lock()
        self._ids: dict[Series, int] = {}
        self._series: dict[int, Series] = {}

    def forget(self) -> None:
        """Start anew: the tables may be others now."""
        self._ids, self._series = {}, {}

    def numbered(self, frames: Sequence[Frame], *, at: int) -> list[dict[int, Value]]:
        """Return each frame's values by series id, giving new ids to series never seen.

        In a transaction of its own that ends first: an id that is remembered is in the table.
        """
        # One look-up per value: hashing a series is what this costs.
        known = self._ids
        done = [{known.get(one): value for one, value in each.values.items()} for each in frames]
        if not any(None in each for each in done):
            return cast("list[dict[int, Value]]", done)
        # Others may make the cache start anew meanwhile: what is found is held on to.
        wanted = {one for each in frames for one in each.values}
        found = {one: number for one in wanted if (number := known.get(one)) is not None}
        for some in chunks([one for one in wanted if one not in found]):
            found.update(self._resolve(some, at=at))
        return [{found[one]: value for one, value in each.values.items()} for each in frames]

    def series(self, connection: Connection, ids: Collection[int]) -> Mapping[int, Series]:
        """Return the series of ids; those that are in the table no more are left out."""
        known = self._series
        found = {one: known[one] for one in ids if one in known}
        missing = sorted(one for one in ids if one not in found)
        for start in range(0, len(missing), CHUNK):
            # Read series by their ids.
            statement = select(series).where(series.c.id.in_(missing[start : start + CHUNK]))
            for row in connection.execute(statement):
                found[row.id] = _series(row)
                self._remember(found[row.id], row.id)
        return found

    def of_metrics(
        self, connection: Connection, metrics: Collection[str] | None
    ) -> Mapping[int, Series]:
        """Return all series of some metrics, of all unless None."""
        # Read the ids of a few metrics' series.
        statement = select(series.c.id)
        if metrics is not None:
            statement = statement.where(series.c.metric.in_([*metrics]))
        return self.series(connection, connection.execute(statement).scalars().all())

    def _resolve(self, missing: Sequence[Series], *, at: int) -> dict[Series, int]:
        by_hash = {_hash(one): one for one in missing}
        # Take up series that are new; those that exist stay.
        new = self._database.dialect.insert_new(series)
        # Read the ids of all of them, whoever took them up.
        read = select(series.c.id, series.c.key_hash).where(series.c.key_hash.in_(list(by_hash)))
        with self._database.write() as connection:
            # In order of the hash: two workers that start together must not wait for each other.
            connection.execute(new, [_row(by_hash[one], one, at=at) for one in sorted(by_hash)])
            ids = {by_hash[row.key_hash]: row.id for row in connection.execute(read)}
        for one, known in ids.items():
            self._remember(one, known)
        return ids

    def _remember(self, one: Series, known: int) -> None:
        with self._lock:
            if len(self._series) >= MAX_CACHED_SERIES:
                self.forget()
            self._ids[one] = known
            self._series[known] = one


def chunks(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut a sequence into pieces that one statement takes."""
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def new_id(result: CursorResult[Any]) -> int:
    """Return the id that the database gave to an inserted row."""
    key = result.inserted_primary_key
    if key is None:
        raise StorageError("the database gave no id to a new row")
    return int(key[0])


def _hash(one: Series) -> str:
    return digest(one.metric, one.kind.value, one.across.value, _labels(one))


def _labels(one: Series) -> str:
    return json.dumps(one.labels, separators=(",", ":"))  # ASCII: any text survives any database


def _row(one: Series, key_hash: str, *, at: int) -> dict[str, object]:
    return {
        "key_hash": key_hash,
        "metric": cut(one.metric, MAX_NAME),
        "kind": one.kind.value,
        "across": one.across.value,
        "labels": _labels(one),
        "first_at": at,
        "seen_at": at,
    }


def _series(row: Any) -> Series:
    labels = tuple((name, value) for name, value in json.loads(row.labels))
    return Series(row.metric, Kind(row.kind), labels, Across(row.across))
