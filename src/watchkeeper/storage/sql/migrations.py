"""Numbered steps from one schema to the next, each taken once, under a lock."""

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, inspect, select, update

from watchkeeper.exceptions import SchemaError
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.names import actual
from watchkeeper.storage.sql.schema import meta
from watchkeeper.storage.sql.steps import STEPS, Step

SCHEMA: Final = "schema"  # the key in wk_meta
INSTALLED_AT: Final = "installed_at"
STEP_TIMEOUT_S: Final = 60  # for the lock and for each statement of a step


def migrate(database: Database, steps: Sequence[Step] = STEPS) -> int:
    """Take the steps that are missing, in one transaction; return the schema's version.

    On MariaDB each change is a transaction of its own, so steps can be taken again: they make
    their changes through `Dialect.change`.

    Raises SchemaError if the tables are newer than the last step.
    """
    newest = steps[-1].number
    if _version_at_a_glance(database, newest):
        return newest
    with (
        database.write() as connection,
        database.dialect.alone(
            connection, limit_s=STEP_TIMEOUT_S, usual_s=database.statement_timeout_s
        ),
    ):
        found = version(connection)
        require_known(found, newest)
        take(database, connection, steps, found=found)
    return newest


def take(database: Database, connection: Connection, steps: Sequence[Step], *, found: int) -> None:
    """Take the steps behind schema `found`, and record how far they have come."""
    if found == 0:
        steps[0].run(database, connection)
        found = steps[-1].number if steps is STEPS else steps[0].number
        _record(database, connection, found)
    for step in steps:
        if step.number > found:
            step.run(database, connection)
            _record(database, connection, step.number)


def require_known(found: int, newest: int) -> None:
    """Raise SchemaError if the tables are newer than this version."""
    if found > newest:
        raise SchemaError(
            f"tables are schema {found}, this version knows {newest}. "
            "Upgrade watchkeeper in this process. Read-only until then."
        )


def _version_at_a_glance(database: Database, newest: int) -> bool:
    """Tell whether nothing is to do, without a lock that would make writers wait."""
    with database.read() as connection:
        found = version(connection)
    require_known(found, newest)
    return found == newest


def version(connection: Connection) -> int:
    """Return the version of the tables' schema, 0 if there are none."""
    if not inspect(connection).has_table(actual(connection, meta.name)):
        return 0
    # Read the schema's version.
    statement = select(meta.c.value).where(meta.c.name == SCHEMA)
    return int(connection.execute(statement).scalar() or 0)


def _record(database: Database, connection: Connection, version: int) -> None:
    insert = database.dialect.insert_new(meta)
    connection.execute(insert, {"name": INSTALLED_AT, "value": str(time.time())})
    connection.execute(insert, {"name": SCHEMA, "value": "0"})
    # Record how far the steps have come.
    connection.execute(update(meta).where(meta.c.name == SCHEMA).values(value=str(version)))
