"""Closing slots and writing them: the way of everything recorded into the database."""

from __future__ import annotations

import logging
import os
import random
import socket
from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

from watchkeeper.core.catalogue import (
    HTTP_ACTIVE,
    SELF_DROPPED,
    SELF_ERRORS,
    SELF_FLUSH,
    SELF_HELD,
    SELF_SERIES,
)
from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.core.units import format_duration
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.before_store import BeforeStore
from watchkeeper.runtime.guard import guard, take_errors
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.held import Held
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.own_cost import OwnCost
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.samples import Sampler

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Batch, CheckChange, CheckResult, Store, Worker

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 20.0
COMPLAIN_EVERY_S: Final = 60.0
MAX_FRESH: Final = (
    4  # frames kept until they are evaluated; of a longer backlog most are read back
)

_JOBS: Final = guard("jobs")
_log = logging.getLogger("watchkeeper")


class Writer:
    """Turns what was recorded into batches and writes them, oldest first.

    Used by the flusher's thread only. While the database is away it holds what was closed and
    tries again after 1, 2, 4 … 20 s, give or take a quarter.
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
    ) -> None:
        """Connect to the parts that record."""
        self._observer = observer
        self._sampler = sampler
        self._before_store = before_store or BeforeStore(None)
        self.own_cost = own_cost or OwnCost(recorder, slot_s=slot_s)
        self.scope = scope
        self.slot_s = slot_s
        self.held = held
        self.worker: Worker | None = None
        self.away_since: float | None = None
        self.next_try_at = 0.0
        self.leads: bool | None = None  # whether this worker holds the lease for evaluation
        self._recorder = recorder
        self._issues = issues
        self._health = health
        self._clock = clock
        self._sequence = 0
        self._retry_s = FIRST_RETRY_S
        self._complained_at = -COMPLAIN_EVERY_S
        self._dropped_before: dict[str, int] = {}
        self._fresh: deque[Frame] = deque(maxlen=MAX_FRESH)
        self._write_s = 0.0  # how long the last write took, or the last attempt at one

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
        from watchkeeper.storage.store import Batch

        self._record_self()
        issues, events = self._issues.take(pause=pause)
        samples = self._sampler.take(pause=pause) if self._sampler is not None else []
        if self._observer is not None:
            self._observer.pools.sample()
            with _JOBS:
                self._observer.jobs.sample(self._clock(), memory=store, scope=self.scope)
        checks, changes = self._checked()
        self._sequence += 1
        self.held.add(
            Batch(
                scope=self.scope,
                frame=Frame(
                    key=FrameKey(self.slot_s, start, 0, self._sequence),
                    values=self._recorder.take(),
                ),
                at=self._clock(),
                issues=issues,
                events=self._before_store.events(events),
                checks=checks,
                check_changes=changes,
                samples=self._before_store.samples(samples),
                statements=self._observer.statements.take() if self._observer is not None else (),
            )
        )

    def write(self, store: Store) -> bool:
        """Write what is held; True if nothing is left."""
        if self._clock() < self.next_try_at:
            return False
        while (batch := self.held.oldest()) is not None:
            started = perf_counter()
            try:
                owned = self._owned(batch, store)
                store.write(owned)
            except StorageError as error:
                self.held.tried()
                self._postpone(str(error))
                return False
            finally:
                self._write_s = perf_counter() - started
            self.held.written()
            self._fresh.append(owned.frame)
            self._recorder.series(SELF_FLUSH, {}).record(self._write_s)
        self._is_back()
        return True

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
        self.held.clear()
        self._fresh.clear()
        self.own_cost.reset()

    def _owned(self, batch: Batch, store: Store) -> Batch:
        """Put the worker's id into the frame's key; the first write of all registers it."""
        if self.worker is None:
            self.worker = store.register(
                self.scope, host=socket.gethostname(), pid=os.getpid(), at=self._clock()
            )
        return batch.owned_by(self.worker.id)

    def _checked(self) -> tuple[list[CheckResult], list[CheckChange]]:
        """Return what health checks told, from one worker of the cluster only.

        Every worker runs the checks, for its own probes; several telling the same check's row
        would mix their counts. Until it is known who leads, results wait.
        """
        if self.leads is None:
            return [], []
        results, changes = self._health.take()
        return (results, changes) if self.leads else ([], [])

    def _record_self(self) -> None:
        """Record how Watchkeeper itself is doing, as metrics like any other."""
        record = self._recorder.series
        for where, count in take_errors().items():
            record(SELF_ERRORS, {"where": where}).record(count)
        for what, count in self._dropped().items():
            record(SELF_DROPPED, {"what": what}).record(count)
        record(SELF_SERIES, {}).record(self._recorder.size)
        record(SELF_HELD, {}).record(len(self.held))
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
            "issues": self._issues.dropped,
            "events": self.held.dropped_events,
            "before_store": self._before_store.dropped,
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
        self.away_since = now if self.away_since is None else self.away_since
        pause_s = self._retry_s * random.uniform(0.75, 1.25)  # noqa: S311  # jitter, not a secret
        self.next_try_at = now + pause_s
        self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)
        if now - self._complained_at >= COMPLAIN_EVERY_S:
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
        self._complained_at = -COMPLAIN_EVERY_S
