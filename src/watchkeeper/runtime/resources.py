"""What this process and its host use, looked at every ten seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Final

from watchkeeper.core.process_metrics import HTTP_OLDEST
from watchkeeper.runtime.cgroup import membership
from watchkeeper.runtime.figures import Figures
from watchkeeper.runtime.garbage import Garbage
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.reporter import Reporter, usual_place

if TYPE_CHECKING:  # loaded with psutil, so that the host's start does not wait
    from watchkeeper.runtime.host_figures import GroupFigures, HostFigures
    from watchkeeper.runtime.process_figures import ProcessFigures

ROOT: Final = Path("/")
LOOK_EVERY_S: Final = 10.0
EARLY: Final = 0.75  # of that: looks are taken when slots end, which is not to the millisecond


class Resources:
    """Sets the figures of one process and its host, whenever it is asked to.

    Of the workers that share a control group one reports that group, and of those that share a
    host one reports the host. What a platform does not tell has no series, never a zero.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        host: str,
        worker: Callable[[], str],
        folders: Callable[[], Sequence[Path]] = list,
        deployment: Callable[[], str] = str,
        every_s: float = 0.0,
        root: Path = ROOT,
        cores: int | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        """Prepare; psutil is imported at the first sample.

        `worker` names this process among those of the host, or is empty as long as it has no
        name: until then its own figures are left out. `folders` are on the file systems that are
        looked at. Workers of one `deployment` share what is reported; it is asked for at the first
        sample, as are the folders: finding them may touch the disk. `every_s` is how long a
        sample is good for; `root` holds `proc` and `sys`; `cores` are the machine's.
        """
        self._recorder = recorder
        self._host = host
        self._worker = worker
        self._folders = folders
        self._deployment = deployment
        self._every_s = every_s
        self._root = root
        self._cores = cores or os.cpu_count() or 1
        self._reporter = reporter
        self._figures = Figures(recorder, host=host, worker=worker)
        self._garbage = Garbage(recorder)
        self._pid = 0  # whose figures these are
        self._sampled_at = 0.0
        self._shared = ""  # the name of what the workers of a host share
        self._process: ProcessFigures | None = None
        self._group_figures: GroupFigures | None = None
        self._host_figures: HostFigures | None = None

    def sample(self, now: float) -> None:
        """Set every figure that this platform has, unless it was done a moment ago."""
        is_new = self._pid != os.getpid()
        if not is_new and 0 <= now - self._sampled_at < self._every_s * EARLY:
            return
        self._sampled_at = now
        process = self._begun() if is_new or self._process is None else self._process
        process.record(now)
        if worker := self._worker():
            self._garbage.record(host=self._host, worker=worker)
        self._record_oldest()
        self._report(now)

    def _begun(self) -> ProcessFigures:
        """Begin in a process that may be the child of another one that did."""
        psutil = _loaded()
        from watchkeeper.runtime.process_figures import ProcessFigures

        self._pid = os.getpid()
        self._shared = f"{self._deployment()}\0{self._host}"
        self._process = ProcessFigures(
            self._figures, psutil.Process(), root=self._root, cores=self._cores
        )
        self._group_figures = self._host_figures = None
        self._garbage.reset()
        self._garbage.start()
        return self._process

    def close(self) -> None:
        """Leave the interpreter as it was, and what is shared to others."""
        self._garbage.stop()
        if self._reporter is not None:
            self._reporter.close()
        self._process = self._group_figures = self._host_figures = None

    def _record_oldest(self) -> None:
        """Record how old the oldest request is that is being answered."""
        begun = min(self._recorder.active, default=None)
        age_s = 0.0 if begun is None else max(0.0, perf_counter() - begun)
        self._recorder.series(HTTP_OLDEST).record(age_s)

    def _report(self, now: float) -> None:
        """Record what is shared, if it is this worker's turn; what it knows of it else goes."""
        if self._reporter is None:
            self._reporter = Reporter(usual_place())
        group = membership(self._root)
        if self._reporter.reports(f"{self._shared}\0{group}"):
            if self._group_figures is None:
                from watchkeeper.runtime.host_figures import GroupFigures

                self._group_figures = GroupFigures(
                    self._figures, root=self._root, cores=self._cores
                )
            self._group_figures.record(now)
        else:
            self._group_figures = None
        if self._reporter.reports(self._shared):
            if self._host_figures is None:
                from watchkeeper.runtime.host_figures import HostFigures

                self._host_figures = HostFigures(self._figures, folders=self._folders)
            self._host_figures.record(now)
        else:
            self._host_figures = None


def _loaded() -> ModuleType:
    """Return psutil; a fork waits for its import, lest the child be left with half of it."""
    from watchkeeper.storage.fork_gate import IMPORT_PATIENCE_S, fork_gate

    with fork_gate.passing(patience_s=IMPORT_PATIENCE_S):
        import psutil

        return psutil
