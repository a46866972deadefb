"""What this process' control group may use of memory and CPU, in either version of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_LEVELS: Final = 32  # of groups within groups
MAX_FILE_BYTES: Final = 65_536  # read of one file: ten times the largest that the kernel makes
MAX_DIGITS: Final = 20  # of a number; the kernel's have no more
CGROUPS: Final = "sys/fs/cgroup"
NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # a pipe in the place of a file holds nobody up
HYBRID: Final = "unified"  # where systemd mounts version 2 beside version 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """Where a version of control groups keeps its figures."""

    limit: str
    used: str
    cache: str  # the line of memory.stat that counts what the kernel can drop


_V1: Final = _Files(
    limit="memory.limit_in_bytes",
    used="memory.usage_in_bytes",
    cache="total_inactive_file",
)
_V2: Final = _Files(
    limit="memory.max",
    used="memory.current",
    cache="inactive_file",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """A control group with a quota: what it has used so far, and how many cores it may use."""

    used_s: float
    cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """The memory of a control group with a limit, both in bytes."""

    used: int
    limit: int

    @property
    def share(self) -> float:
        """How full it is, 0 to 1."""
        return min(1.0, self.used / self.limit)


def memory_use(root: Path, *, total_bytes: int) -> MemoryUse | None:
    """Return the memory of the fullest limited group around this process; None without one.

    What the kernel can drop at once (inactive file pages) does not count as used, as Kubernetes
    counts. A limit of `total_bytes`, the machine's memory, or more is none.
    Source: Linux' documentation of cgroup v1 memory and cgroup v2.
    """
    limited = [
        use
        for version, mount, path in _groups(root, "memory")
        for level in _levels(mount, path)
        if (use := _memory(level, _V1 if version == 1 else _V2, total_bytes)) is not None
    ]
    return max(limited, key=lambda use: use.share, default=None)


def cpu_use(root: Path, *, cores: int) -> dict[str, CpuUse]:
    """Return the groups around this process that have a quota of CPU, by their folder.

    A quota of as many `cores` as the machine has, or more, is none.
    Source: Linux' documentation of CFS bandwidth control and cgroup v2.
    """
    limited = {}
    for version, mount, path in _groups(root, "cpu"):
        for level in _levels(mount, path):
            allowed = _quota_v1(level) if version == 1 else _quota_v2(level)
            if allowed is None or not 0 < allowed < cores:
                continue
            if version == 1:
                used = _used_v1(root, level, level.relative_to(mount))
            else:
                used = _scaled(_line(level / "cpu.stat", "usage_usec"), 1e-6)
            if used is not None:
                limited[str(level)] = CpuUse(used_s=used, cores=allowed)
    return limited


def cpu_set(root: Path, *, cores: int) -> frozenset[int] | None:
    """Return the numbers of the cores that the groups around this process leave it; None: all.

    Source: Linux' documentation of cpusets (v1) and cgroup v2.
    """
    least = None
    for version, mount, path in _groups(root, "cpuset"):
        name = "cpuset.effective_cpus" if version == 1 else "cpuset.cpus.effective"
        for level in _levels(mount, path):
            found = _numbers(_text(level / name), most=cores)
            if found and len(found) < cores and (least is None or len(found) < len(least)):
                least = found
    return least


def _numbers(text: str, *, most: int) -> frozenset[int]:
    """Read "0-2,7"; nothing if it cannot be read or a number is not below `most`."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        start, end = _number(first), _number(last or first)
        if start is None or end is None or end >= most:
            return frozenset()
        found.update(range(start, end + 1))
    return frozenset(found)


def _used_v1(root: Path, level: Path, path: Path) -> float | None:
    """Return the CPU seconds of a group: beside its quota, or where they are counted apart."""
    beside = _text(level / "cpuacct.usage")
    return _scaled(beside or _text(root / CGROUPS / "cpuacct" / path / "cpuacct.usage"), 1e-9)


def _quota_v1(level: Path) -> float | None:
    quota = _number(_text(level / "cpu.cfs_quota_us"))  # -1, without a quota, is no number here
    period = _number(_text(level / "cpu.cfs_period_us"))
    return quota / period if quota and period else None


def _quota_v2(level: Path) -> float | None:
    quota, _, period = _text(level / "cpu.max").strip().partition(" ")
    parts = _number(quota), _number(period)
    return parts[0] / parts[1] if parts[0] and parts[1] else None


def _scaled(text: str, unit: float) -> float | None:
    number = _number(text)
    return None if number is None else number * unit


def membership(root: Path) -> str:
    """Return what the kernel says about the control groups of this process, as it is."""
    return _text(root / "proc/self/cgroup")


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path, str]]:
    """Read which groups of a controller this process is in: version, mount, and path below it."""
    for line in membership(root).splitlines():
        if line.count(":") < 2:
            continue
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            yield 1, _mount_v1(root, controller, controllers), path
        elif number == "0":
            hybrid = root / CGROUPS / HYBRID
            yield 2, hybrid if hybrid.is_dir() else root / CGROUPS, path


def _mount_v1(root: Path, controller: str, controllers: str) -> Path:
    """Return where a controller is mounted: by its own name, else by that of all that share it."""
    alone = root / CGROUPS / controller
    return alone if controllers == controller or alone.is_dir() else root / CGROUPS / controllers


def _levels(mount: Path, path: str) -> Iterator[Path]:
    """Give the group and those around it, up to the mount.

    In a container the path may be that outside, of which nothing but the mount is to be seen.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}][:MAX_LEVELS]
    if ".." not in parts:
        for count in range(len(parts), 0, -1):
            yield mount.joinpath(*parts[:count])
    yield mount


def _memory(level: Path, files: _Files, total_bytes: int) -> MemoryUse | None:
    limit = _number(_text(level / files.limit))
    used = _number(_text(level / files.used))
    if limit is None or used is None or not 0 < limit < total_bytes:
        return None
    droppable = _number(_line(level / "memory.stat", files.cache)) or 0
    return MemoryUse(used=max(0, used - droppable), limit=limit)


def _line(path: Path, wanted: str) -> str:
    """Return what stands after a word at the beginning of a line, or the empty text."""
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == wanted:
            return value
    return ""


def _text(path: Path) -> str:
    """Read a small file; the empty text where there is none, or not one of text."""
    try:
        # Without Python's buffers and decoders: a fifth of the time.
        file = os.open(path, os.O_RDONLY | NO_WAIT)
        try:
            return os.read(file, MAX_FILE_BYTES).decode()
        finally:
            os.close(file)
    except (OSError, ValueError):  # a path with a NUL in it is a ValueError, as is no text
        return ""


def _number(text: str) -> int | None:
    """Read a whole number; None for "max" and for what is not there."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS else None
