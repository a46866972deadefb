"""The built-in check of migrations: whether Django's or Alembic's are all applied."""

import os
from typing import TYPE_CHECKING, Any, Final, Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import said
from watchkeeper.runtime.builtin.options import CheckFailedError, Common, made, text
from watchkeeper.runtime.builtin.sql import Asking
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection, Engine

MAX_NAMED: Final = 3  # migrations in a text


def migrations_check(
    *,
    django: str | None = None,
    alembic: str | None = None,
    url: "str | URL | Engine | Any" = None,
    version_table: str = "alembic_version",
    **common: Unpack[Common],
) -> Check:
    """Return a check that fails while migrations of the code are not applied.

    `django` is the alias of a database, "default"; `alembic` the path of an alembic.ini, with the
    `url` of its database unless the file has it. Raises ConfigurationError.
    """
    if (django is None) is (alembic is None):
        raise ConfigurationError(
            'django: give one of them; write django = "default" or alembic = "alembic.ini"'
        )
    if url is not None and django is not None:
        raise ConfigurationError("url: Django knows its own; take it out")
    alias = "" if django is None else text(django, "django", example='"default"')
    table = text(version_table, "version_table", example='"alembic_version"')
    file = "" if alembic is None else text(alembic, "alembic", example='"alembic.ini"')

    database = [] if url is None else [Asking(url)]  # else that of the file, at the first run

    def look(deadline: float) -> Any:
        if alias:
            return _django(alias)
        config, scripts = _scripts(file)
        if not database:
            database.append(_database_of(config, file))
        return database[0].ask(lambda one: _compared(one, scripts, table), deadline=deadline)

    return made(
        look,
        common,
        name="migrations",
        every="5m",
        timeout="30s",
        critical=False,
        component="datastore",
    )


def _django(alias: str) -> Observed:
    from django.db import connections  # type: ignore[import-untyped]
    from django.db.migrations.executor import (  # type: ignore[import-untyped]
        MigrationExecutor,
    )
    from django.utils.connection import (  # type: ignore[import-untyped]
        ConnectionDoesNotExist,
    )

    try:
        connection = connections[alias].copy()
    except ConnectionDoesNotExist:
        raise CheckFailedError(f"Django has no database {alias!r}") from None
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
    return _judged([f"{one.app_label}.{one.name}" for one, _ in plan])


def _scripts(file: str) -> "tuple[Config, ScriptDirectory]":
    """Read the revisions that the code has."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    if not os.path.exists(file):
        raise CheckFailedError(f"{file} is not there")
    config = Config(file)
    try:
        return config, ScriptDirectory.from_config(config)
    except CommandError as error:
        raise CheckFailedError(said(error)) from None


def _database_of(config: "Config", file: str) -> Asking:
    url = config.get_main_option("sqlalchemy.url")
    if not url:
        raise CheckFailedError(f"{file} has no sqlalchemy.url; write url = … in the check")
    return Asking(url)


def _compared(connection: "Connection", scripts: "ScriptDirectory", table: str) -> Observed:
    """Compare the revisions of the code with those in the database."""
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"version_table": table})
    known = [script.revision for script in scripts.walk_revisions()]  # the newest first
    heads = context.get_current_heads()
    if not set(heads) <= set(known):
        return Observed(
            value=0,
            unit="migrations",
            text="the database is at a revision that this code does not have",
            state=CheckState.WARN,
        )
    applied = {one.revision for one in scripts.iterate_revisions(heads, "base")} if heads else ()
    return _judged([one for one in reversed(known) if one not in applied])


def _judged(missing: list[str]) -> Observed:
    """Judge by the migrations that are not applied, in their order."""
    if not missing:
        return Observed(value=0, unit="migrations")
    names = ", ".join(missing[:MAX_NAMED]) + (" …" if len(missing) > MAX_NAMED else "")
    return Observed(
        value=len(missing),
        unit="migrations",
        text=f"{len(missing)} not applied: {names}",
        state=CheckState.FAIL,
    )
