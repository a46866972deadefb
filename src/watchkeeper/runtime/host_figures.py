"""What a host is doing, read by the one of its workers that reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.core.capacity_metrics import HOST_DISK, HOST_DISK_FULL_IN
from watchkeeper.core.catalogue import HOST_CPU, HOST_MEMORY
from watchkeeper.core.filling import Trend
from watchkeeper.core.host_metrics import (
    HOST_DISK_FREE,
    HOST_INODES,
    HOST_LOAD,
    HOST_MEMORY_FULL_IN,
    HOST_MEMORY_MAX,
    HOST_MEMORY_USED,
    HOST_NETWORK,
    HOST_NETWORK_ERRORS,
    HOST_SWAP,
)
from watchkeeper.runtime.cgroup import CpuUse, cpu_set, cpu_use, memory_use
from watchkeeper.runtime.disks import Disks
from watchkeeper.runtime.figures import Figures
from watchkeeper.runtime.increases import Increases

LOOPBACK = "lo"


class GroupFigures:
    """The CPU and memory of the control group of this process; of the host, without a limit."""

    def __init__(self, figures: Figures, *, root: Path, cores: int) -> None:
        """Begin; ratios of CPU span the time since the call before, so the first has none."""
        self._figures = figures
        self._root = root
        self._cores = cores
        self._host_cpu: tuple[float, float] | None = None  # (all seconds, busy seconds)
        self._groups_cpu: tuple[float, dict[str, CpuUse]] = (0.0, {})  # (at, by group)
        self._memory = Trend()

    def record(self, now: float) -> None:
        """Record every figure that the platform has."""
        self._figures.set(HOST_CPU, lambda: self._cpu_ratio(now))
        self._figures.read(lambda: self._record_memory(now))

    def _record_memory(self, now: float) -> None:
        import psutil

        memory = psutil.virtual_memory()
        limited = memory_use(self._root, total_bytes=memory.total)
        used = limited.used if limited is not None else memory.total - memory.available
        limit = limited.limit if limited is not None else memory.total
        add = self._figures.add
        add(HOST_MEMORY, limited.share if limited is not None else used / limit)
        add(HOST_MEMORY_USED, float(used))
        add(HOST_MEMORY_MAX, float(limit))
        add(HOST_MEMORY_FULL_IN, self._memory.full_in_s(float(limit - used), now=now))

    def _cpu_ratio(self, now: float) -> float | None:
        """Return the share of the control group's quota that was used, else that of its cores."""
        machine = self._host_ratio()
        since, before = self._groups_cpu
        groups = cpu_use(self._root, cores=self._cores)
        self._groups_cpu = now, groups
        if not groups:
            return machine
        shares = [
            (use.used_s - before[name].used_s) / (use.cores * (now - since))
            for name, use in groups.items()
            if name in before and now > since and use.used_s >= before[name].used_s
        ]
        return min(1.0, max(shares)) if shares else None

    def _host_ratio(self) -> float | None:
        """Return the share in use since the last sample of all cores that we may run on.

        Those are the cores of the control group, not those that this process alone is bound to.
        psutil's own function keeps its last reading for the whole process: it would mix with the
        host application's use of it.
        """
        import psutil

        own = cpu_set(self._root, cores=self._cores)
        several = psutil.cpu_times(percpu=True) if own else [psutil.cpu_times()]
        if own and len(several) == self._cores:  # else some are offline: whose are they?
            several = [several[core] for core in sorted(own)]
        spent = [_spent(times) for times in several]
        total, busy = sum(one[0] for one in spent), sum(one[1] for one in spent)
        before, self._host_cpu = self._host_cpu, (total, busy)
        if before is None or total <= before[0]:
            return None
        return min(1.0, max(0.0, (busy - before[1]) / (total - before[0])))


class HostFigures:
    """Load, swap, network and disks of the machine."""

    def __init__(self, figures: Figures, *, folders: Callable[[], Sequence[Path]]) -> None:
        """Begin; `folders` are on the file systems that are looked at."""
        self._figures = figures
        self._disks = Disks(folders)
        self._grown = Increases()

    def record(self, now: float) -> None:
        """Record every figure that the platform has."""
        figures = self._figures
        figures.set(HOST_LOAD, lambda: os.getloadavg()[0])
        figures.set(HOST_SWAP, _swap_ratio)
        figures.read(self._record_network)
        for disk in self._disks.read(now):
            figures.add(HOST_DISK, disk.used, mount=disk.mount)
            figures.add(HOST_DISK_FREE, disk.free_bytes, mount=disk.mount)
            figures.add(HOST_INODES, disk.inodes_used, mount=disk.mount)
            figures.add(HOST_DISK_FULL_IN, disk.full_in_s, mount=disk.mount)

    def _record_network(self) -> None:
        """Add up what the interfaces carried; each on its own, for they come and go."""
        import psutil

        sums: dict[tuple[str, str], float] = {}
        for name, counts in psutil.net_io_counters(pernic=True, nowrap=False).items():
            if name.startswith(LOOPBACK):
                continue
            for kind, direction, count in (
                ("bytes", "in", counts.bytes_recv),
                ("bytes", "out", counts.bytes_sent),
                ("errors", "in", counts.errin + counts.dropin),
                ("errors", "out", counts.errout + counts.dropout),
            ):
                grown = self._grown.of((name, kind, direction), count)
                if grown is not None:
                    sums[kind, direction] = sums.get((kind, direction), 0.0) + grown
        for (kind, direction), grown in sums.items():
            metric = HOST_NETWORK if kind == "bytes" else HOST_NETWORK_ERRORS
            self._figures.add(metric, grown, direction=direction)


def _swap_ratio() -> float | None:
    import psutil

    swap = psutil.swap_memory()
    return swap.used / swap.total if swap.total else None


def _spent(times: Any) -> tuple[float, float]:
    """Return the seconds of psutil's times: all, and those in use."""
    # Linux counts the time of guests within user and nice as well.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total, total - times.idle - getattr(times, "iowait", 0.0)
