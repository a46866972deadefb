"""The one daemon thread: it flushes, evaluates, delivers and tidies up, in that order."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from watchkeeper.core.budget import Storing
from watchkeeper.core.pace import Reason, Trouble, is_trouble, next_flush, noticed
from watchkeeper.core.slot import slot_start
from watchkeeper.exceptions import (
    ConfigurationError,
    SchemaError,
    StorageError,
    UpgradeNeededError,
)
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.own_health import OwnHealth
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.resources import Resources
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.writer import Writer

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.outbox import Outbox
    from watchkeeper.runtime.upkeep import Upkeep
    from watchkeeper.storage.store import Store, Worker

LOOK_EVERY_S: Final = 1.0  # how long the thread sleeps at most; also bounds a stop
SHORTEST_SLEEP_S: Final = 0.01  # something overdue that cannot start now must not spin
STOP_WITHIN_S: Final = 2.0
SPILL_WITHIN_S: Final = 0.75  # of that, for what the database did not take
MARGIN_S: Final = 0.15  # of that, until the file is on the disk

_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the flusher drives; `open_store` may be slow and raise, the others are in memory."""

    recorder: Recorder
    health: Health
    rules: RulesInForce
    own_health: OwnHealth
    resources: Resources
    writer: Writer
    open_store: Callable[[], Store]
    migrates: bool  # whether this process may change the tables
    make_engine: Callable[[Store, Callable[[], None]], AlertEngine]  # with its pause
    make_outbox: Callable[[Store], Outbox]
    make_upkeep: Callable[[Store, Callable[[Storing], None], Callable[[], None]], Upkeep]
    clock: Callable[[], float]
    slot_s: int
    jitter_s: float


