"""What this process uses of CPU, memory, file descriptors and threads."""

from __future__ import annotations

import os
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Final

from watchkeeper.core.capacity_metrics import PROCESS_FDS_USED
from watchkeeper.core.catalogue import (
    PROCESS_CPU,
    PROCESS_FDS,
    PROCESS_MEMORY,
    PROCESS_THREADS,
)
from watchkeeper.core.process_metrics import (
    PROCESS_CPU_LIMIT,
    PROCESS_FAULTS,
    PROCESS_MEMORY_LIMIT,
    PROCESS_MEMORY_UNIQUE,
    PROCESS_SWITCHES,
    PROCESS_UPTIME,
)
from watchkeeper.runtime.cgroup import cpu_set, cpu_use, memory_use
from watchkeeper.runtime.figures import Figures
from watchkeeper.runtime.increases import Increases

if TYPE_CHECKING:
    from psutil import Process

LIMITS_EVERY_S: Final = 60.0  # limits are seldom changed
OWN_DESCRIPTORS: Final = "/proc/self/fd"
UNIQUE_EVERY_S: Final = 60.0
UNIQUE_SHARE: Final = 0.0001  # of a core, for a figure that makes the kernel walk all pages


class ProcessFigures:
    """The figures of one process; that of a forked child needs an object of its own."""

    def __init__(self, figures: Figures, process: Process, *, root: Path, cores: int) -> None:
        """Begin; ratios of CPU span the time since the call before, so the first has none."""
        self._figures = figures
        self._process = process
        self._root = root
        self._cores = cores
        self._cpu: tuple[float, float] | None = None  # (at, CPU seconds)
        self._grown = Increases()
        self._unique_at = -UNIQUE_EVERY_S  # when the unique memory was read
        self._unique_pause_s = UNIQUE_EVERY_S
        self._limits_at = -LIMITS_EVERY_S
        self._cores_allowed = float(cores)
        self._memory_limit: int | None = None

    def record(self, now: float) -> None:
        """Record every figure that the platform has."""
        figures, process = self._figures, self._process
        if not 0 <= now - self._limits_at < LIMITS_EVERY_S:
            self._limits_at = now
            figures.read(self._read_limits)
        figures.read(lambda: self._record_cpu(now))
        figures.read(self._record_memory)
        figures.read(lambda: self._record_unique(now))
        figures.read(self._record_descriptors)
        figures.set(PROCESS_THREADS, lambda: float(process.num_threads()))
        figures.set(PROCESS_UPTIME, lambda: max(0.0, now - process.create_time()))
        figures.read(self._record_usage)

    def _read_limits(self) -> None:
        import psutil

        groups = cpu_use(self._root, cores=self._cores).values()
        own = cpu_set(self._root, cores=self._cores)
        allowed = [float(len(own) if own else self._cores), *(group.cores for group in groups)]
        self._cores_allowed = min(allowed)
        limited = memory_use(self._root, total_bytes=psutil.virtual_memory().total)
        self._memory_limit = limited.limit if limited is not None else None

    def _record_cpu(self, now: float) -> None:
        """Record the cores' worth of CPU used since the last call, and which share that is."""
        times = self._process.cpu_times()
        used = times.user + times.system
        before, self._cpu = self._cpu, (now, used)
        if before is None or now <= before[0]:
            return
        cores = max(0.0, used - before[1]) / (now - before[0])
        self._figures.add(PROCESS_CPU, cores)
        self._figures.add(PROCESS_CPU_LIMIT, min(1.0, cores / self._cores_allowed))

    def _record_memory(self) -> None:
        resident = self._process.memory_info().rss
        self._figures.add(PROCESS_MEMORY, float(resident))
        if self._memory_limit is not None:
            share = min(1.0, resident / self._memory_limit)
            self._figures.add(PROCESS_MEMORY_LIMIT, share)

    def _record_unique(self, now: float) -> None:
        """Record what is this process' alone, as seldom as it is dear: 1 ms each 10 s at most."""
        rollup = self._root / "proc/self/smaps_rollup"
        if 0 <= now - self._unique_at < self._unique_pause_s or not rollup.exists():
            return
        before = thread_time()
        lines = rollup.read_text().splitlines()
        spent_s = thread_time() - before
        self._unique_at, self._unique_pause_s = now, max(UNIQUE_EVERY_S, spent_s / UNIQUE_SHARE)
        kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
        if kilobytes:
            self._figures.add(PROCESS_MEMORY_UNIQUE, sum(kilobytes) * 1024.0)

    def _record_descriptors(self) -> None:
        """Record the open descriptors, and their share of those that may be (the soft limit)."""
        # Linux tells their number from 6.2 on; counting 15,000 of them takes 10 ms.
        opened = os.stat(OWN_DESCRIPTORS).st_size if os.path.exists(OWN_DESCRIPTORS) else 0
        opened = opened or self._process.num_fds()
        self._figures.add(PROCESS_FDS, float(opened))
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # not on every platform

        limit, _ = getrlimit(RLIMIT_NOFILE)
        if 0 < limit != RLIM_INFINITY:
            self._figures.add(PROCESS_FDS_USED, opened / limit)

    def _record_usage(self) -> None:
        """Record what the kernel counts for the whole process: one call tells all of it."""
        from resource import RUSAGE_SELF, getrusage  # not on every platform

        usage = getrusage(RUSAGE_SELF)
        for metric, kind, count in (
            (PROCESS_SWITCHES, "voluntary", usage.ru_nvcsw),
            (PROCESS_SWITCHES, "involuntary", usage.ru_nivcsw),
            (PROCESS_FAULTS, "minor", usage.ru_minflt),
            (PROCESS_FAULTS, "major", usage.ru_majflt),
        ):
            self._figures.add(metric, self._grown.of((metric.name, kind), count), type=kind)
