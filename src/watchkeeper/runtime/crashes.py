"""Crashes: a file for Python's faulthandler while the process runs, read by the next one.

The file lies in the folder of the spools, and is locked for as long as its process lives; who
gets the lock knows that the process is gone, and is the only one who reads it.
"""

from __future__ import annotations

import faulthandler
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from watchkeeper.core.crash import MAX_CRASH_CHARS, Crash
from watchkeeper.core.raised import Raised, TraceFrame
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.traces import Snapshot, Spot

if sys.platform != "win32":
    import fcntl

MAX_CRASH_FILES: Final = 200  # in one folder; beyond it a process goes without
MAX_TOLD_AT_ONCE: Final = 20  # crashes; the rest is left to the next start
ENDING: Final = ".crash"

_BESIDE: Final = ".spool"  # the folder beside a SQLite file, which is ours alone
_GUARD: Final = guard("crashes")
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_kept: list[IO[bytes]] = []  # the open file that faulthandler writes to: it knows its number only


class Crashes:
    """The crash files of one service and database: makes this process' own, reads those left."""

    def __init__(
        self, issues: Issues, folders: Callable[[], tuple[Path, ...]], *, enabled: bool = True
    ) -> None:
        """Tell `issues` what made a process crash; the first folder that can be is used."""
        self._issues = issues
        self._folders = folders
        self._enabled = enabled and sys.platform != "win32"
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child, whose parent's file stays the parent's."""
        self._begun = False
        self._path: Path | None = None
        # Files that were read are removed when what they told is stored: who crashes again
        # meanwhile leaves them to the next one.
        self._told: list[tuple[IO[bytes], Path]] = []
        self._taken: list[tuple[IO[bytes], Path]] = []

    def begin(self) -> None:
        """Read what was left, and let a crash of this process be written; once, never raises.

        A host that has enabled faulthandler, now or by PYTHONFAULTHANDLER, keeps it as it is.
        """
        if self._begun or not self._enabled:
            return
        self._begun = True
        with _GUARD:
            self._read_left()
            if not faulthandler.is_enabled() or _kept:
                self._watch()

    def taken(self) -> None:
        """Note that what was told by now is on its way into the store."""
        self._taken += self._told
        self._told = []

    def stored(self) -> None:
        """Remove the files of which everything is stored."""
        while self._taken:
            file, path = self._taken.pop()
            with suppress(OSError), file:
                path.unlink()

    def end(self) -> None:
        """Leave nothing behind: the process ends well.

        The file stays open, for nobody can tell whether the host's own has replaced it meanwhile.
        """
        path, self._path = self._path, None
        self._begun = False
        if path is not None:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # if there is nothing else
                if path.parent.parent.suffix == _BESIDE:
                    path.parent.parent.rmdir()

    def _watch(self) -> None:
        from watchkeeper.storage.spool import SpoolError, make_folder

        for folder in self._folders():
            try:
                make_folder(folder)
                if len(os.listdir(folder)) >= MAX_CRASH_FILES:
                    return
                path = folder / f"{int(time.time()):010d}-{secrets.token_hex(8)}{ENDING}"
                file = _locked(path)
            except (OSError, SpoolError):
                continue
            faulthandler.enable(file)
            self._path = path
            before, _kept[:] = list(_kept), [file]
            for one in before:
                one.close()  # nobody writes to it any more
            return

    def _read_left(self) -> None:
        """Tell of those that crashed, newest first; remove the files of all that are gone.

        However many there are of processes that live: their files are passed over.
        """
        for folder in self._folders():
            with suppress(OSError):
                for path in sorted(folder.glob(f"*{ENDING}"), reverse=True):
                    if len(self._told) >= MAX_TOLD_AT_ONCE:
                        return
                    with suppress(OSError):
                        self._tell(_orphaned(path), path)

    def _tell(self, file: IO[bytes], path: Path) -> None:
        at = os.fstat(file.fileno()).st_mtime
        crash = Crash.read(file.read(MAX_CRASH_CHARS).decode("utf-8", "replace"))
        if crash is None:
            file.close()
            path.unlink()
        else:
            self._issues.report(_Crashed(crash), at=at)
            self._told.append((file, path))


class _Crashed:
    """A crash, as an error that is told."""

    level = "critical"
    culprit = ""
    context = _NOTHING

    def __init__(self, crash: Crash) -> None:
        places = Places()
        self._type = crash.kind
        self._spots = tuple(
            Spot(
                frame=TraceFrame(
                    module="",
                    function=one.function,
                    file=places.shown(one.file),
                    application=places.is_application(one.file),
                ),
                filename=one.file,
                line=one.line,
            )
            for one in crash.frames
        )
        self.key: tuple[object, ...] = ("crash", crash)

    def describe(self) -> Raised:
        """Group by what it was and where."""
        return Raised(type=self._type, frames=[spot.frame for spot in self._spots])

    def snapshot(self) -> Snapshot:
        """Show where it was."""
        return Snapshot(type=self._type, message="", spots=self._spots)


def _locked(path: Path) -> IO[bytes]:
    """Make a file that stays open, and locked, for as long as this process lives."""
    file = open(path, "xb")  # noqa: SIM115  # see above
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # no locks on this disk
        file.close()
        path.unlink()
        raise
    return file


def _orphaned(path: Path) -> IO[bytes]:
    """Open a file whose process is gone, for us alone; OSError if it lives, or others read it."""
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(file.fileno()).st_nlink:
            raise FileNotFoundError(path)
    except OSError:
        file.close()
        raise
    return file
