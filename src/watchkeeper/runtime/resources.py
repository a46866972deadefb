"""What this process and its host use: CPU, memory, disks, file descriptors, threads."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.capacity_metrics import (
    HOST_DISK,
    HOST_DISK_FULL_IN,
    PROCESS_FDS_USED,
)
from watchkeeper.core.catalogue import (
    HOST_CPU,
    HOST_MEMORY,
    PROCESS_CPU,
    PROCESS_FDS,
    PROCESS_MEMORY,
    PROCESS_THREADS,
)
from watchkeeper.core.metrics import Metric
from watchkeeper.runtime.cgroup import CpuUse, cpu_set, cpu_use, memory_share
from watchkeeper.runtime.disks import Disks
from watchkeeper.runtime.recorder import Recorder

if TYPE_CHECKING:
    from psutil import Process

ROOT: Final = Path("/")


class Resources:
    """Sets the gauges of one process and its host, whenever it is asked to.

    Ratios of CPU span the time since the sample before, so the first has none. What a platform
    does not tell has no series, never a zero.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        host: str,
        worker: Callable[[], str],
        folders: Callable[[], Sequence[Path]] = list,
        root: Path = ROOT,
        cores: int | None = None,
    ) -> None:
        """Prepare; psutil is imported at the first sample.

        `worker` names this process among those of the host, or is empty as long as it has no
        name: until then its own figures are left out. `folders` are on the file systems that are
        looked at; `root` holds `proc` and `sys`; `cores` are the machine's.
        """
        self._recorder = recorder
        self._host = host
        self._worker = worker
        self._root = root
        self._cores = cores or os.cpu_count() or 1
        self._disks = Disks(folders)
        self._process: Process | None = None
        self._process_cpu: tuple[float, float] | None = None  # (at, CPU seconds)
        self._host_cpu: tuple[float, float] | None = None  # (all seconds, busy seconds)
        self._groups_cpu: tuple[float, dict[str, CpuUse]] = (0.0, {})  # (at, by group)

    def sample(self, now: float) -> None:
        """Set every gauge that this platform has a figure for."""
        from watchkeeper.storage.turns import give_way

        psutil = _loaded()
        if self._process is None or self._process.pid != os.getpid():  # a fork made us another
            self._process = psutil.Process()
            self._process_cpu = None
        process = self._process
        give_way()
        self._set(PROCESS_CPU, lambda: self._process_ratio(process, now))
        self._set(PROCESS_MEMORY, lambda: float(process.memory_info().rss))
        self._set(PROCESS_FDS, lambda: float(process.num_fds()))
        self._set(PROCESS_FDS_USED, lambda: _descriptors_share(process))
        self._set(PROCESS_THREADS, lambda: float(process.num_threads()))
        give_way()
        self._set(HOST_CPU, lambda: self._cpu_ratio(now))
        give_way()
        self._set(HOST_MEMORY, self._memory_ratio)
        for disk in self._disks.read(now):
            give_way()
            self._record(HOST_DISK, disk.used, mount=disk.mount)
            self._record(HOST_DISK_FULL_IN, disk.full_in_s, mount=disk.mount)

    def _set(self, metric: Metric, figure: Callable[[], float | None]) -> None:
        from psutil import Error

        try:
            value = figure()
        except (Error, OSError, AttributeError, ImportError, NotImplementedError):
            return  # there is no such function here, or the system refuses to tell
        self._record(metric, value)

    def _record(self, metric: Metric, value: float | None, **more: str) -> None:
        if value is None:
            return
        labels = {"host": self._host, **more}
        if "worker" in metric.labels:
            labels["worker"] = self._worker()
            if not labels["worker"]:
                return  # workers without a number yet would all be taken for one
        self._recorder.series(metric, labels).record(value)

    def _process_ratio(self, process: "Process", now: float) -> float | None:
        """Return the cores' worth of CPU used since the last sample."""
        times = process.cpu_times()
        used = times.user + times.system
        before, self._process_cpu = self._process_cpu, (now, used)
        if before is None or now <= before[0]:
            return None
        return max(0.0, used - before[1]) / (now - before[0])

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

    def _memory_ratio(self) -> float:
        """Return the share in use of the memory of the control group, else of the host."""
        import psutil

        memory = psutil.virtual_memory()
        limited = memory_share(self._root, total_bytes=memory.total)
        return limited if limited is not None else 1 - memory.available / memory.total


def _spent(times: Any) -> tuple[float, float]:
    """Return the seconds of psutil's times: all, and those in use."""
    # Linux counts the time of guests within user and nice as well.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total, total - times.idle - getattr(times, "iowait", 0.0)


def _descriptors_share(process: "Process") -> float | None:
    """Return the share of the descriptors that may be open (the soft limit); None without one."""
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # not on every platform

    limit, _ = getrlimit(RLIMIT_NOFILE)
    return process.num_fds() / limit if 0 < limit != RLIM_INFINITY else None


def _loaded() -> ModuleType:
    """Return psutil; a fork waits for its import, lest the child be left with half of it."""
    from watchkeeper.storage.fork_gate import IMPORT_PATIENCE_S, fork_gate

    with fork_gate.passing(patience_s=IMPORT_PATIENCE_S):
        import psutil

        return psutil
