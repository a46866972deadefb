"""What this process' control group may use of memory and CPU, in either version of them."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """A control group with a quota: what it has used so far, and how many cores it may use."""

    used_s: float
    cores: float


def memory_share(root: Path, *, total_bytes: int) -> float | None:
    """Return how full the fullest limited group around this process is, 0 to 1; None without one.

    What the kernel can drop at once (inactive file pages) does not count as used, as Kubernetes
    counts. A limit of `total_bytes`, the machine's memory, or more is none.
    Source: Linux' documentation of cgroup v1 memory and cgroup v2.
    """
    shares = [
        share
        for version, path in _groups(root, "memory")
        for files in (_V1 if version == 1 else _V2,)
        for level in _levels(root / files.mount, path)
        if (share := _share(level, files, total_bytes)) is not None
    ]
    return max(shares, default=None)


def cpu_use(root: Path, *, cores: int) -> dict[str, CpuUse]:
    """Return the groups around this process that have a quota of CPU, by their folder.

    A quota of as many `cores` as the machine has, or more, is none.
    Source: Linux' documentation of CFS bandwidth control and cgroup v2.
    """
    limited = {}
    for version, path in _groups(root, "cpu"):
        mount = root / ("sys/fs/cgroup/cpu" if version == 1 else "sys/fs/cgroup")
        for level in _levels(mount, path):
            allowed = _quota_v1(level) if version == 1 else _quota_v2(level)
            if allowed is None or not 0 < allowed < cores:
                continue
            if version == 1:
                folder = root / "sys/fs/cgroup/cpuacct" / level.relative_to(mount)
                used = _scaled(_text(folder / "cpuacct.usage"), 1e-9)
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
    for version, path in _groups(root, "cpuset"):
        mount = root / ("sys/fs/cgroup/cpuset" if version == 1 else "sys/fs/cgroup")
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


def _groups(root: Path, controller: str) -> Iterator[tuple[int, str]]:
    """Read which groups of a controller this process is in: the version, and the path."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            yield 1, path
        elif number == "0":
            yield 2, path


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
    droppable = _number(_line(level / "memory.stat", files.cache)) or 0
    return min(1.0, max(0, used - droppable) / limit)


def _line(path: Path, wanted: str) -> str:
    """Return what stands after a word at the beginning of a line, or the empty text."""
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == wanted:
            return value
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str) -> int | None:
    """Read a whole number; None for "max" and for what is not there."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() else None
