"""How full the memory of this process' control group is, in either version of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_LEVELS: Final = 32  # of groups within groups


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """Where a version of control groups keeps its figures."""

    mount: str
    limit: str
    used: str
    cache: str  # the line of memory.stat that counts what the kernel can drop


_V1: Final = _Files(
    mount="sys/fs/cgroup/memory",
    limit="memory.limit_in_bytes",
    used="memory.usage_in_bytes",
    cache="total_inactive_file",
)
_V2: Final = _Files(
    mount="sys/fs/cgroup",
    limit="memory.max",
    used="memory.current",
    cache="inactive_file",
)


def memory_share(root: Path, *, total_bytes: int) -> float | None:
    """Return how full the fullest limited group around this process is, 0 to 1; None without one.

    What the kernel can drop at once (inactive file pages) does not count as used, as Kubernetes
    counts. A limit of `total_bytes`, the machine's memory, or more is none.
    Source: Linux' documentation of cgroup v1 memory and cgroup v2.
    """
    shares = [
        share
        for files, path in _groups(root)
        for level in _levels(root / files.mount, path)
        if (share := _share(level, files, total_bytes)) is not None
    ]
    return max(shares, default=None)


def _groups(root: Path) -> Iterator[tuple[_Files, str]]:
    """Read which groups this process is in."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            yield _V1, path
        elif number == "0":
            yield _V2, path


def _levels(mount: Path, path: str) -> Iterator[Path]:
    """Give the group and those around it, up to the mount.

    In a container the path may be that outside, of which nothing but the mount is to be seen.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}][:MAX_LEVELS]
    if ".." not in parts:
        for count in range(len(parts), 0, -1):
            yield mount.joinpath(*parts[:count])
    yield mount


def _share(level: Path, files: _Files, total_bytes: int) -> float | None:
    limit = _number(_text(level / files.limit))
    used = _number(_text(level / files.used))
    if limit is None or used is None or not 0 < limit < total_bytes:
        return None
    droppable = 0
    for line in _text(level / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == files.cache:
            droppable = _number(value) or 0
    return min(1.0, max(0, used - droppable) / limit)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str) -> int | None:
    """Read a whole number; None for "max" and for what is not there."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() else None
