"""Closing slots and writing them: the way of everything recorded into the database."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Final

from watchkeeper.core.budget import Storing
from watchkeeper.core.catalogue import (
    HTTP_ACTIVE,
    SELF_DROPPED,
    SELF_ERRORS,
    SELF_FLUSH,
    SELF_HELD,
    SELF_SERIES,
)
from watchkeeper.core.metrics import Scope
from watchkeeper.core.sampling import most_sampled
from watchkeeper.core.self_metrics import SELF_FAILED_FLUSHES
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.core.spool import NOBODY
from watchkeeper.core.units import format_duration
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.before_store import BeforeStore
from watchkeeper.runtime.crashes import Crashes
from watchkeeper.runtime.guard import guard, take_errors
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.held import Held
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.own_cost import OwnCost
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.samples import Sampler
from watchkeeper.runtime.spool import Spool

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Batch, CheckChange, CheckResult, Store, Worker

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 20.0
MAX_JITTER: Final = 1.25  # workers that lost the database together come back one by one
COMPLAIN_EVERY_S: Final = 60.0
MAX_FRESH: Final = (
    4  # frames kept until they are evaluated; of a longer backlog most are read back
)

_JOBS: Final = guard("jobs")
_log = logging.getLogger("watchkeeper")


class Writer:
    """Turns what was recorded into batches and writes them, oldest first.

    Used by the flusher's thread, and by the one that stops it if that thread waits for a database
    that does not answer. While the database is away it holds what was closed and tries again after
    1, 2, 4 … 20 s, give or take a quarter; what still waits at the end is spilled.
    """

    def __init__(
        self,
        *,
        scope: Scope,
        slot_s: int,
        recorder: Recorder,
        issues: Issues,
        health: Health,
        held: Held,
        clock: Callable[[], float],
        own_cost: OwnCost | None = None,
        observer: Observer | None = None,
        sampler: Sampler | None = None,
        before_store: BeforeStore | None = None,
        spool: Spool | None = None,
        capture_crashes: bool = False,
    ) -> None:
        """Connect to the parts that record."""
        self._observer = observer
        self._sampler = sampler
        self._before_store = before_store or BeforeStore(None)
        self.own_cost = own_cost or OwnCost(recorder, slot_s=slot_s)
        self.scope = scope
        self.slot_s = slot_s
        self.held = held
        self.spool = spool or Spool(scope, clock=clock)
        self.crashes = Crashes(issues, self.spool.folders, enabled=capture_crashes)
        self.worker: Worker | None = None
        self.away_since: float | None = None
        self.next_try_at = 0.0
        self.leads: bool | None = None  # whether this worker holds the lease for evaluation
        self.storing = Storing.EVERYTHING  # how much there is room for
        self._recorder = recorder
        self._issues = issues
        self._health = health
        self._clock = clock
        self._new_locks()
        self._sequence = 0
        self._retry_s = FIRST_RETRY_S
        self._failed = 0  # attempts in a row
        self._complained_at = -COMPLAIN_EVERY_S
        self._dropped_before: dict[str, int] = {}
        self._no_room = 0  # events, samples and statements left out
        self._fresh: deque[Frame] = deque(maxlen=MAX_FRESH)
        self._write_s = 0.0  # how long the last write took, or the last attempt at one

    @property
    def is_pressed(self) -> bool:
        """Whether something new happened where nobody could wake the flusher."""
        return self._issues.is_pressing

    def close_slot(
        self,
        start: int,
        *,
        store: Store | None = None,
        pause: Callable[[], None] | None = None,
    ) -> None:
        """Take all that was recorded since the last call as part of the slot begun at `start`.

        `store` is asked what other processes know of jobs; `pause` is called between pieces of
        longer work.
        """
        if self._observer is not None:
            self._observer.pools.sample()
            if self.worker is not None:  # those without a number would all be taken for one
                self._observer.loop_lag.record(
                    host=socket.gethostname(), worker=str(self.worker.number)
                )
            with _JOBS:
                self._observer.jobs.sample(
                    self._clock(),
                    memory=store,
                    scope=self.scope,
                    slot_s=self.slot_s,
                    leads=self.leads is True,
                    last=self._health.draining,
                )
        with self._taking:
            self._hold(self._taken(start, pause))
            self.crashes.taken()

    def _hold(self, batch: Batch) -> None:
        with self._lock:
            self.held.add(batch)

    def _taken(self, start: int, pause: Callable[[], None] | None) -> Batch:
        """Take what was recorded, as a batch that has no owner yet."""
        from watchkeeper.storage.store import Batch

        self._record_self()
        issues, events = self._issues.take(pause=pause)
        samples = self._sampler.take(pause=pause) if self._sampler is not None else []
        checks, changes = self._checked()
        self._sequence += 1
        batch = Batch(
            scope=self.scope,
            frame=Frame(
                key=FrameKey(self.slot_s, start, 0, self._sequence),
                values=scrubbing.values(self._recorder.take()),
            ),
            at=self._clock(),
            issues=issues,
            events=self._before_store.events(events),
            checks=checks,
            check_changes=changes,
            samples=self._before_store.samples(samples),
            statements=self._observer.statements.take() if self._observer is not None else (),
        )
        return batch if self.storing > Storing.COUNTS else self._counts_of(batch)

    def write(self, store: Store) -> bool:
        """Write what is held; True if nothing is left, or nothing is to be written for now."""
        if self.is_waiting(self._clock()):
            return False
        if self.storing is Storing.NOTHING:
            return self._show(store)
        while (batch := self.held.oldest()) is not None:
            started = perf_counter()
            try:
                owned = self._owned(batch, store)
                if owned is None:
                    continue
                store.write(owned)
            except StorageError as error:
                self._postpone(str(error))
                return False
            finally:
                self._write_s = perf_counter() - started
            with self._lock:
                self.held.written(batch)
            self._fresh.append(owned.frame)
            self._recorder.series(SELF_FLUSH, {}).record(self._write_s)
        self._is_back()
        self.crashes.stored()
        return True

    def learn(self, store: Store) -> None:
        """Ask which issues are ignored, and what others know of health checks."""
        from watchkeeper.runtime.cluster_checks import meet

        scope, worker = self.scope, self.worker.id if self.worker is not None else None
        with guard("health checks"):
            now = self._clock()
            meet(self._health, store, scope, worker=worker, slot_s=self.slot_s, now=now)
        self.learn_ignored(store)

    def learn_ignored(self, store: Store) -> None:
        """Ask which issues are ignored: they are counted only."""
        self._issues.groups.ignored = store.ignored_fingerprints(
            service=self.scope.service, environment=self.scope.environment
        )

    def store_only(self, storing: Storing) -> None:
        """Store so much from now on, as the room for it allows; of samples as much as fits it."""
        self.storing = storing
        if self._sampler is not None:
            self._sampler.limit(most_sampled(storing))

    def is_waiting(self, now: float) -> bool:
        """Tell whether it is too early for the next try; a clock set back ends the wait."""
        return 0 < self.next_try_at - now <= LAST_RETRY_S * MAX_JITTER

    def spill(self, *, last_slot: int | None = None, within_s: float) -> None:
        """Put what still waits into a file, for the next process; take about `within_s` at most.

        With `last_slot`, the start of the open one, that is closed before. May be called while
        another thread is in the midst of `write`, for the process ends. That one may still
        succeed: the keys in the file are those that it writes, so the repetition is found; and
        what nobody owned when it was spilled, it leaves alone.
        """
        until = monotonic() + within_s
        if last_slot is not None:
            if self._taking.acquire(timeout=within_s / 2):
                try:
                    self._hold(self._taken(last_slot, None))
                finally:
                    self._taking.release()
            else:  # a callback of the host's hangs
                _log.error("watchkeeper: the last slot could not be closed; it is lost.")
        with self._lock:
            batches, worker = self.held.clear(), self.worker
        if batches:
            self.spool.spill(batches, worker=worker.id if worker else NOBODY, deadline=until)
            self.crashes.stored()

    def take_fresh(self) -> list[Frame]:
        """Return the frames written since the last call, of many the newest."""
        fresh = list(self._fresh)
        self._fresh.clear()
        return fresh

    def unavailable(self, problem: str, *, reached: bool = False) -> None:
        """Note that the database could not be used; `reached`: not because it is away."""
        self._postpone(problem, reached=reached)

    def reset(self) -> None:
        """Start anew in a forked child: the parent keeps its worker and what it holds."""
        self.worker = None
        self.leads = None
        self._sequence = 0
        self._new_locks()  # another thread of the parent may hold the old ones
        self.held.clear()
        self.spool.reset()
        self.crashes.reset()
        self._fresh.clear()
        self.own_cost.reset()

    def _show(self, store: Store) -> bool:
        """Leave what is held in memory, but let rules see the newest of it.

        Only this worker's is seen meanwhile, by itself: nothing of the others is in the store.
        """
        newest = self.held.newest()
        if newest is None:
            return True
        try:
            worker = self._registered(store)
        except StorageError as error:
            self._postpone(str(error))
            return False
        with self._lock:
            self.worker = worker
        self._fresh.append(newest.owned_by(worker.id).frame)
        return True

    def _counts_of(self, batch: Batch) -> Batch:
        """Return a batch without what takes room and is not counted in metrics."""
        self._no_room += len(batch.events) + len(batch.samples) + len(batch.statements)
        return replace(batch, events=(), samples=(), statements=())

    def _new_locks(self) -> None:
        self._taking = threading.Lock()  # while a slot is closed
        self._lock = threading.Lock()  # over what is held and whose it is: never for long

    def _registered(self, store: Store) -> Worker:
        """Return this worker, which the first write of all registers."""
        if self.worker is not None:
            return self.worker
        self.spool.meet(store)
        return store.register(
            self.scope, host=socket.gethostname(), pid=os.getpid(), at=self._clock()
        )

    def _owned(self, batch: Batch, store: Store) -> Batch | None:
        """Put the worker's id into the frame's key.

        From now on the batch stays as it is: it may be in the database without our knowing.
        None: the batch was spilled meanwhile without an owner, and is another's to write.
        """
        worker = self._registered(store)
        with self._lock:
            if self.held.oldest() is not batch:
                return None
            self.held.tried(batch)
            self.worker = worker
        return batch.owned_by(worker.id)

    def _checked(self) -> tuple[list[CheckResult], list[CheckChange]]:
        """Return what health checks told that are run here.

        Until it is known which ones are (see `cluster_checks`), results wait.
        """
        return self._health.take() if self._health.has_met else ([], [])

    def _record_self(self) -> None:
        """Record how Watchkeeper itself is doing, as metrics like any other."""
        record = self._recorder.series
        for where, count in take_errors().items():
            record(SELF_ERRORS, {"where": where}).record(count)
        for what, count in self._dropped().items():
            record(SELF_DROPPED, {"what": what}).record(count)
        record(SELF_SERIES, {}).record(self._recorder.size)
        record(SELF_HELD, {}).record(len(self.held))
        record(SELF_FAILED_FLUSHES, {}).record(self._failed)
        record(HTTP_ACTIVE, {}).record(len(self._recorder.active))
        _, requests = self._recorder.local_rate()
        self.own_cost.slot_closed(
            self._clock(),
            requests=requests,
            flush_s=self._write_s,
            failing=self.away_since is not None,
        )
        for sentence in self._recorder.newly_folded():
            _log.warning("watchkeeper: %s", sentence)

    def _dropped(self) -> Mapping[str, int]:
        """Return what was left out since the last slot, by what it was."""
        totals = {
            **self._recorder.dropped,
            "issues": self._issues.groups.dropped + self.held.folded_issues,
            "events": self.held.dropped_events,
            "before_store": self._before_store.dropped,
            "no_room": self._no_room,
            "samples": self.held.dropped_samples
            + (self._sampler.dropped if self._sampler is not None else 0),
            "statements": self.held.dropped_statements,
        }
        grown = {
            what: total - self._dropped_before.get(what, 0)
            for what, total in totals.items()
            if total > self._dropped_before.get(what, 0)
        }
        self._dropped_before = totals
        return grown

    def _postpone(self, problem: str, *, reached: bool = False) -> None:
        now = self._clock()
        self.away_since = now if self.away_since is None else min(now, self.away_since)
        pause_s = self._retry_s * random.uniform(0.75, MAX_JITTER)  # noqa: S311  # jitter, not a secret
        self.next_try_at = now + pause_s
        self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)
        self._failed += 1
        if abs(now - self._complained_at) >= COMPLAIN_EVERY_S:
            self._complained_at = now
            away = format_duration(max(1, round(now - self.away_since)))
            _log.warning(
                "watchkeeper: %s; %d slots held, none lost yet; next try in %s.",
                problem if reached else f"database unreachable for {away} ({problem})",
                len(self.held),
                format_duration(round(pause_s, 1)),
            )

    def _is_back(self) -> None:
        if self.away_since is not None:
            _log.warning(
                "watchkeeper: database is back after %s; everything held is written.",
                format_duration(max(1, round(self._clock() - self.away_since))),
            )
        self.away_since = None
        self._retry_s = FIRST_RETRY_S
        self._failed = 0
        self._complained_at = -COMPLAIN_EVERY_S
