"""The built-in health checks, which settings or code ask for by name: the database."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.checks import DECLARED, Check, make_check

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

DATABASE_TIMEOUT: Final = "2s"
CONNECT_TIMEOUT_S: Final = 2
KEYS: Final = frozenset({"type", "url", "every", "timeout", "critical", "readiness"})

# How each driver is told to give up connecting; without it a thread hangs for minutes.
_TIMEOUT_ARGUMENT: Final[Mapping[str, str]] = {
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
    "pysqlite": "timeout",
    "pg8000": "timeout",
    "asyncpg": "timeout",
    "aiomysql": "connect_timeout",
    "aiosqlite": "timeout",
}


def database_check(
    url_or_engine: "str | URL | Engine | Any",
    *,
    name: str = "database",
    every: str = "30s",
    timeout: str = DATABASE_TIMEOUT,
    critical: bool = True,
    readiness: bool = False,
) -> Check:
    """Return a check that asks the host's own database for `SELECT 1`.

    Takes a URL of SQLAlchemy, an Engine or an AsyncEngine. Every run opens a connection of its own
    and closes it, so the host's pool is never used. Raises ConfigurationError for a wrong URL.
    """
    return make_check(
        name,
        _Database(url_or_engine),
        every=every,
        timeout=timeout,
        critical=critical,
        readiness=readiness,
        component="datastore",
    )


def open_check(name: str, options: Mapping[str, Any], *, where: str) -> Check:
    """Return the built-in check that a table of settings describes. Raises ConfigurationError."""
    if options.get("type") != "database":
        raise ConfigurationError(
            f"{where}.type: {options.get('type')!r} is not a built-in check; "
            'write type = "database"'
        )
    for key in options:
        if key not in KEYS:
            raise ConfigurationError(
                f"{where}.{key}: unknown key; a database check has: {', '.join(sorted(KEYS))}"
            )
    if not isinstance(options.get("url"), str) or not options["url"]:
        raise ConfigurationError(f'{where}.url: missing; write url = "postgresql+psycopg://…"')
    given = {key: value for key, value in options.items() if key not in {"type", "url"}}
    return database_check(options["url"], name=name, **given)


def open_checks(
    config: Mapping[str, Mapping[str, Any]], *, problems: list[str] | None = None
) -> Iterable[Check]:
    """Return the built-in checks of the settings, followed by the declared ones of each moment.

    A wrong table is added to `problems` and left out; without such a list it raises
    ConfigurationError.
    """
    built_in = []
    for name, options in config.items():
        try:
            built_in.append(_open_table(name, options, where=f"health.checks.{name}"))
        except ConfigurationError as error:
            if problems is None:
                raise
            problems.append(f"{error}; this check is off")
    return _Joined(built_in)


class _Joined:
    """The built-in checks of the settings, then the declared ones of the moment."""

    def __init__(self, built_in: list[Check]) -> None:
        self._built_in = {check.name: check for check in built_in}

    def __iter__(self) -> Iterator[Check]:
        """Iterate; the settings win over a declared check of the same name."""
        yield from self._built_in.values()
        yield from (check for check in DECLARED if check.name not in self._built_in)


def _open_table(name: str, options: object, *, where: str) -> Check:
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f'{where}: {options!r} is not a table; write {{ type = "database", url = "…" }}'
        )
    return open_check(name, options, where=where)


class _Database:
    """Asks a database for `SELECT 1`; SQLAlchemy is imported at the first run."""

    def __init__(self, target: Any) -> None:
        if isinstance(target, str) and "://" not in target:
            raise ConfigurationError(
                "database check: not a database URL; write sqlite:///… or postgresql+psycopg://…"
            )
        self._target = target
        self._ask: Callable[[], Any] | None = None

    def __call__(self) -> Any:
        """Return None, or the coroutine that asks. Raises what went wrong, without secrets."""
        if self._ask is None:
            self._ask = _asker(self._target)
        return self._ask()


def _asker(target: Any) -> Callable[[], Any]:
    from sqlalchemy import URL, Engine, NullPool, create_engine, make_url, text

    engine = getattr(target, "sync_engine", target)
    if isinstance(engine, Engine) and not engine.dialect.is_async:
        # A fresh pool of the same kind: it connects as the host does, beside the host's pool.
        pool = engine.pool.recreate()

        def ask_beside() -> None:
            connection = pool.connect()
            connection.detach()  # so that closing it ends it, and the pool keeps nothing
            try:
                connection.cursor().execute("SELECT 1")
            finally:
                connection.close()

        return ask_beside
    url: URL = engine.url if isinstance(engine, Engine) else make_url(target)
    dialect = url.get_dialect()
    arguments = _connect_arguments(dialect.driver)
    statement = text("SELECT 1")
    if dialect.is_async:
        from sqlalchemy.ext.asyncio import create_async_engine

        async def ask_async() -> None:
            asking = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
            async with asking.connect() as connection:
                await connection.execute(statement)

        return ask_async
    own = create_engine(url, poolclass=NullPool, connect_args=arguments)

    def ask() -> None:
        _must_exist(url)
        with own.connect() as connection:
            connection.execute(statement)

    return ask


def _connect_arguments(driver: str) -> dict[str, Any]:
    argument = _TIMEOUT_ARGUMENT.get(driver)
    return {argument: CONNECT_TIMEOUT_S} if argument else {}


def _must_exist(url: "URL") -> None:
    """Raise FileNotFoundError for a missing SQLite file, which connecting would create."""
    path = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and path not in {"", ":memory:"}
    if is_file and not path.startswith("file:") and not os.path.exists(path):
        raise FileNotFoundError("the database file does not exist")
