"""The file systems that the application cannot do without: how full they are, and until when."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchkeeper.core.filling import TREND_S, full_in_s

READ_EVERY_S: Final = 300.0  # readings of a trend of hours
MAX_READINGS: Final = int(TREND_S / READ_EVERY_S) + 1
MAX_DISKS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """One file system: the share in use as `df` shows it, and in how many seconds it is full."""

    mount: str
    used: float
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
        self._readings: dict[str, deque[tuple[float, float]]] = {}
        self._trends: dict[str, float | None] = {}

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
            yield DiskState(
                mount=mount, used=taken / usable, full_in_s=self._trend(mount, free, now)
            )

    def _trend(self, mount: str, free: float, now: float) -> float | None:
        readings = self._readings.setdefault(mount, deque(maxlen=MAX_READINGS))
        if readings and now < readings[-1][0]:  # the clock was set back
            readings.clear()
        if not readings or now - readings[-1][0] >= READ_EVERY_S:
            readings.append((now, free))
            self._trends[mount] = full_in_s(readings)
        return self._trends[mount]

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
