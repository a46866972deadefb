"""A store in memory: for tests, and for looking around without a database."""

from dataclasses import replace

from watchkeeper.storage.memory.admin import MemoryAdmin
from watchkeeper.storage.memory.alerts import MemoryAlerts
from watchkeeper.storage.memory.checks import MemoryChecks
from watchkeeper.storage.memory.erasure import MemoryErasure
from watchkeeper.storage.memory.frames import MemoryFrames
from watchkeeper.storage.memory.hours import MemoryHours
from watchkeeper.storage.memory.issues import MemoryIssues
from watchkeeper.storage.memory.pages import MemoryPages
from watchkeeper.storage.memory.past import MemoryPast
from watchkeeper.storage.memory.rules import MemoryRules
from watchkeeper.storage.memory.samples import MemorySamples
from watchkeeper.storage.memory.tables import Stored, put
from watchkeeper.storage.store import ALL_WORKERS, Batch, Written

__all__ = ["MemoryStore"]


class MemoryStore(
    MemoryFrames,
    MemoryHours,
    MemoryIssues,
    MemorySamples,
    MemoryAlerts,
    MemoryChecks,
    MemoryRules,
    MemoryAdmin,
    MemoryPast,
    MemoryErasure,
    MemoryPages,
):
    """A whole store in memory, as exact as the others; gone with the process."""

    __slots__ = ()

    def write(self, batch: Batch) -> Written:
        """Write a flush. A second write of the same frame key changes nothing at all."""
        key = batch.frame.key
        with self._lock:
            if key in self._frames:
                return Written.DUPLICATE
            everyone = key.worker == ALL_WORKERS
            put(self._frames, key, Stored(batch.frame, None if everyone else batch.scope))
            for found in batch.issues:
                self._add_count(batch.scope, key, found)
            for event in batch.events:
                self._keep_event(batch.scope, event)
            for sample in batch.samples:
                self._keep_sample(batch.scope, sample)
            for statement in batch.statements:
                self._keep_statement(batch.scope, statement)
            self._keep_checks(batch)
            worker = self._workers.get(key.worker)
            if worker is not None and worker.seen_at < batch.at:
                self._workers[worker.id] = replace(worker, seen_at=batch.at)
            return Written.STORED
