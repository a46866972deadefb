"""Spool files on a local disk: what waited for the database when its process stopped.

A file is eight bytes of magic, the number of batches that are in the database by now with its
checksum, a head (JSON), the batches and an end, each with its length and checksum. It is written
under a name that says "unfinished", and renamed when it is whole; it is read up to the first
damage.
"""

import json
import os
import re
import shutil
import stat
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self
from urllib.parse import urlsplit

from watchkeeper.core.budget import Room
from watchkeeper.core.spool import SpoolName
from watchkeeper.exceptions import WatchkeeperError
from watchkeeper.storage.records import Batch
from watchkeeper.storage.spooled import DamagedBatchError, Packer, Unpacker

if TYPE_CHECKING:
    from sqlalchemy import Engine

OFF: Final = "off"  # the setting that switches spools off
BESIDE: Final = ".spool"  # appended to the name of a SQLite file
MAGIC: Final = b"wkspool\x02"  # the last byte is the version of the format; older ones can be read
MAX_FILES: Final = 500  # in one folder; a process that is restarted all the time makes many
MAX_FOLDERS: Final = 100  # of services and databases in one place
MAX_FOLDER_BYTES: Final = 128 << 20  # beyond it nothing more is spilled
MAX_BATCH_BYTES: Final = 64 << 20  # of one packed batch; a damaged length must not fill the memory
SPOOL_RESERVES: Final = 0.5  # of the disk's reserve: what must stay free, see `core.budget`
MAX_DAMAGED: Final = 5  # files put aside that are kept, the newest
MAX_LABEL: Final = 40  # characters of a service's name in the name of its folder
DAMAGED: Final = ".damaged"  # appended to the name of what is put aside

_END: Final = b"end"
_NUMBER: Final = 4  # bytes of each number in the file
_DONE_AT: Final = len(MAGIC)


class SpoolError(WatchkeeperError):
    """A spool cannot be written or read."""


class GoneSpoolError(SpoolError):
    """A spool is there no more: another process was faster."""


class DamagedSpoolError(SpoolError):
    """A spool is cut off or damaged."""


class NewerSpoolError(SpoolError):
    """A spool is of a format that this version does not know; it waits for a newer process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a spool says of itself."""

    host: str
    pid: int
    at: float  # when it was written


def folders(
    setting: str,
    *,
    database_url: "str | Engine",
    service: str,
    environment: str,
    environ: Mapping[str, str],
    directory: str,
) -> tuple[Path, ...]:
    """Return where the spools of a service and database may be, the best place first.

    `setting` is a folder, "off", or empty: then beside a SQLite file, else where systemd or the
    user keeps state, and at last the folder for temporary files. `database_url` may be an Engine;
    relative paths start at `directory`. Nothing is made or looked at; the database's password
    plays no part.
    """
    file, identity = _database(database_url, Path(directory))
    if setting == OFF or not identity:
        return ()
    told = "\0".join((service, environment, identity))
    digest = blake2b(told.encode(errors="replace"), digest_size=6).hexdigest()
    label = re.sub(r"[^A-Za-z0-9_-]+", "-", service)[:MAX_LABEL].strip("-") or "app"
    if setting:
        bases = [Path(setting)]
    else:
        bases = [Path(f"{file}{BESIDE}")] if file else []
        bases += _usual(environ)
    return tuple(Path(directory) / base / f"{label}-{digest}" for base in bases)


