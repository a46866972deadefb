"""The file systems that the application cannot do without: how full they are, and until when."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchkeeper.core.filling import Trend

MAX_DISKS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """One file system: the share in use as `df` shows it, and in how many seconds it is full."""

    mount: str
    used: float
    free_bytes: float
    inodes_used: float | None  # a share; None: there is no limit
    full_in_s: float | None  # None: not known yet


class Disks:
    """Reads the file systems that some folders are on, each once, and remembers its trend.

    The trend is of this process: after its start there is none for an hour.
    """

    def __init__(self, folders: Callable[[], Sequence[Path]]) -> None:
        """Look at the file systems of these folders; of one that is not there, at its parent's.

        They are asked for at the first reading: finding them may touch the disk.
        """
        self._folders = folders
        self._known: Sequence[Path] | None = None
        self._trends: dict[str, Trend] = {}

    def read(self, now: float) -> Iterator[DiskState]:
        """Yield the state of each; those that cannot be read, or have no size, are left out."""
        for mount in self._mounts():
            try:
                sizes = os.statvfs(mount)
            except OSError:
                continue
            taken = sizes.f_blocks - sizes.f_bfree
            usable = taken + sizes.f_bavail  # without what is kept for root
            if usable <= 0:
                continue
            free = float(sizes.f_bavail) * sizes.f_frsize
            trend = self._trends.setdefault(mount, Trend())
            yield DiskState(
                mount=mount,
                used=taken / usable,
                free_bytes=free,
                inodes_used=1 - sizes.f_favail / sizes.f_files if sizes.f_files else None,
                full_in_s=trend.full_in_s(free, now=now),
            )

    def _mounts(self) -> Iterator[str]:
        if self._known is None:
            self._known = self._folders()
        seen: set[int] = set()
        for folder in self._known:
            try:
                path, device = _existing(folder)
            except OSError:
                continue
            if device not in seen and len(seen) < MAX_DISKS:
                seen.add(device)
                yield str(_mount(path, device))


def _existing(folder: Path) -> tuple[Path, int]:
    """Return the folder, or the nearest above it that exists, and its device."""
    path = Path(os.path.realpath(folder))
    while not path.exists() and path != path.parent:
        path = path.parent
    return path, path.stat().st_dev


def _mount(path: Path, device: int) -> Path:
    """Return the top of a folder's file system."""
    while path != path.parent and path.parent.stat().st_dev == device:
        path = path.parent
    return path
