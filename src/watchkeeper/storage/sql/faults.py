"""What a database's error means: try again later, or not; and what to tell people."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from watchkeeper.exceptions import StorageError, StorageUnavailableError

MAX_MESSAGE: Final = 300

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
    "40": "another transaction was in the way",
    "53": "the server is out of resources",
    "53100": "the disk is full",
    "53300": "the server has too many connections",
    "55P03": "locked by another transaction",
    "57014": "the statement took too long",
    "57": "the server is shutting down or starting",
    "58": "the server's disk failed",
    "25006": "the server is read-only",
}


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
    state = getattr(error.orig, "sqlstate", None) or ""
    meaning = _SQLSTATES.get(state) or _SQLSTATES.get(state[:2])
    if meaning is None and (not state or error.connection_invalidated):
        meaning = f"unreachable ({_first_line(error.orig)})"
    if meaning is not None:
        return StorageUnavailableError(f"database {place(url)}: {meaning}")
    return StorageError(f"database {place(url)}: {_first_line(error.orig)}")


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:MAX_MESSAGE]