def _usual(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a process may keep what outlives it, on any platform."""
    home = environ.get("HOME")
    states = (
        environ.get("STATE_DIRECTORY", "").split(":")[0],  # systemd's StateDirectory=
        environ.get("XDG_STATE_HOME"),
        environ.get("LOCALAPPDATA"),  # Windows
        home and f"{home}/.local/state",
    )
    if state := next(filter(None, states), ""):
        yield Path(state) / "watchkeeper"
    user = os.geteuid() if hasattr(os, "geteuid") else "spool"
    yield Path(tempfile.gettempdir()) / f"watchkeeper-{user}"


def _database(url: "str | Engine", directory: Path) -> tuple[str, str]:
    """Return the path of a SQLite file, if it is one, and what tells the database from others."""
    if not isinstance(url, str):
        backend, path = url.url.get_backend_name(), url.url.database or ""
        host, port = url.url.host, url.url.port
    elif "://" not in url:
        backend, path, host, port = "sqlite", url, None, None
    else:
        backend = url.partition("://")[0].partition("+")[0]
        try:
            split = urlsplit(url)
            host, port, path = split.hostname, split.port, split.path[1:]
        except ValueError:
            return "", ""
    if backend == "memory":
        return "", ""
    if backend == "sqlite":
        file = str(directory / path)
        return file, file
    return "", f"{backend.replace('mysql', 'mariadb')}://{host or ''}:{port or ''}/{path}"


def write_spool(
    folder: Path,
    name: SpoolName,
    batches: Sequence[Batch],
    *,
    host: str,
    pid: int,
    at: float,
    deadline: float,
) -> int:
    """Write batches, oldest first, until `deadline` (by `time.monotonic`); return how many.

    The file is whole, readable by this user only, and on the disk when this returns. Raises
    SpoolError if the folder cannot take it, GoneSpoolError if that of the database is missing;
    nothing is left of it then.
    """
    try:
        make_folder(folder)
        room = _room(folder)
    except OSError as error:
        raise _failed(error) from error
    path = folder / str(replace(name, finished=False))
    written = 0
    try:
        with _created(path) as file:
            file.write(MAGIC + _checked(0))
            head = {"host": host, "pid": pid, "at": at}
            _put(file, json.dumps(head).encode())
            packer = Packer()
            for batch in batches:
                if written and time.monotonic() >= deadline:
                    break
                data = packer.pack(batch)
                if file.tell() + len(data) > room or len(data) > MAX_BATCH_BYTES:
                    break
                _put(file, data)
                written += 1
            if not written:
                raise SpoolError(
                    f"{folder} holds {MAX_FOLDER_BYTES >> 20} MB already, or its disk is full"
                )
            _put(file, _END)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path, folder / str(name))
    except (OSError, SpoolError) as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise SpoolError(_told(error)) from error
    return written


def find_spools(folder: Path, *, now: float) -> list[tuple[SpoolName, float]]:
    """List the spools of a folder, oldest first, each with its age (seconds since written to)."""
    found: list[tuple[SpoolName, float]] = []
    try:
        if not _is_ours(folder):
            return found
        with os.scandir(folder) as entries:
            for entry in entries:
                name = SpoolName.read(entry.name)
                if name is not None:
                    found.append((name, now - entry.stat(follow_symlinks=False).st_mtime))
    except OSError:
        return sorted(found)  # it is not there, or not ours
    return sorted(found)[:MAX_FILES]


def rename_spool(folder: Path, name: SpoolName, new: SpoolName) -> None:
    """Give a spool another name, which only one process can; SpoolError."""
    try:
        os.rename(folder / str(name), folder / str(new))
    except OSError as error:
        raise _failed(error) from error


def remove_spool(folder: Path, name: SpoolName) -> None:
    """Delete a spool, and its folders if they are empty now; another process may have done so."""
    with suppress(OSError):
        (folder / str(name)).unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()


def put_aside(folder: Path, name: SpoolName) -> Path:
    """Keep a damaged spool under a name that nobody reads; only the newest are kept."""
    aside = folder / f"{name}{DAMAGED}"
    with suppress(OSError):
        os.rename(folder / str(name), aside)
        old = sorted(folder.glob(f"*{DAMAGED}"))
        for path in old[:-MAX_DAMAGED]:
            path.unlink(missing_ok=True)
    return aside


class SpoolFile:
    """An open spool: its head, and the batches that are not in the database yet."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        """Read the head. Raises DamagedSpoolError or NewerSpoolError."""
        self._file = file
        self._size_bytes = size_bytes
        magic = file.read(len(MAGIC))
        if magic[:-1] == MAGIC[:-1] and magic[-1:] > MAGIC[-1:]:
            raise NewerSpoolError(f"its format is {magic[-1]}, this version knows {MAGIC[-1]}")
        done = file.read(2 * _NUMBER)
        self.done = int.from_bytes(done[:_NUMBER], "little")  # batches that are in the database
        if not b"wkspool\x01" <= magic <= MAGIC or done != _checked(self.done):
            raise DamagedSpoolError("its beginning is damaged")
        try:
            self.head = Head(**json.loads(self._take()))
        except (ValueError, TypeError) as error:
            raise DamagedSpoolError("its head is damaged") from error

    @classmethod
    @contextmanager
    def open(cls, folder: Path, name: SpoolName) -> Iterator[Self]:
        """Open a spool; SpoolError if it is gone, not ours or damaged."""
        try:
            handle = os.open(
                folder / str(name), os.O_RDWR | _flag("O_NOFOLLOW") | _flag("O_BINARY")
            )
        except OSError as error:
            raise _failed(error) from error
        with os.fdopen(handle, "r+b") as file:
            yield cls(file, os.fstat(handle).st_size)

    def batches(self) -> Iterator[Batch]:
        """Read the batches that are left, oldest first.

        Raises DamagedSpoolError in place of the first that cannot be read.
        """
        unpacker = Unpacker()
        number = 0
        while (data := self._take()) != _END:
            try:
                batch = unpacker.unpack(data)
            except DamagedBatchError as error:
                raise DamagedSpoolError(str(error)) from error
            number += 1
            if number > self.done:
                yield batch

    def mark(self) -> None:
        """Note in the file that one more batch is in the database."""
        self.done += 1
        at = self._file.tell()
        self._file.seek(_DONE_AT)
        self._file.write(_checked(self.done))
        self._file.flush()
        self._file.seek(at)

    def _take(self) -> bytes:
        """Read one piece and check it."""
        told = self._file.read(2 * _NUMBER)
        length = int.from_bytes(told[:_NUMBER], "little")
        if len(told) < 2 * _NUMBER or length > min(MAX_BATCH_BYTES, self._size_bytes):
            raise DamagedSpoolError("it is cut off")
        data = self._file.read(length)
        if len(data) < length:
            raise DamagedSpoolError("it is cut off")
        if zlib.crc32(data) != int.from_bytes(told[_NUMBER:], "little"):
            raise DamagedSpoolError("a checksum is wrong")
        return data


def _checked(number: int) -> bytes:
    """Write a number with its checksum, for the one place of a file that changes."""
    told = number.to_bytes(_NUMBER, "little")
    return told + zlib.crc32(told).to_bytes(_NUMBER, "little")


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(len(data).to_bytes(_NUMBER, "little"))
    file.write(zlib.crc32(data).to_bytes(_NUMBER, "little"))
    file.write(data)


def make_folder(folder: Path) -> None:
    """Make a folder that is ours alone; OSError where it is somebody else's."""
    base = folder.parent
    # The folder that a database misses is not ours to make.
    base.mkdir(mode=0o700, parents=base.suffix != BESIDE, exist_ok=True)
    if not folder.exists() and len(os.listdir(base)) >= MAX_FOLDERS:
        raise OSError(f"{base} holds {MAX_FOLDERS} folders already")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_ours(folder):
        raise PermissionError(f"{folder} belongs to somebody else")


def _is_ours(folder: Path) -> bool:
    """Tell whether nobody else can have put files into a folder; the temporary one is open."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH


def _room(folder: Path) -> int:
    """Return how many bytes a new spool may have; 0 where there are too many files.

    The disk is left what a database would leave it.
    """
    with os.scandir(folder) as entries:
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
    disk = shutil.disk_usage(folder)
    reserve = Room(stored_bytes=0, disk_bytes=disk.total).reserve_bytes
    left = min(MAX_FOLDER_BYTES - sum(sizes), int(disk.free - reserve * SPOOL_RESERVES))
    return 0 if len(sizes) >= MAX_FILES else left


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | _flag("O_NOFOLLOW") | _flag("O_BINARY")
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        yield file


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))  # not every platform has each


def _failed(error: OSError) -> SpoolError:
    kind = GoneSpoolError if isinstance(error, FileNotFoundError) else SpoolError
    return kind(_told(error))


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)
