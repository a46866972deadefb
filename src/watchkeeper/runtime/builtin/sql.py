"""Asking SQL databases beside the host's pool: a connection for each look, closed after it."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final, TypeVar

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import at, said, told
from watchkeeper.runtime.builtin.options import CheckFailedError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

MIN_CONNECT_S: Final = 2  # the least that libpq takes for what it is
MAX_WORDS: Final = 180  # characters of what a database says
EXAMPLE: Final = '"postgresql+psycopg://…"'

T = TypeVar("T")
Work = Callable[["Connection"], T]
_Ask = Callable[[Work[Any], float], Any]

# How each driver is told to give up; without it a thread hangs for minutes.
_CONNECT: Final[Mapping[str, str]] = {
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
_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "pymysql": ("read_timeout", "write_timeout"),
    "mysqldb": ("read_timeout", "write_timeout"),
}


def check_target(target: Any, *, key: str = "url") -> Any:
    """Return a URL of SQLAlchemy, an Engine or an AsyncEngine. Raises ConfigurationError."""
    if target is None or target == "":
        raise ConfigurationError(f"{key}: missing; write {key} = {EXAMPLE}")
    if isinstance(target, str) and "://" not in target:
        raise ConfigurationError(
            f"{key}: not a database URL; write sqlite:///… or postgresql+psycopg://…"
        )
    if not isinstance(target, str) and not hasattr(target, "dialect"):
        is_url = hasattr(target, "get_backend_name")
        if not is_url:
            raise ConfigurationError(
                f"{key}: {type(target).__name__} is neither a URL nor an Engine; "
                f"write {key} = {EXAMPLE}"
            )
    return target


class Asking:
    """Asks one database, each time over a connection of its own; what is made once is kept."""

    def __init__(self, target: Any, *, key: str = "url") -> None:
        """Prepare; SQLAlchemy is imported at the first question. Raises ConfigurationError."""
        self._target = check_target(target, key=key)
        self._ask: _Ask | None = None

    def ask(self, work: "Work[T]", *, deadline: float) -> Any:
        """Connect, work and close: the work's result, or the coroutine that has it.

        Connects as an Engine does, beside its pool. Raises what SQLAlchemy says.
        """
        if self._ask is None:
            self._ask = _asker(self._target, timeout_s=deadline - monotonic())
        return self._ask(work, deadline)


def _asker(target: Any, *, timeout_s: float) -> _Ask:
    from sqlalchemy import Engine, make_url

    engine = getattr(target, "sync_engine", target)
    if isinstance(engine, Engine) and not engine.dialect.is_async:
        return _beside(engine)
    url: URL = engine.url if isinstance(engine, Engine) else make_url(target)
    arguments = _arguments(url, timeout_s)
    if url.get_dialect().is_async:
        return _in_a_loop(url, arguments)
    return _alone(url, arguments)


def _beside(engine: "Engine") -> _Ask:
    from sqlalchemy import Engine

    # A fresh pool of the same kind: it connects as the host does, beside the host's pool.
    own = Engine(engine.pool.recreate(), engine.dialect, engine.url)

    def ask(work: Work[Any], deadline: float) -> Any:
        try:
            with (
                _told(engine.url, deadline),
                own.connect() as connection,
                _cut_off(connection, deadline),
            ):
                return work(connection)
        finally:
            own.dispose()

    return ask


def _in_a_loop(url: "URL", arguments: Mapping[str, Any]) -> _Ask:
    from sqlalchemy import NullPool
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url, poolclass=NullPool, connect_args=dict(arguments))

    async def ask(work: Work[Any], deadline: float) -> Any:
        _must_exist(url)
        with _told(url, deadline):
            async with engine.connect() as connection:
                return await connection.run_sync(work)

    return ask


def _alone(url: "URL", arguments: Mapping[str, Any]) -> _Ask:
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(url, poolclass=NullPool, connect_args=dict(arguments))

    def ask(work: Work[Any], deadline: float) -> Any:
        _must_exist(url)
        with (
            _told(url, deadline),
            engine.connect() as connection,
            _cut_off(connection, deadline),
        ):
            return work(connection)

    return ask


@contextmanager
def _cut_off(connection: "Connection", deadline: float) -> Iterator[None]:
    """Cut the connection when the time is over, where a driver knows no time-out for reading.

    That is libpq, which tells the number of its socket.
    """
    number = getattr(connection.connection.driver_connection, "fileno", None)
    if not callable(number):
        yield
        return
    with socket.socket(fileno=os.dup(number())) as wire:
        timer = threading.Timer(max(0.0, deadline - monotonic()), _shut, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut(wire: "socket.socket") -> None:
    with suppress(OSError):  # it was closed just now
        wire.shutdown(socket.SHUT_RDWR)


@contextmanager
def _told(url: "URL", deadline: float) -> Iterator[None]:
    """Turn what a database or its driver says into CheckFailedError, in one plain line."""
    from sqlalchemy.exc import DBAPIError

    place = at(url.host, url.port) if url.host and url.port else url.host or "the database"
    try:
        with told(place, began=monotonic()):
            yield
    except DBAPIError as error:
        words = _words(error.orig)
        if monotonic() >= deadline:
            words = f"no answer from {place} in time"
        elif "connection refused" in words.lower():
            words = f"connection refused by {place}"
        # What psycopg connected with hangs in a circle of these frames, with its socket, until
        # the garbage collector comes by: in a busy process that may be long.
        for one in (error, error.orig):
            clear_frames(one.__traceback__ if one is not None else None)
        raise CheckFailedError(words) from None


def _words(error: BaseException | None) -> str:
    """Return the first line of a driver's error, without its number."""
    arguments = error.args if error is not None else ()
    is_numbered = len(arguments) > 1 and isinstance(arguments[0], int)
    words = str(arguments[1] if is_numbered else error).strip().partition("\n")[0]
    return said(words, limit=MAX_WORDS) or type(error).__name__


def _arguments(url: "URL", timeout_s: float) -> dict[str, Any]:
    """Return the time-outs that a driver knows and the URL does not set itself."""
    driver = url.get_dialect().driver
    limit = max(MIN_CONNECT_S, int(timeout_s))
    names = [_CONNECT[driver]] if driver in _CONNECT else []
    names += _READ.get(driver, ())
    return {name: limit for name in names if name not in url.query}


def _must_exist(url: "URL") -> None:
    """Raise FileNotFoundError for a missing SQLite file, which connecting would create."""
    path = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and path not in {"", ":memory:"}
    if is_file and not path.startswith("file:") and not os.path.exists(path):
        raise FileNotFoundError("the database file does not exist")
