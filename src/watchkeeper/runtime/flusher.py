"""The daemon thread: it flushes, evaluates, delivers and tidies up, in that order."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from watchkeeper.core.pace import Reason, Trouble, is_trouble, next_flush, noticed
from watchkeeper.core.slot import slot_start
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.check_thread import CheckThread
from watchkeeper.runtime.evaluating import Evaluating, lease_name
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.opening import Opening, give_way
from watchkeeper.runtime.parts import Parts

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.outbox import Outbox
    from watchkeeper.storage.store import Store, Worker

LOOK_EVERY_S: Final = 1.0  # how long the thread sleeps at most; also bounds a stop
SHORTEST_SLEEP_S: Final = 0.01  # something overdue that cannot start now must not spin
STOP_WITHIN_S: Final = 2.0
SPILL_WITHIN_S: Final = 0.75  # of that, for what the database did not take
MARGIN_S: Final = 0.15  # of that, until the file is on the disk

_log = logging.getLogger("watchkeeper")


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
        self._parts = parts
        self._opening = Opening(parts)
        self._background = parts.writer.own_cost.background
        self._checks = CheckThread(parts.health, clock=parts.clock, background=self._background)
        self._evaluating = Evaluating(
            writer=parts.writer,
            rules=parts.rules,
            own_health=parts.own_health,
            clock=parts.clock,
            slot_s=parts.slot_s,
        )
        self._thread: threading.Thread | None = None
        self._lacks_thread = False  # it could not start: nobody closes the slot in time
        self._wake = threading.Event()
        self._this = _Run()
        # One cycle at a time: the thread's, or that of a caller of `flush`.
        self._cycle = threading.Lock()
        self._restart()

    @property
    def store(self) -> Store | None:
        """The open store, which may be newer than we are and only to be read; None before."""
        return self._opening.store

    @property
    def failure(self) -> str:
        """Why storing is off for good, in a sentence for people; empty while it is not."""
        return self._opening.failure

    @property
    def evaluated_at(self) -> float:
        """When this worker last evaluated the rules, in seconds since the epoch; 0: never."""
        return self._evaluating.done_at

    @property
    def worker(self) -> Worker | None:
        """This process as the store knows it, or None before the first write."""
        return self._parts.writer.worker

    def start(self, *, obstacle: str = "") -> None:
        """Start the thread; once only. With an obstacle, a sentence, say it and store nothing.

        Raises RuntimeError if there can be no more threads now; a later call tries again.
        """
        if obstacle:
            self._opening.give_up(obstacle)
        elif self._thread is None:
            if not self._lacks_thread:  # else what was recorded meanwhile is from then
                self._slot = slot_start(self._parts.clock(), self._parts.slot_s)
            run = _Run()  # an earlier thread that hangs keeps its own
            thread = threading.Thread(
                target=self._run, args=(run,), name="watchkeeper", daemon=True
            )
            self._lacks_thread = True
            thread.start()
            self._lacks_thread = False
            self._this, self._thread = run, thread

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
            lacked, self._lacks_thread = self._lacks_thread, False
            self._count_lost()
            self._spill(last_slot=self._slot if lacked else None, within_s=deadline_s)
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
            self._flush(self._parts.clock(), None)

    def forget(self) -> None:
        """Start anew in a forked child: threads and connections stayed with the parent."""
        self._thread = None
        self._lacks_thread = False
        self._wake = threading.Event()
        self._this = _Run()
        self._cycle = threading.Lock()
        self._evaluating.engine = None
        self._opening.reset()
        self._parts.writer.reset()
        self._parts.own_health.reset()
        self._restart()

    def _restart(self) -> None:
        self._flushed_at = now = self._parts.clock()
        self._slot = slot_start(now, self._parts.slot_s)
        self._trouble: Trouble | None = None
        self._hurried = False

    def _run(self, run: _Run) -> None:
        with guard("flusher"), self._cycle, self._background():
            self._opening.resume()
            self._opened()  # so that the dashboard can answer before the first slot ends
            self._parts.resources.sample(self._parts.clock())
        while not run.stopping.is_set():
            with guard("health checks"):
                self._checks.keep(run.stopping)
            with guard("flusher"), self._background():
                self._look()
        self._checks.join()
        with self._cycle:
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
        if now >= at:
            with self._cycle:
                self._flush(now, reason)
        elif (outbox := self._retrying) is not None and outbox.is_due(now):
            with guard("outbox"):
                outbox.deliver(now=now)

    def _sleep_s(self, flush_at: float) -> float:
        """Return how long nothing is due: no flush, no message to be tried again."""
        parts = self._parts
        waits = [flush_at - parts.clock(), LOOK_EVERY_S]
        if (outbox := self._retrying) is not None and (due_s := outbox.pending_soon()) is not None:
            waits.append(due_s)
        return max(SHORTEST_SLEEP_S, min(waits))

    @property
    def _retrying(self) -> Outbox | None:
        """The outbox, unless the database is away: that it is back is found out by a flush."""
        return self._opening.outbox if self._parts.writer.away_since is None else None

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
            bad=self._parts.recorder.bad,
            has_news=self._hurried,
        )

    def _notice(self, now: float) -> None:
        """Judge whether what woke us, or this worker's open slot, is trouble."""
        parts = self._parts
        bad, total = parts.recorder.local_rate()
        rate = self._evaluating.error_rate
        self._hurried = self._hurried or parts.writer.is_pressed
        if self._hurried or is_trouble(bad=bad, total=total, error_rate=rate):
            self._trouble = noticed(self._trouble, now=now)

    def _flush(self, now: float, reason: Reason | None) -> None:
        """Close the slot, write it, evaluate, deliver, tidy up; without a reason: as was asked."""
        has_news = self._hurried
        self._close_slot(now)
        if reason is Reason.SLOT_ENDS and not has_news:
            self._wait_a_little()
        self._write(reason)

    def _close_slot(self, now: float) -> None:
        parts = self._parts
        with guard("resources"):
            parts.resources.sample(now)
        give_way()
        self._notice(now)
        self._hurried = False  # what is new from here on is in the next slot, or in both
        parts.writer.close_slot(self._slot, store=self.store, pause=give_way)
        self._flushed_at = now
        self._slot = slot_start(now, parts.slot_s)

    def _write(self, reason: Reason | None) -> None:
        """Write what is held and do what then comes; nothing more while the database is away."""
        parts = self._parts
        store = self._opened()
        if store is None or not parts.writer.write(store):
            return
        with guard("alerts"):
            self._evaluating.run(store, reason)
        with guard("outbox"):
            if self._opening.outbox is not None and not self._evaluating.holds_messages:
                self._opening.outbox.deliver(now=parts.clock())
        if reason is Reason.SLOT_ENDS:
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
        """Return the store if it can be used, opening it first if need be."""
        store = self._opening.opened()
        self._evaluating.engine = self._opening.engine
        return store

    def _count_lost(self) -> None:
        """Say how many requests were counted in vain, where no thread could store them."""
        _, total = self._parts.recorder.local_rate()
        if self.failure and total:
            _log.warning("watchkeeper: %d requests were not stored: %s", total, self.failure)
            self._parts.recorder.take()  # said once

    def _tidy(self, now: float) -> None:
        """Roll up, prune and look after the room that is left, once a minute."""
        upkeep = self._opening.upkeep
        if upkeep is not None and self._parts.writer.worker is not None:
            upkeep.run(now=now, owner=str(self._parts.writer.worker.id))

    def _replay(self, store: Store) -> None:
        """Write what stopped processes left, a little at a time."""
        writer = self._parts.writer
        if writer.worker is not None:
            with contextlib.suppress(StorageError):  # away again: the next slot will tell
                writer.spool.replay(store, owner=writer.worker.id, pause=give_way)

    def _close(self, run: _Run) -> None:
        """Write the last slot, say goodbye, hand over: each even if what is before it failed."""
        parts = self._parts
        with guard("last flush"):
            if not run.taken_over:
                self._close_slot(parts.clock())
            run.closed = True
            self._write(None)
        with guard("spill"):
            self._spill(within_s=run.ends_at - monotonic() - MARGIN_S)
        if (outbox := self._opening.outbox) is not None:  # which the last flush may have opened
            outbox.stop(deadline_s=STOP_WITHIN_S / 2)
        with guard("goodbye"), contextlib.suppress(StorageError):  # else they hear nothing more
            self._say_goodbye()
        parts.writer.worker = None  # one that starts again is another worker
        with guard("crashes"):
            parts.writer.crashes.end()
        with guard("resources"):
            parts.resources.close()
        with guard("store"):
            if self.store is not None:
                self.store.close()

    def _say_goodbye(self) -> None:
        """Tell the others that this worker has ended, and leave to them what it did for all."""
        writer, store = self._parts.writer, self.store
        if store is not None and writer.worker is not None and writer.away_since is None:
            store.stop_worker(writer.worker.id, at=self._parts.clock())
            for lease in (lease_name(writer.scope), "retention"):
                store.release(lease, owner=str(writer.worker.id))

    def _take_over(self, run: _Run) -> None:
        """Close the last slot and spill all that waits, while the thread waits for an answer."""
        run.taken_over = True
        last_slot = None if run.closed else self._slot
        self._spill(last_slot=last_slot, within_s=run.ends_at - monotonic() - MARGIN_S)

    def _spill(self, *, last_slot: int | None = None, within_s: float) -> None:
        """Put what the database did not take into a file, unless storing is off for good."""
        if not self.failure:
            self._parts.writer.spill(last_slot=last_slot, within_s=max(MARGIN_S, within_s))
