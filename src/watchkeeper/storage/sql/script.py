"""The statements of the steps that are missing, for a person to run: nothing is executed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, Select, TextClause
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.dml import UpdateBase

from watchkeeper.storage.sql import names
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.migrations import require_known, take, version
from watchkeeper.storage.sql.steps import STEPS
from watchkeeper.storage.upkeep import Schema

_READS: Final = ("SELECT", "SHOW")


def schema_of(database: Database) -> Schema:
    """Tell of which schema the tables are; a SQLite file that is not there is not made."""
    newest = STEPS[-1].number
    if is_new(database):
        return Schema(found=0, known=newest)
    with database.read() as connection:
        return Schema(found=version(connection), known=newest)


def missing_statements(database: Database) -> list[str]:
    """Return the statements that bring the schema up to date; SchemaError if it is newer."""
    new, schema = is_new(database), schema_of(database)
    require_known(schema.found, schema.known)
    if schema.found == schema.known:
        return []
    script = Script(database)
    take(database, cast("Connection", script), STEPS, found=schema.found)
    return database.dialect.script(script.statements, schema=database.schema, new=new)


def is_new(database: Database) -> bool:
    """Tell whether the database is a file that is not there yet."""
    return not database.dialect.server and not Path(database.url.database or "").exists()


class Script(MockConnection):
    """What a step takes for a connection: it writes down what would be executed.

    A step that reads finds nothing: what our steps look for are the rows and the days of tables
    that they have just made.
    """

    def __init__(self, database: Database) -> None:
        """Write for one database, with its prefix."""
        super().__init__(database.url.get_dialect()(), self._write)
        self.statements: list[str] = []
        self._prefix = database.prefix

    def exec_driver_sql(self, statement: str) -> "Nothing":
        """Write down a statement that a step spells out."""
        if not statement.lstrip().startswith(_READS):
            lines = (line.rstrip() for line in statement.strip().splitlines())
            self.statements.append(names.renamed_text("\n".join(lines), self._prefix))
        return Nothing()

    def get_execution_options(self) -> Mapping[str, Any]:
        """Return what tells the prefix."""
        return names.options(self._prefix)

    def _write(self, statement: Any, parameters: Any = None) -> "Nothing":
        if isinstance(statement, Select | TextClause):
            return Nothing()
        options = {}
        if isinstance(statement, UpdateBase):
            statement = statement.values(**parameters) if parameters else statement  # type: ignore[attr-defined]
            options = {"compile_kwargs": {"literal_binds": True}}
        return self.exec_driver_sql(str(statement.compile(dialect=self.dialect, **options)))


class Nothing:
    """The result of a statement that was not executed."""

    def scalars(self) -> Iterator[Any]:
        """Give no value."""
        return iter(())

    def first(self) -> None:
        """Give no row."""
