"""What the parts of the SQL store share: the database, and the series known by id."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, CursorResult, select, update

from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.slot import Frame, Value
from watchkeeper.exceptions import CollisionError, StorageError
from watchkeeper.storage.lately import Lately
from watchkeeper.storage.rows import MAX_NAME, SEEN_LAG_S, cut, digest
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.schema import DAY_S, series

MAX_CACHED_SERIES: Final = 50_000  # about 20 MB; beyond it those longest unused are forgotten
PART_OF_DAY_S: Final = 600  # an id is looked up again once a day, not all of them at once
PARTS_OF_DAY: Final = DAY_S // PART_OF_DAY_S
SEEN_S: Final = DAY_S // 2  # how exactly "last seen" of a series is kept when it is looked up
MAX_TRIES: Final = 5  # to find rows, while others delete them
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
    """Series and their ids, each asked of the database once a day.

    A row of a series goes once nothing names it any more and `seen_at` is long past. So whoever
    writes looks each row up again within a day and moves its `seen_at` on: `seen_at` is never more
    than `SEEN_LAG_S` behind the start of anything that names the series.
    """

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._ids: Lately[Series, int] = Lately(MAX_CACHED_SERIES)
        self._series: Lately[int, Series] = Lately(MAX_CACHED_SERIES)
        self._turn = 0  # of the day's parts, up to which ids are looked up anew

    def forget(self) -> None:
        """Start anew: the tables may be others now."""
        self._ids.clear()
        self._series.clear()

    def numbered(self, frames: Sequence[Frame], *, at: int) -> list[dict[int, Value]]:
        """Return each frame's values by series id, giving new ids to series never seen.

        In transactions of its own that end first: an id that is remembered is in the table.
        """
        at = max([at, *(each.key.start for each in frames)])
        self._expire(at // PART_OF_DAY_S)
        # One look-up per value: hashing a series is what this costs.
        known = self._ids.young
        done = [{known.get(one): value for one, value in each.values.items()} for each in frames]
        if not any(None in each for each in done):
            return cast("list[dict[int, Value]]", done)
        wanted = {one for each in frames for one in each.values}
        found = {one: number for one in wanted if (number := self._ids.get(one)) is not None}
        for some in chunks([one for one in wanted if one not in found]):
            found.update(self._resolve(some, at=at))
        return [{found[one]: value for one, value in each.values.items()} for each in frames]

    def series(self, connection: Connection, ids: Collection[int]) -> Mapping[int, Series]:
        """Return the series of ids; those that are in the table no more are left out."""
        known = self._series.get
        found = {one: name for one in ids if (name := known(one)) is not None}
        missing = sorted(one for one in ids if one not in found)
        for some in chunks(missing):
            # Read series by their ids.
            statement = select(series).where(series.c.id.in_(some))
            for row in connection.execute(statement):
                found[row.id] = _series(row)
                self._series.put(row.id, found[row.id])
        return found

    def perhaps_of(self, metrics: Collection[str]) -> Collection[int]:
        """Return what holds the ids of some metrics' series, and those it does not know yet."""
        return _Perhaps(self._series, frozenset(metrics))

    def of_metrics(
        self, connection: Connection, metrics: Collection[str] | None, *, since: float
    ) -> Mapping[int, Series]:
        """Return the series of some metrics, of all if None, that anything from `since` on names.

        And some that were seen shortly before.
        """
        # Read the ids of a few metrics' series, as far as they were in use since.
        seen_since = int(max(since, 0.0)) - SEEN_LAG_S
        statement = select(series.c.id).where(series.c.seen_at >= seen_since)
        if metrics is not None:
            statement = statement.where(series.c.metric.in_([*metrics]))
        return self.series(connection, connection.execute(statement).scalars().all())

    def _expire(self, turn: int) -> None:
        """Forget each id once a day, some in each part of the day."""
        passed = turn - self._turn
        if -PARTS_OF_DAY < passed <= 0:
            return
        self._turn = turn
        if 0 < passed < PARTS_OF_DAY:
            self._ids.drop(lambda number: (turn - number) % PARTS_OF_DAY < passed)
        else:
            self._ids.clear()

    def _resolve(self, missing: Sequence[Series], *, at: int) -> dict[Series, int]:
        """Find the ids of series whose rows are there to stay, adding those that are not there."""
        by_hash = {_hash(one): one for one in missing}
        # Read the ids of all of them, whoever took them up.
        read = select(series.c.id, series.c.key_hash, series.c.seen_at).where(
            series.c.key_hash.in_(list(by_hash))
        )
        for _ in range(MAX_TRIES):
            with self._database.read() as connection:
                rows = connection.execute(read).all()
            found = {row.key_hash: row.id for row in rows}
            unseen = sorted(row.id for row in rows if row.seen_at < at - SEEN_S)
            # In order of the hash: two workers that start together must not wait for each other.
            new = [_row(by_hash[one], one, at=at) for one in sorted(by_hash) if one not in found]
            if not new and not unseen:
                for key_hash, number in found.items():
                    self._ids.put(by_hash[key_hash], number)
                    self._series.put(number, by_hash[key_hash])
                return {by_hash[key_hash]: number for key_hash, number in found.items()}
            self._take_up(new, unseen, at=at)
        raise CollisionError("rows of series went while they were looked up")

    def _take_up(
        self, new: Sequence[dict[str, object]], unseen: Sequence[int], *, at: int
    ) -> None:
        with self._database.write() as connection:
            if new:
                # Take up series that are new; those that exist stay.
                connection.execute(self._database.dialect.insert_new(series), new)
            if unseen:
                # Move "last seen" on. Whoever deletes such rows looks at it again.
                moved = update(series).where(series.c.id.in_(unseen), series.c.seen_at < at)
                connection.execute(moved.values(seen_at=at))


@dataclass(frozen=True, slots=True)
class _Perhaps(Collection[int]):
    """The ids of some metrics' series, and those that nobody has asked for yet."""

    known: Lately[int, Series]
    metrics: frozenset[str]

    def __contains__(self, number: object) -> bool:
        one = self.known.get(number)  # type: ignore[arg-type]  # whatever is asked for
        return one is None or one.metric in self.metrics

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


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
