"""Workers and their frames in a SQL database."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.storage import frame as packed
from watchkeeper.storage import rows
from watchkeeper.storage.records import MAX_PAST_WORKERS
from watchkeeper.storage.rows import MAX_NAME, cut
from watchkeeper.storage.sql import partitions, standing
from watchkeeper.storage.sql.base import Part, chunks, new_id
from watchkeeper.storage.sql.releases import add_mark
from watchkeeper.storage.sql.schema import frame, meta, series, worker
from watchkeeper.storage.sql.unused import is_unused
from watchkeeper.storage.sql.workers import crowds
from watchkeeper.storage.store import Worker

MAX_LATE_PARTS: Final = 1_000  # rows of one rolled-up slot: each late arrival makes one more
DAMAGED: Final = 2  # in `rolled`: never to be read again by a roll-up

_KEY: Final = (frame.c.start, frame.c.worker, frame.c.sequence)


class SqlFrames(Part):
    """The frames' part of the SQL store."""

    def register(self, scope: Scope, *, host: str, pid: int, at: float) -> Worker:
        """Add a worker: a new id, and the smallest number free among the live ones."""
        scope = rows.cut_scope(scope)
        # One at a time: this row is the lock that keeps two from taking the same number.
        serialise = update(meta).where(meta.c.name == "schema").values(value=meta.c.value)
        with self._database.write() as connection:
            connection.execute(serialise)
            place = {"service": scope.service, "environment": scope.environment}
            live_since = {**place, "seen_since": at - rows.WORKER_LIVE_S}
            taken = set(connection.execute(standing.NUMBERS, live_since).scalars())
            new = Worker(
                id=0,
                number=rows.smallest_free(taken),
                scope=scope,
                host=cut(host, MAX_NAME),
                pid=pid,
                started_at=at,
                seen_at=at,
            )
            # Add the worker; the database gives the id.
            added = connection.execute(
                insert(worker).values(
                    service=scope.service,
                    environment=scope.environment,
                    release=scope.release,
                    host=new.host,
                    number=new.number,
                    pid=pid,
                    started_at=at,
                    seen_at=at,
                )
            )
            if (mark := rows.first_mark(new)) is not None:
                add_mark(connection, self._database.dialect, mark)
            return replace(new, id=new_id(added))

    def stop_worker(self, worker_id: int, *, at: float) -> None:
        """Mark a worker as cleanly stopped."""
        # Mark one worker.
        statement = update(worker).where(worker.c.id == worker_id).values(stopped_at=at)
        with self._database.write() as connection:
            connection.execute(statement)

    def workers(self, *, service: str, environment: str, seen_since: float) -> list[Worker]:
        """List the workers of a scope that wrote since, newest heartbeat first."""
        scope = Scope(service=service, environment=environment)
        with self._database.read() as connection:
            return self._workers(connection, scope, since=seen_since)

    def _workers(self, connection: Connection, scope: Scope, *, since: float) -> list[Worker]:
        wanted = {"service": scope.service, "environment": scope.environment, "seen_since": since}
        return [_worker(row) for row in connection.execute(standing.WORKERS, wanted)]

    def frames(
        self,
        resolution: int,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        skip: Collection[FrameKey] = (),
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the scope's frames whose slot starts in [since, until), oldest first."""
        skipped = {
            (key.start, key.worker, key.sequence) for key in skip if key.resolution == resolution
        }
        place = {
            "resolution": resolution,
            "since": since,
            "until": until,
            "service": service,
            "environment": environment,
        }
        with self._database.read() as connection:
            own = {
                FrameKey(resolution, start, number, sequence): known is not None
                for start, number, sequence, known in connection.execute(
                    standing.FRAME_KEYS, place
                )
                if (start, number, sequence) not in skipped
            }
            if not own:
                return []
            read = self._read(connection, list(own), metrics, damaged=[])
        frames = (
            one if own[one.key] else rows.narrowed(one, scope=(service, environment), metrics=None)
            for one in read
        )
        return [one for one in frames if one is not None]

    def rolled_until(self, resolution: int, *, since: float) -> float:
        """Return the end of the newest frame of this resolution from `since` on, or `since`."""
        # Look at the end of the index.
        statement = select(func.max(frame.c.start)).where(
            frame.c.resolution == resolution, frame.c.start >= since
        )
        with self._database.read() as connection:
            newest = connection.execute(statement).scalar()
        return since if newest is None else float(newest + resolution)

    def unrolled(self, resolution: int, *, before: float, limit: int) -> list[Frame]:
        """Read frames that ended at or before `before` and are in no coarser frame yet."""
        wanted = {"resolution": resolution, "newest": before - resolution, "most": limit + 1}
        damaged: list[FrameKey] = []
        with self._database.read() as connection:
            found_keys = connection.execute(standing.UNROLLED, wanted)
            keys = [FrameKey(resolution, *row) for row in found_keys]
            keys = list(rows.whole_minutes(keys, limit=limit))
            found = self._read(connection, keys, None, damaged=damaged)
        if damaged:
            # Nobody will ever read them: they must not stand before those that come after.
            with self._database.write() as connection:
                self._mark(connection, damaged, DAMAGED)
            if not found:
                return self.unrolled(resolution, before=before, limit=limit)
        return found

    def write_rollup(self, rolled: Sequence[Frame], sources: Collection[FrameKey]) -> bool:
        """Write coarser frames and mark their sources, or change nothing and return False."""
        numbered = self._numbered(rolled)
        wanted = set(sources)
        with self._database.write() as connection:
            if self._mark(connection, sorted(wanted), 1) != len(wanted):
                connection.rollback()
                return False
            for one, values in zip(rolled, numbered, strict=True):
                self._append(connection, one.key, values)
        return True

    def add_frames(self, frames: Sequence[Frame]) -> None:
        """Write ready-made frames without a worker's heartbeat; a key that exists stays."""
        numbered = self._numbered(frames)
        with self._database.write() as connection:
            for one, values in zip(frames, numbered, strict=True):
                self._insert(connection, one.key, packed.encode(values))

    def prune_frames(self, resolution: int, *, before: float, limit: int) -> int:
        """Delete up to `limit` frames that start before; whole days at once on PostgreSQL."""
        dropped = 0
        if self._database.dialect.partitions:
            with self._database.write() as connection:
                partitions.limit_lock_wait(connection)
                dropped = partitions.drop_before(
                    connection, "wk_frame", resolution=resolution, before=before
                )
        # The oldest frames past their time.
        old = (
            select(*_KEY)
            .where(frame.c.resolution == resolution, frame.c.start < before, frame.c.part == 0)
            .order_by(*_KEY)
            .limit(limit)
        )
        return dropped + self._delete_frames(resolution, old)

    def prune_workers(self, *, before: float, limit: int, most: int = MAX_PAST_WORKERS) -> int:
        """Delete up to `limit` workers last seen before, or past and not among the newest."""
        with self._database.write() as connection:
            # Workers long gone.
            gone = self._delete_workers(connection, worker.c.seen_at < before, limit)
            for crowd in crowds(connection, most=most):
                if gone >= limit:
                    break
                gone += self._delete_workers(connection, crowd, limit - gone)
        return gone

    def prune_series(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` series last seen before, unless something may name them still."""
        with self._database.write() as connection:
            unused = is_unused(connection, before=before)
            # Series that nothing names any more, longest unseen first.
            old = select(series.c.id).where(unused).order_by(series.c.seen_at).limit(limit)
            ids = sorted(connection.execute(old).scalars())
            gone = 0
            for some in chunks(ids):
                # Delete series, unless somebody who needs them has moved "last seen" on by now.
                done = connection.execute(delete(series).where(series.c.id.in_(some), unused))
                gone += done.rowcount
        return gone

    def _delete_workers(
        self, connection: Connection, which: ColumnElement[bool], limit: int
    ) -> int:
        # Delete some workers, whichever they are.
        chosen = select(worker.c.id).where(which).limit(limit)
        return connection.execute(self._database.dialect.delete_chosen(worker, chosen)).rowcount

    def _delete_frames(self, resolution: int, old: Select[Any]) -> int:
        with self._database.write() as connection:
            keys = [FrameKey(resolution, *row) for row in connection.execute(old)]
            for some in chunks(keys):
                # Delete frames with all their parts.
                connection.execute(delete(frame).where(one_of(some)))
        return len(keys)

    def _numbered(self, frames: Sequence[Frame]) -> list[dict[int, Value]]:
        return self._series.numbered(frames, at=int(time.time()))

    def _insert(self, connection: Connection, key: FrameKey, payload: bytes) -> bool:
        """Insert a frame unless its key exists; tell whether it was new."""
        self._resolutions.add(key.resolution)
        first, *rest = (
            {
                "resolution": key.resolution,
                "start": key.start,
                "worker": key.worker,
                "sequence": key.sequence,
                "part": number,
                "rolled": 0,
                "format": packed.VERSION,
                "payload": part,
            }
            for number, part in enumerate(
                packed.split(payload, part_bytes=self._database.dialect.part_bytes)
            )
        )
        # The first part decides whether the frame is new.
        statement = standing.insert_new(self._database.dialect, frame)
        if not connection.execute(statement, first).rowcount:
            return False
        if rest:
            connection.execute(statement, rest)
        return True

    def _append(self, connection: Connection, key: FrameKey, values: Mapping[int, Value]) -> None:
        """Insert a frame under the next free sequence of its slot."""
        # Find the last row of the slot.
        last = select(func.max(frame.c.sequence)).where(
            frame.c.resolution == key.resolution,
            frame.c.start == key.start,
            frame.c.worker == key.worker,
        )
        found = connection.execute(last).scalar()
        first = key.sequence if found is None else max(found + 1, key.sequence)
        payload = packed.encode(values)
        for sequence in range(first, first + MAX_LATE_PARTS):
            if self._insert(connection, replace(key, sequence=sequence), payload):
                return

    def _mark(self, connection: Connection, keys: Sequence[FrameKey], mark: int) -> int:
        marked = 0
        for some in chunks(keys):
            # Mark frames that nobody has marked; the count tells whether all were free.
            statement = (
                update(frame)
                .where(one_of(some), frame.c.part == 0, frame.c.rolled == 0)
                .values(rolled=mark)
            )
            marked += connection.execute(statement).rowcount
        return marked

    def _read(
        self,
        connection: Connection,
        keys: Sequence[FrameKey],
        metrics: Collection[str] | None,
        *,
        damaged: list[FrameKey],
    ) -> list[Frame]:
        """Read and unpack the payloads of keys; unreadable ones land in `damaged`."""
        frames: list[Frame] = []
        wanted = None if metrics is None else self._series.perhaps_of(metrics)
        for key, payload in self._payloads(connection, keys):
            try:
                values = packed.decode(payload, wanted)
            except packed.DamagedFrameError:
                self.damaged_frames += 1
                damaged.append(key)
            else:
                frames.append(Frame(key=key, values=self._named(connection, values, metrics)))
        return frames

    def _payloads(
        self, connection: Connection, keys: Sequence[FrameKey]
    ) -> Iterator[tuple[FrameKey, bytes]]:
        for some in chunks(keys):
            # Fetch payloads by key; the start comes first, for the index.
            statement = (
                select(frame.c.resolution, *_KEY, frame.c.payload)
                .where(one_of(some))
                .order_by(*_KEY, frame.c.part)
            )
            payloads: dict[FrameKey, list[bytes]] = defaultdict(list)
            for row in connection.execute(statement):
                key = FrameKey(row.resolution, row.start, row.worker, row.sequence)
                payloads[key].append(row.payload)
            for key, parts in payloads.items():
                yield key, b"".join(parts)

    def _named(
        self,
        connection: Connection,
        values: Mapping[int, Value],
        metrics: Collection[str] | None,
    ) -> dict[Series, Value]:
        names = self._series.series(connection, values.keys())
        return {
            names[one]: value
            for one, value in values.items()
            if one in names and (metrics is None or names[one].metric in metrics)
        }


def one_of(keys: Sequence[FrameKey]) -> ColumnElement[bool]:
    """Choose the rows of frames, all their parts; the start comes first, for the index."""
    return and_(
        frame.c.resolution.in_({key.resolution for key in keys}),
        frame.c.start.in_(sorted({key.start for key in keys})),
        tuple_(*_KEY).in_([(key.start, key.worker, key.sequence) for key in keys]),
    )


def _worker(row: Any) -> Worker:
    return Worker(
        id=row.id,
        number=row.number,
        scope=Scope(service=row.service, environment=row.environment, release=row.release),
        host=row.host,
        pid=row.pid,
        started_at=row.started_at,
        seen_at=row.seen_at,
        stopped_at=row.stopped_at,
    )
