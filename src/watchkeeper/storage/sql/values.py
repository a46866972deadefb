"""Values of the store's own, by compare-and-set, in a SQL database."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, update

from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.schema import meta
from watchkeeper.storage.values import Swap

_KEY: Final[Any] = bindparam("key")
_OLD: Final[Any] = bindparam("old")

# Change a value that is still what it was.
_CHANGE: Final = (
    update(meta).where(meta.c.name == _KEY, meta.c.value == _OLD).values(value=bindparam("new"))
)
# Delete a value that is still what it was.
_DELETE: Final = delete(meta).where(meta.c.name == _KEY, meta.c.value == _OLD)


class SqlValues(Part):
    """The values' part of the SQL store."""

    def values(self, prefix: str) -> dict[str, str]:
        """Read the values of every key that begins so."""
        # Read values by the beginning of their names.
        statement = select(meta).where(meta.c.name.startswith(prefix, autoescape=True))
        with self._database.read() as connection:
            found = connection.execute(statement).all()
        # LIKE does not tell upper from lower case in SQLite.
        return {row.name: row.value for row in found if row.name.startswith(prefix)}

    def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
        """Change values that are still what they were; return the keys whose change was made."""
        with self._database.write() as connection:
            # In the order of keys, so that two transactions never wait for each other.
            ordered = sorted(swaps, key=lambda swap: swap.key)
            return {swap.key for swap in ordered if self._swap_value(connection, swap)}

    def _swap_value(self, connection: Connection, swap: Swap) -> bool:
        if swap.old is None:
            if swap.new is None:
                return False
            new = self._database.dialect.insert_new(meta)
            return connection.execute(new, {"name": swap.key, "value": swap.new}).rowcount == 1
        given = {"key": swap.key, "old": swap.old}
        if swap.new is None:
            return connection.execute(_DELETE, given).rowcount == 1
        return connection.execute(_CHANGE, {**given, "new": swap.new}).rowcount == 1