class _Run:
    """One run of the thread, from its start to its stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.ends_at = 0.0  # by `monotonic`; nobody waits for the thread after that
        self.closed = False  # the last slot is closed
        self.taken_over = False  # what the thread holds was spilled by who stopped it


class Flusher:
    """Runs everything that is not recording, in one thread, so that no request waits for it."""

    def __init__(self, parts: Parts) -> None:
        """Prepare; nothing runs before `start`."""
        self.store: Store | None = None
        self.failure = ""  # why storing is off for good, in a sentence for people
        self.evaluated_at = 0.0
        self._seen_at = 0.0  # when anybody last evaluated, as last looked at
        self._parts = parts
        self._background = parts.writer.own_cost.background
        self._engine: AlertEngine | None = None
        self._outbox: Outbox | None = None
        self._upkeep: Upkeep | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._this = _Run()
        # One cycle at a time: the thread's, or that of a caller of `flush`.
        self._cycle = threading.Lock()
        self._restart()

    @property
    def worker(self) -> Worker | None:
        """This process as the store knows it, or None before the first write."""
        return self._parts.writer.worker

    def start(self, *, obstacle: str = "") -> None:
        """Start the thread; once only. With an obstacle, a sentence, say it and store nothing."""
        if obstacle:
            self._give_up(obstacle)
        elif self._thread is None:
            self._this = _Run()  # an earlier thread that hangs keeps its own
            self._thread = threading.Thread(
                target=self._run, args=(self._this,), name="watchkeeper", daemon=True
            )
            self._thread.start()

    def wake(self) -> None:
        """Make the thread look for trouble now; cheap, and safe in any thread."""
        self._wake.set()

    def hurry(self) -> None:
        """Make the thread flush now, for something happened that somebody wants to know."""
        self._hurried = True
        self._wake.set()

    def stop(self, *, deadline_s: float = STOP_WITHIN_S) -> None:
        """Flush a last time, deliver what can be delivered, and end the thread.

        What the database does not take in time is spilled to a file: by the thread, or here if
        it waits for an answer.
        """
        thread, run = self._thread, self._this
        if thread is None:
            self._count_lost()
            self._spill(within_s=deadline_s)
            return
        run.ends_at = monotonic() + deadline_s
        run.stopping.set()
        self._wake.set()
        spill_s = min(SPILL_WITHIN_S, deadline_s / 2)
        thread.join(deadline_s - spill_s)
        if thread.is_alive():
            with guard("spill"):
                self._take_over(run)
            thread.join(max(0.0, run.ends_at - monotonic()))
        self._thread = None

    def flush(self) -> None:
        """Run one whole cycle now, in the caller's thread."""
        with self._cycle, self._background():
            self._flush(self._parts.clock(), quick=True)

    def forget(self) -> None:
        """Start anew in a forked child: threads and connections stayed with the parent."""
        self._thread = None
        self._wake = threading.Event()
        self._this = _Run()
        self._cycle = threading.Lock()
        self.store = self._engine = self._outbox = self._upkeep = None
        self._parts.writer.reset()
        self._parts.own_health.reset()
        self._restart()

    def _restart(self) -> None:
        now = self._parts.clock()
        self._slot = slot_start(now, self._parts.slot_s)
        self._flushed_at = now
        self._trouble: Trouble | None = None
        self._hurried = False

    def _run(self, run: _Run) -> None:
        with guard("flusher"), self._cycle, self._background():
            self._opened()  # so that the dashboard can answer before the first slot ends
            self._parts.resources.sample(self._parts.clock())
        while not run.stopping.is_set():
            with guard("flusher"), self._background():
                self._look()
        with guard("last flush"), self._cycle:
            self._close(run)

    def _look(self) -> None:
        """Sleep until something is due, then do it."""
        parts = self._parts
        at, reason = self._next_flush(parts.clock())
        if self._wake.wait(self._sleep_s(at)) or parts.writer.is_pressed:
            self._wake.clear()
            self._notice(parts.clock())
            at, reason = self._next_flush(parts.clock())
        now = parts.clock()
        with guard("health checks"):
            parts.health.run_due(now)
        if now >= at:
            with self._cycle:
                self._flush(now, quick=reason is not Reason.SLOT_ENDS)
        elif self._outbox is not None and self._outbox.is_due(now):
            with guard("outbox"):
                self._outbox.deliver(now=now)

    def _sleep_s(self, flush_at: float) -> float:
        """Return how long nothing is due: no flush, no check, no message to be tried again."""
        parts = self._parts
        waits = [flush_at - parts.clock(), LOOK_EVERY_S, parts.health.pending_soon()]
        waits += [self._outbox.pending_soon()] if self._outbox is not None else []
        return max(SHORTEST_SLEEP_S, min(wait for wait in waits if wait is not None))

    def _next_flush(self, now: float) -> tuple[float, Reason]:
        slot_end = self._slot + self._parts.slot_s
        if slot_end - now > 2 * self._parts.slot_s:  # the clock was set back
            self._restart()
            slot_end = self._slot + self._parts.slot_s
        return next_flush(
            self._trouble,
            flushed_at=self._flushed_at,
            slot_end=slot_end,
            now=now,
            has_news=self._hurried,
        )

    def _notice(self, now: float) -> None:
        """Judge whether what woke us, or this worker's open slot, is trouble."""
        parts = self._parts
        bad, total = parts.recorder.local_rate()
        rate = self._engine.thresholds.error_rate if self._engine else 0.0
        self._hurried = self._hurried or parts.writer.is_pressed
        if self._hurried or is_trouble(bad=bad, total=total, error_rate=rate):
            self._trouble = noticed(self._trouble, now=now)

    def _flush(self, now: float, *, quick: bool) -> None:
        """Close the slot, write it, evaluate, deliver, tidy up."""
        has_news = self._hurried
        self._close_slot(now)
        if not quick and not has_news:
            self._wait_a_little()
        self._write(quick=quick)

    def _close_slot(self, now: float) -> None:
        parts = self._parts
        with guard("resources"):
            parts.resources.sample(now)
        _give_way()
        self._notice(now)
        self._hurried = False  # what is new from here on is in the next slot, or in both
        parts.writer.close_slot(self._slot, store=self.store, pause=_give_way)
        self._flushed_at = now
        self._slot = slot_start(now, parts.slot_s)

    def _write(self, *, quick: bool) -> None:
        """Write what is held and do what then comes; nothing more while the database is away."""
        parts = self._parts
        store = self._opened()
        if store is None or not parts.writer.write(store):
            return
        with guard("alerts"):
            self._evaluate(store, quick=quick)
        with guard("outbox"):
            if self._outbox is not None:
                self._outbox.deliver(now=parts.clock())
        if not quick:
            with guard("spool"):
                self._replay(store)
            with guard("ignored issues"):
                parts.writer.learn(store)
            with guard("retention"):
                self._tidy(parts.clock())

    def _wait_a_little(self) -> None:
        """Keep many workers from writing in the same moment; trouble and news end the wait."""
        self._wake.wait(random.uniform(0, self._parts.jitter_s))  # noqa: S311  # no secret

    def _opened(self) -> Store | None:
        """Return the store, opening it at the first call and after a failure."""
        writer = self._parts.writer
        if self.failure:
            return None  # newer tables may be open, to be read
        if self.store is not None:
            return self.store
        if writer.is_waiting(self._parts.clock()):
            return None
        from watchkeeper.storage.fork_gate import IMPORT_PATIENCE_S, fork_gate

        with fork_gate.passing(patience_s=IMPORT_PATIENCE_S):
            writer.spool.prepare()
            writer.crashes.begin()
            try:
                store = self._parts.open_store()
                self._bring_up_to_date(store)
                engine = self._parts.make_engine(store, _give_way)
            except (ConfigurationError, SchemaError) as error:
                self._give_up(str(error))
                return None
            except UpgradeNeededError as error:
                store.close()
                writer.unavailable(str(error), reached=True)
                return None
            except StorageError as error:
                writer.unavailable(str(error))
                return None
            self._engine = engine
            self._outbox = self._parts.make_outbox(store)
            self._upkeep = self._parts.make_upkeep(store, writer.store_only, _give_way)
        self.store = store
        with guard("retention"):
            self._upkeep.follow()
        return store

    def _bring_up_to_date(self, store: Store) -> None:
        """Change the tables, or see whether somebody else has; newer ones are open to be read."""
        from watchkeeper.runtime.upgrades import bring_up_to_date

        try:
            bring_up_to_date(store, may_change=self._parts.migrates)
        except SchemaError:
            self.store = store
            raise

    def _give_up(self, failure: str) -> None:
        """Store nothing in this process any more, and say why: the sentence is all there is."""
        failure = scrubbing.text(failure)
        if failure != self.failure:
            self.failure = failure
            _log.error("watchkeeper: %s", self.failure)

    def _count_lost(self) -> None:
        """Say how many requests were counted in vain, where no thread could store them."""
        _, total = self._parts.recorder.local_rate()
        if self.failure and total:
            _log.warning("watchkeeper: %d requests were not stored: %s", total, self.failure)
            self._parts.recorder.take()  # said once

    def _evaluate(self, store: Store, *, quick: bool) -> None:
        """Evaluate if the lease is ours, or at once in trouble unless somebody just did."""
        parts = self._parts
        written_at, engine, fresh = parts.clock(), self._engine, parts.writer.take_fresh()
        scope = parts.writer.scope
        if engine is None or parts.writer.worker is None:
            return
        name, owner = f"alerts:{scope.service}:{scope.environment}", str(parts.writer.worker.id)
        lease = store.acquire(name, owner=owner, ttl_s=3 * parts.slot_s)
        parts.writer.leads = lease is not None
        seen_at = store.evaluated_at(service=scope.service, environment=scope.environment)
        parts.own_health.looked(seen_at, now=parts.clock())
        # By another's clock, which may be ahead: what was seen before is not since this flush.
        is_done, self._seen_at = written_at < seen_at != self._seen_at, seen_at
        if lease is None and (not quick or is_done):
            return
        now = parts.clock()
        parts.rules.keep_up(store, scope)
        engine.evaluate(now=now, fresh=fresh)
        self.evaluated_at = now
        parts.own_health.rules_failed(engine.failing)
        beats = parts.writer.leads and engine.is_telling
        parts.own_health.evaluated(store, scope, now=now, leads=beats)

    def _tidy(self, now: float) -> None:
        """Roll up, prune and look after the room that is left, once a minute."""
        if self._upkeep is not None and self._parts.writer.worker is not None:
            self._upkeep.run(now=now, owner=str(self._parts.writer.worker.id))

    def _replay(self, store: Store) -> None:
        """Write what stopped processes left, a little at a time."""
        writer = self._parts.writer
        if writer.worker is not None:
            with contextlib.suppress(StorageError):  # away again: the next slot will tell
                writer.spool.replay(store, owner=writer.worker.id, pause=_give_way)

    def _close(self, run: _Run) -> None:
        """Write the last slot, say goodbye, hand over."""
        parts = self._parts
        if not run.taken_over:
            self._close_slot(parts.clock())
        run.closed = True
        self._write(quick=True)
        self._spill(within_s=run.ends_at - monotonic() - MARGIN_S)
        if self._outbox is not None:
            self._outbox.stop(deadline_s=STOP_WITHIN_S / 2)
        store, worker = self.store, parts.writer.worker
        if store is not None and worker is not None and parts.writer.away_since is None:
            scope = parts.writer.scope
            store.stop_worker(worker.id, at=parts.clock())
            store.release(f"alerts:{scope.service}:{scope.environment}", owner=str(worker.id))
            store.release("retention", owner=str(worker.id))
        if store is not None:
            store.close()
        parts.writer.crashes.end()
        parts.writer.worker = None  # one that starts again is another worker

    def _take_over(self, run: _Run) -> None:
        """Close the last slot and spill all that waits, while the thread waits for an answer."""
        run.taken_over = True
        last_slot = None if run.closed else self._slot
        self._spill(last_slot=last_slot, within_s=run.ends_at - monotonic() - MARGIN_S)

    def _spill(self, *, last_slot: int | None = None, within_s: float) -> None:
        """Put what the database did not take into a file, unless storing is off for good."""
        if not self.failure:
            self._parts.writer.spill(last_slot=last_slot, within_s=max(MARGIN_S, within_s))


def _give_way() -> None:
    """Let request threads run if this thread has been busy for a while."""
    from watchkeeper.storage.turns import give_way

    give_way()
