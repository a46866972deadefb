"""Leases, tokens, values and the state of the database."""

import os
import shutil
import time
from pathlib import Path
from typing import Final

from sqlalchemy import delete, insert, select, update

from watchkeeper.core.budget import Room
from watchkeeper.storage.rows import MAX_NAME, cut
from watchkeeper.storage.sql import partitions, sizes, standing
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.faults import place
from watchkeeper.storage.sql.migrations import migrate
from watchkeeper.storage.sql.names import actual
from watchkeeper.storage.sql.schema import lease, meta, metadata, token
from watchkeeper.storage.store import Lease, TableSize

VACUUM_PAGES: Final = 100  # given back to the disk per round: 1.6 MB, some 10 ms (bench/retention)


class SqlAdmin(Part):
    """The admin's part of the SQL store."""

    def migrate(self) -> int:
        """Bring the schema up to date under a lock; return its version; SchemaError if newer."""
        version = migrate(self._database)
        self._series.forget()
        return version

    def acquire(self, name: str, *, owner: str, ttl_s: float) -> Lease | None:
        """Take or renew a lease by compare-and-set on the database's clock; None: it is held."""
        dialect = self._database.dialect
        take, make = standing.take_lease(dialect), standing.make_lease(dialect)
        wish = {"wanted": name, "me": cut(owner, MAX_NAME), "ttl_s": ttl_s}
        if not dialect.server:
            wish["moment"] = time.time()
        with self._database.write() as connection:
            if not (
                connection.execute(take, wish).rowcount or connection.execute(make, wish).rowcount
            ):
                return None
            held = connection.execute(standing.HELD, {"name": name}).one()
        return Lease(name=name, token=held.token, until=held.until)

    def release(self, name: str, *, owner: str) -> None:
        """Give a lease back early."""
        # End our lease; the row stays, so that the token keeps growing.
        statement = (
            update(lease)
            .where(lease.c.name == name, lease.c.owner == cut(owner, MAX_NAME))
            .values(until=0.0)
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def database_time(self) -> float | None:
        """Return what the server's clock shows; None for a file."""
        dialect = self._database.dialect
        if not dialect.server:
            return None
        # Ask the server for the moment.
        statement = select(dialect.clock(0.0))
        with self._database.read() as connection:
            return float(connection.execute(statement).scalar_one())

    def meta(self, key: str) -> str | None:
        """Read one value of the store's own."""
        # Read a value by its name.
        statement = select(meta.c.value).where(meta.c.name == key)
        with self._database.read() as connection:
            return connection.execute(statement).scalar()

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        """Write a value (with `only_new`: unless there is one) and return what is stored now."""
        dialect = self._database.dialect
        # Write a value under its name.
        statement = dialect.insert_new(meta) if only_new else dialect.upsert(meta)
        with self._database.write() as connection:
            connection.execute(statement, {"name": key, "value": value})
            stored: str = connection.execute(
                select(meta.c.value).where(meta.c.name == key)
            ).scalar_one()
            return stored

    def add_token(self, digest: str, *, purpose: str, expires_at: float) -> None:
        """Store the hash of a one-time token."""
        # Tokens that ended long ago make way: the table never grows.
        expired = delete(token).where(token.c.expires_at < time.time() - 86_400)
        with self._database.write() as connection:
            connection.execute(expired)
            connection.execute(
                insert(token), {"digest": digest, "purpose": purpose, "expires_at": expires_at}
            )

    def use_token(self, digest: str, *, purpose: str, at: float) -> bool:
        """Consume a one-time token: True for the first use before its end, False ever after."""
        # Delete the token if it is still good: one row gone means that it was ours to use.
        statement = delete(token).where(
            token.c.digest == digest, token.c.purpose == purpose, token.c.expires_at > at
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def prepare(self, *, at: float) -> bool:
        """Make the coming days' partitions; on SQLite give a little free room back.

        Returns whether there is more to give back.
        """
        if self._database.dialect.partitions:
            resolutions = {*partitions.RESOLUTIONS, *self._resolutions}
            with self._database.write() as connection:
                partitions.limit_lock_wait(connection)
                partitions.create(connection, partitions.wanted(at, resolutions))
        elif not self._database.dialect.server:
            return self._database.give_back(VACUUM_PAGES)
        return False

    def size_bytes(self) -> int:
        """Return how much room Watchkeeper's tables take, indexes included."""
        if not self._database.dialect.server:
            path = Path(self._database.url.database or "")
            return sum(
                os.stat(f"{path}{end}").st_size
                for end in ("", "-wal")
                if os.path.exists(f"{path}{end}")
            )
        with self._database.read() as connection:
            names = [actual(connection, name) for name in metadata.tables]
            statement, values = self._database.dialect.size(names)
            size = connection.execute(statement, values).scalar_one()
        return int(size)

    def room(self) -> Room:
        """Return how much room is taken, and how much a SQLite file's disk has left."""
        if self._database.dialect.server:
            with self._database.read() as connection:
                found = sizes.allocated(connection, self._database.dialect)
            return Room(
                stored_bytes=sum(one.bytes for one in found.values()),
                free_bytes=sum(one.free_bytes for one in found.values()),
            )
        with self._database.read() as connection:
            stored, free = sizes.of_file(connection)
            if self._database.is_shared:
                found = sizes.allocated(connection, self._database.dialect)
                stored = free + sum(one.bytes for one in found.values())
        disk = shutil.disk_usage(Path(self._database.url.database or "").absolute().parent)
        return Room(
            stored_bytes=stored,
            free_bytes=free,
            disk_bytes=disk.total,
            disk_free_bytes=disk.free,
        )

    def table_sizes(self) -> list[TableSize]:
        """Measure each table, the largest first."""
        with self._database.read() as connection:
            return sizes.table_sizes(connection, self._database.dialect)

    def description(self) -> str:
        """Name the store in a few words without secrets: "sqlite watchkeeper.db"."""
        name = self._database.dialect.name
        if self._database.dialect.server:
            return f"{name} {place(self._database.url)}"
        return f"{name} {Path(self._database.url.database or '').name}"

    def close(self) -> None:
        """Close every connection; the store opens new ones if it is used again."""
        self._database.close()

    def forget_connections(self) -> None:
        """Leave the connections to the parent process, after a fork."""
        self._database.forget_connections()
