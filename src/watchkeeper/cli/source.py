"""Which database and settings a verb works on: found as the application finds them."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from watchkeeper.exceptions import (
    ConfigurationError,
    StorageError,
    UpgradeNeededError,
    WatchkeeperError,
)
from watchkeeper.runtime.upgrades import upgrade_needed
from watchkeeper.settings import Loaded, Origin, Settings, load
from watchkeeper.storage import Store, open_store

PROBE_S: Final = 300
SLOTS_S: Final = (10, 1, 2, 5, 15, 20, 30, 60)
NOT_MADE_YET: Final = (
    "there is no database {path} yet; the application makes it when it first runs. "
    "If it lies elsewhere, say so: --db, WATCHKEEPER_DATABASE_URL or watchkeeper.toml"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The settings to work with, and where the database's address came from."""

    settings: Settings
    loaded: Loaded  # the same settings, with what else is known of them
    database_from: str


def with_source(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add the options that say which database and application are meant; pass `source` instead."""

    @wraps(command)
    def found(
        *,
        db: str | None,
        app: str | None,
        service: str | None,
        environment: str | None,
        **others: Any,
    ) -> int | None:
        source = find_source(db=db, app=app, service=service, environment=environment)
        return command(source=source, **others)

    for option in (
        click.option("--environment", metavar="NAME", help="The deployment, such as staging."),
        click.option("--service", metavar="NAME", help="The name of the application."),
        click.option(
            "--app",
            metavar="MODULE",
            help="Import this module (shop.main or shop.main:app) for the settings in its code.",
        ),
        click.option("--db", metavar="URL", help="The database: a file, or a URL."),
    ):
        found = option(found)
    return found


def find_source(
    *, db: str | None, app: str | None, service: str | None, environment: str | None
) -> Source:
    """Put the settings together as the application does; the options win over everything.

    Raises ConfigurationError for a module that cannot be imported and for wrong options.
    """
    loaded = _from_app(app) if app else load()
    given: dict[str, Any] = {
        "database_url": db,
        "service": service,
        "environment": environment,
    }
    if any(not given.get(name) for name in loaded.lost):
        raise ConfigurationError(loaded.obstacle)
    settings = replace(
        loaded.settings, **{name: value for name, value in given.items() if value is not None}
    )
    return Source(
        settings=settings,
        loaded=replace(loaded, settings=settings),
        database_from=_origin(loaded, db=db, app=app),
    )


def open_existing(settings: Settings) -> Store:
    """Open the database that is there already; nothing is made.

    Raises StorageError if there is none or if its tables are older than this version,
    ConfigurationError if the address makes no sense. Newer tables are read as far as they can be,
    and a line on standard error says so.
    """
    store = open_untouched(settings)
    try:
        _look_at_schema(store)
    except WatchkeeperError:
        store.close()
        raise
    return store


def open_untouched(settings: Settings) -> Store:
    """Open the database that is there already, whatever its tables are like."""
    path = sqlite_file(settings)
    if path is not None and not path.is_file():
        raise StorageError(NOT_MADE_YET.format(path=path))
    return open_any(settings)


def open_any(settings: Settings) -> Store:
    """Open the database of the settings; a SQLite file is made when it is first used."""
    url = settings.database_url
    if isinstance(url, str) and url.startswith("memory:"):
        raise ConfigurationError(
            "database_url: memory:// is gone with its process; there is nothing to look into"
        )
    return open_store(
        url,
        statement_timeout_s=settings.seconds("statement_timeout"),
        prefix=settings.table_prefix,
        schema=settings.database_schema,
    )


def slot_length(store: Store, settings: Settings, *, now: float) -> int:
    """Return the length of the slots that are written, which the code may have set.

    With nothing written lately it is what the settings say.
    """
    for slot_s in dict.fromkeys((settings.slot_s, *SLOTS_S)):
        if store.frames(
            slot_s,
            since=now - PROBE_S,
            until=now,
            service=settings.service,
            environment=settings.environment,
            metrics=(),
        ):
            return slot_s
    return settings.slot_s


def sqlite_file(settings: Settings) -> Path | None:
    """Return the file that the settings name, or None for a server."""
    url = settings.database_url
    return sqlite_path(url if isinstance(url, str) else str(url.url))


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite address, or None for any other database."""
    if "://" not in url:
        return Path(url)
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        return None
    return Path(rest.partition("?")[0].removeprefix("/"))


def _look_at_schema(store: Store) -> None:
    schema = store.schema()
    if schema.found < schema.known:
        raise UpgradeNeededError(upgrade_needed(schema))
    if schema.found > schema.known:
        click.echo(
            f"watchkeeper: tables are schema {schema.found}, this version knows {schema.known}. "
            "What it does not know is not shown. Upgrade watchkeeper here.",
            err=True,
        )


def _from_app(name: str) -> Loaded:
    """Import an application for what its code sets, without starting to watch it."""
    from watchkeeper.app import current

    os.environ["WATCHKEEPER_ENABLED"] = "0"
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        import_module(name.partition(":")[0])
    except ImportError as error:
        raise ConfigurationError(f"--app {name}: cannot be imported ({error})") from error
    made = current()
    if made is None:
        raise ConfigurationError(f"--app {name}: nothing in it calls watchkeeper.watch")
    return made.loaded


def _origin(loaded: Loaded, *, db: str | None, app: str | None) -> str:
    if db is not None:
        return "--db"
    named = {
        Origin.CODE: f"the code of {app}",
        Origin.ENVIRONMENT: "WATCHKEEPER_DATABASE_URL",
        Origin.FILE: loaded.file.name if loaded.file else "a file",
        Origin.DEFAULT: "the default",
    }
    return named[loaded.origins["database_url"]]
