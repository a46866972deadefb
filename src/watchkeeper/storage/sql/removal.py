"""The schema as a whole, and our tables taken away again."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, inspect
from sqlalchemy.schema import DropTable

from watchkeeper.storage.sql import partitions
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.migrations import STEP_TIMEOUT_S, require_known
from watchkeeper.storage.sql.names import actual
from watchkeeper.storage.sql.schema import metadata
from watchkeeper.storage.sql.script import is_new, missing_statements, schema_of
from watchkeeper.storage.upkeep import OwnTable, Schema

COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(column.name for column in table.columns)
    for name, table in metadata.tables.items()
}


class SqlRemoval(Part):
    """The part of the SQL store that looks after the tables as a whole."""

    def schema(self) -> Schema:
        """Tell of which schema the tables are; nothing is made."""
        return schema_of(self._database)

    def missing_sql(self) -> list[str]:
        """Return the statements that would bring the schema up to date; nothing is executed."""
        return missing_statements(self._database)

    def tables(self) -> list[OwnTable]:
        """List the tables that are ours, by name."""
        if is_new(self._database):
            return []
        with self._database.read() as connection:
            return [
                OwnTable(name=actual(connection, name), partitions=self._days(connection, name))
                for name in self._ours(connection)
            ]

    def remove(self) -> list[OwnTable]:
        """Drop exactly the tables that `tables` lists, and return them.

        All or none, but for MariaDB, where each is a transaction of its own. Raises SchemaError
        if the tables are newer than this version, which does not know them all.
        """
        schema, database = self.schema(), self._database
        require_known(schema.found, schema.known)
        found = self.tables()
        if not found:
            return []
        with (
            database.write() as connection,
            database.dialect.alone(
                connection, limit_s=STEP_TIMEOUT_S, usual_s=database.statement_timeout_s
            ),
        ):
            # The one that tells the schema goes last: what broke in its midst can be begun anew.
            for name in sorted(self._ours(connection), key=lambda name: name == "wk_meta"):
                connection.execute(DropTable(metadata.tables[name]))
        self._series.forget()
        return found

    def _ours(self, connection: Connection) -> list[str]:
        """Return the tables that are there and have no column that ours never had."""
        found = inspect(connection)
        there = set(found.get_table_names())
        return [
            name
            for name in sorted(metadata.tables)
            if actual(connection, name) in there
            and _columns(found.get_columns(actual(connection, name))) <= COLUMNS[name]
        ]

    def _days(self, connection: Connection, name: str) -> int:
        by_day = self._database.dialect.partitions and name in partitions.TABLES
        return partitions.count(connection, name) if by_day else 0


def _columns(described: Collection[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(str(column["name"]) for column in described)
