"""Workers and frames in memory."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage import rows
from watchkeeper.storage.memory.releases import MemoryReleases
from watchkeeper.storage.memory.tables import Stored, drop, put, same_scope
from watchkeeper.storage.records import MAX_PAST_WORKERS, WORKER_SILENT_S
from watchkeeper.storage.store import Worker


class MemoryFrames(MemoryReleases):
    """Workers and frames in memory."""

    __slots__ = ()

    def register(self, scope: Scope, *, host: str, pid: int, at: float) -> Worker:
        """Add a worker: a new id, and the smallest number free among the live ones."""
        with self._lock:
            taken = {
                worker.number
                for worker in self._workers.values()
                if rows.is_live(worker, scope, at=at)
            }
            worker = Worker(
                id=self._next_id("worker"),
                number=rows.smallest_free(taken),
                scope=scope,
                host=host,
                pid=pid,
                started_at=at,
                seen_at=at,
            )
            self._workers[worker.id] = worker
            mark = rows.first_mark(worker)
            if mark is not None:
                self._add_mark(mark)
            return worker

    def stop_worker(self, worker: int, *, at: float) -> None:
        """Mark a worker as cleanly stopped."""
        with self._lock:
            if worker in self._workers:
                self._workers[worker] = replace(self._workers[worker], stopped_at=at)

    def workers(self, *, service: str, environment: str, seen_since: float) -> list[Worker]:
        """List the workers of a scope that wrote since, newest heartbeat first."""
        with self._lock:
            found = [
                worker
                for worker in self._workers.values()
                if same_scope(worker.scope, service, environment) and worker.seen_at >= seen_since
            ]
        return sorted(found, key=_heartbeat, reverse=True)

    def frames(
        self,
        resolution: int,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        skip: Collection[FrameKey] = (),
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the scope's frames whose slot starts in [since, until), oldest first."""
        skipped, wanted = frozenset(skip), None if metrics is None else frozenset(metrics)
        with self._lock:
            found = [
                stored
                for key, stored in self._frames.items()
                if key.resolution == resolution
                and since <= key.start < until
                and key not in skipped
                and (stored.scope is None or same_scope(stored.scope, service, environment))
            ]
        frames = (
            rows.narrowed(
                stored.frame,
                scope=None if stored.scope else (service, environment),
                metrics=wanted,
            )
            for stored in found
        )
        return sorted((frame for frame in frames if frame is not None), key=lambda one: one.key)

    def rolled_until(self, resolution: int, *, since: float) -> float:
        """Return the end of the newest frame of this resolution at or after `since`."""
        with self._lock:
            starts = [key.start for key in self._frames if key.resolution == resolution]
        newest = max((start for start in starts if start >= since), default=None)
        return since if newest is None else float(newest + resolution)

    def unrolled(self, resolution: int, *, before: float, limit: int) -> list[Frame]:
        """Read frames that ended at or before `before` and are in no coarser frame yet."""
        with self._lock:
            found = sorted(
                (
                    stored.frame
                    for key, stored in self._frames.items()
                    if key.resolution == resolution
                    and key.start + resolution <= before
                    and not stored.rolled
                ),
                key=lambda frame: frame.key,
            )
        kept = rows.whole_minutes([frame.key for frame in found[: limit + 1]], limit=limit)
        return found[: len(kept)]

    def write_rollup(self, rolled: Sequence[Frame], sources: Collection[FrameKey]) -> bool:
        """Write coarser frames and mark their sources, or change nothing and return False."""
        with self._lock:
            marked = [self._frames.get(key) for key in set(sources)]
            if any(stored is None or stored.rolled for stored in marked):
                return False
            for stored in marked:
                if stored is not None:
                    stored.rolled = True
            for frame in rolled:
                key = frame.key
                while key in self._frames:
                    key = replace(key, sequence=key.sequence + 1)
                put(self._frames, key, Stored(replace(frame, key=key), None))
            return True

    def add_frames(self, frames: Sequence[Frame]) -> None:
        """Write ready-made frames without a worker's heartbeat; a key that exists stays."""
        with self._lock:
            for frame in frames:
                if frame.key not in self._frames:
                    worker = self._workers.get(frame.key.worker)
                    scope = worker.scope if worker else None
                    put(self._frames, frame.key, Stored(frame, scope))

    def prune_frames(self, resolution: int, *, before: float, limit: int) -> int:
        """Delete up to `limit` frames that start before; return how many."""
        with self._lock:
            old = [k for k in self._frames if k.resolution == resolution and k.start < before]
            return drop(self._frames, sorted(old)[:limit])

    def prune_workers(self, *, before: float, limit: int, most: int = MAX_PAST_WORKERS) -> int:
        """Delete up to `limit` workers last seen before, or past and not among the newest."""
        with self._lock:
            return drop(
                self._workers, past_workers(self._workers.values(), before, most=most)[:limit]
            )

    def prune_series(self, *, before: float, limit: int) -> int:
        """Delete nothing: a series is held by what names it, and goes with it."""
        return 0


def past_workers(
    workers: Iterable[Worker], before: float, *, most: int = MAX_PAST_WORKERS
) -> list[int]:
    """Find workers last seen before, or past and not among the newest of their scope."""
    old: list[int] = []
    scopes: dict[tuple[str, str], list[Worker]] = {}
    for worker in sorted(workers, key=_heartbeat, reverse=True):
        place = (worker.scope.service, worker.scope.environment)
        newer = scopes.setdefault(place, [])
        newer.append(worker)
        silent_at = newer[0].seen_at - WORKER_SILENT_S
        past = worker.stopped_at is not None or worker.seen_at < silent_at
        if worker.seen_at < before or (past and len(newer) > most):
            old.append(worker.id)
    return old


def _heartbeat(worker: Worker) -> tuple[float, int]:
    return worker.seen_at, worker.id
