"""What a database's error means: try again later, or not; and what to tell people."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from watchkeeper.core.scrub import scrub_text
from watchkeeper.exceptions import CollisionError, StorageError, StorageUnavailableError

MAX_MESSAGE: Final = 300
COLLISION: Final = "another transaction was in the way"

# SQLite's own names of results after which the same call may work later.
_SQLITE: Final = {
    "SQLITE_BUSY": "locked by another process",
    "SQLITE_LOCKED": "locked by another connection",
    "SQLITE_INTERRUPT": "the statement took too long",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk failed",
    "SQLITE_NOMEM": "out of memory",
    "SQLITE_PROTOCOL": "locked by another process",
}
# Classes and codes of SQLSTATE after which the same call may work later.
_SQLSTATES: Final = {
    "08": "unreachable",
    "28": "the server refused the user or password",
    "3D": "the server has no such database",
    "40": COLLISION,
    "53": "the server is out of resources",
    "53100": "the disk is full",
    "53300": "the server has too many connections",
    "55P03": "locked by another transaction",
    "57014": "the statement took too long",
    "57": "the server is shutting down or starting",
    "58": "the server's disk failed",
    "25006": "the server is read-only",
}
# Numbers of MariaDB's and MySQL's errors after which the same call may work later.
_MARIADB: Final = {
    1021: "the disk is full",
    1040: "the server has too many connections",
    1041: "the server is out of resources",
    1044: "the server refused the user or password",
    1045: "the server refused the user or password",
    1047: "the server is shutting down or starting",  # a Galera node that is not ready
    1049: "the server has no such database",
    1053: "the server is shutting down or starting",
    1114: "the disk is full",
    1129: "the server refused this host",
    1130: "the server refused this host",
    1203: "the server has too many connections",
    1205: "locked by another transaction",
    1213: COLLISION,
    1226: "the server has too many connections",
    1290: "the server is read-only",
    1317: "the statement took too long",
    1637: "the server is out of resources",
    1698: "the server refused the user or password",
    1792: "the server is read-only",
    1836: "the server is read-only",
    1969: "the statement took too long",
    3024: "the statement took too long",
}
# Not reached, gone, lost in the midst: 2000 to 2999 are the client's own.
_MARIADB_LOST: Final = frozenset({1158, 1159, 1160, 1161, 1184, 1927, *range(2_000, 3_000)})


def translated(error: SQLAlchemyError | sqlite3.Error, url: URL) -> StorageError:
    """Return the exception of ours that a database error amounts to; never with a password."""
    if isinstance(error, sqlite3.Error):
        return _sqlite(error, url)
    if isinstance(error, PoolTimeoutError):
        return StorageUnavailableError(f"database {place(url)}: every connection is in use")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return StorageError(f"database {place(url)}: {_first_line(error)}")
    if url.get_backend_name() == "sqlite":
        return _sqlite(error.orig, url)
    return _server(error, url)


def place(url: URL) -> str:
    """Name a database without user and password: a file's path, or host, port and name."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    port = f":{url.port}" if url.port else ""
    return f"{url.host or 'localhost'}{port}/{url.database or ''}"


def _sqlite(error: BaseException, url: URL) -> StorageError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return StorageUnavailableError(
            f"cannot write {url.database} ({_why_not_writable(Path(url.database or ''))}). "
            "Set WATCHKEEPER_DATABASE_URL to a writable path."
        )
    for known, meaning in _SQLITE.items():
        if name.startswith(known):
            return StorageUnavailableError(f"database {place(url)}: {meaning}")
    if name in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
        return StorageError(
            f"{url.database} is damaged or no SQLite file. Move it away; a new one will be made."
        )
    return StorageError(f"database {place(url)}: {_first_line(error)}")


def _why_not_writable(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    target = path if path.exists() else path.parent
    effective = os.access in os.supports_effective_ids
    if os.access(target, os.W_OK, effective_ids=effective):
        return "a file beside it is not writable"
    if hasattr(os, "statvfs") and os.statvfs(target).f_flag & os.ST_RDONLY:
        return "read-only file system"
    return "permission denied"


def _server(error: DBAPIError, url: URL) -> StorageError:
    mariadb = url.get_backend_name() in {"mysql", "mariadb"}
    meaning, known = _mariadb(error.orig) if mariadb else _postgresql(error.orig)
    if meaning is None and (not known or error.connection_invalidated):
        meaning = f"unreachable ({_first_line(error.orig)})"
    if meaning is None:
        return StorageError(f"database {place(url)}: {_first_line(error.orig)}")
    kind = CollisionError if meaning == COLLISION else StorageUnavailableError
    return kind(f"database {place(url)}: {meaning}")


def _postgresql(error: object) -> tuple[str | None, bool]:
    """Return what an error means, if it passes, and whether the server told it."""
    state = getattr(error, "sqlstate", None) or ""
    return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2]), bool(state)


def _mariadb(error: object) -> tuple[str | None, bool]:
    """Return what an error means, if it passes, and whether the server told it."""
    code = error_code(error)
    return _MARIADB.get(code), bool(code) and code not in _MARIADB_LOST


def error_code(error: object) -> int:
    """Return the number of a MariaDB driver's error, 0 if it has none."""
    code = next(iter(getattr(error, "args", ())), 0)
    return code if isinstance(code, int) else 0


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return scrub_text(lines[0] if lines else type(error).__name__, limit=MAX_MESSAGE)
