"""The outbox: notifications that wait in the database are claimed, sent, and settled."""

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from watchkeeper.core.circuit import OPENS_AFTER, WORKS, Circuit, Passage, gone
from watchkeeper.core.delivery import Fault, Reason, next_try
from watchkeeper.exceptions import StorageError
from watchkeeper.notify import ChannelGoneError, DeliveryError, Notification, Notifier
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.lane import Lane, LaneOptions, lane_key
from watchkeeper.runtime.queue import HOLD_S, IN_FLIGHT, Queue
from watchkeeper.runtime.reroute import Reroute
from watchkeeper.storage.store import OutboxRow, Store

MAX_KNOWN: Final = 1_000  # refusals and unsettled results remembered, each
LOOK_AGAIN_S: Final = 1.0  # after a look that an error ended
STOP_WITHIN_S: Final = 2.0
MAX_ERROR: Final = 300  # characters of what a channel said

GONE: Final = "the channel is gone (410)"
NO_ANSWER: Final = f"no answer within {HOLD_S:g} s"

_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one attempt, as the store shall record it."""

    status: str  # sent | due (again) | failed
    at: float
    next_try_at: float = 0.0  # of one that failed: the moment it was given up
    error: str = ""
    circuit: Circuit | None = None  # of the channel from now on; None: nothing was learnt


class Outbox:
    """Delivers what is due. Every channel has threads of its own, two at most.

    So a channel that hangs delays no other. A message is sent at least once, each time under the
    same id: twice only if the process ended between sending and recording it, or the channel took
    longer than the claim. Channels that this process does not know are left to others. One that
    fails is asked by a single message at a time (`core.circuit`); which goes first, and which
    wait for a digest, is said by `core.queue`.
    """

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        *,
        service: str,
        environment: str,
        clock: Callable[[], float],
        options: Mapping[str, LaneOptions] | None = None,
        follows: bool = False,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311  # no secret
    ) -> None:
        """Prepare; nothing runs before `deliver`.

        With `follows` it says when to try again what failed in other processes, too.
        """
        self._store = store
        self._clock = clock
        self._jitter = jitter
        self._lanes = {
            name: Lane(
                name=name,
                notifier=notifier,
                options=(options or {}).get(name, LaneOptions()),
                key=lane_key(service, environment, name),
                follows=follows,
            )
            for name, notifier in notifiers.items()
        }
        self._reroute = Reroute(store, self._lanes, service=service, environment=environment)
        self._queue = Queue(store, self._reroute, scope=(service, environment), started_at=clock())
        self._changed = threading.Condition()
        self._stopping = False
        # Results that the database did not take yet: without them they would be sent again.
        self._unsettled: OrderedDict[int, tuple[OutboxRow, Settled]] = OrderedDict()
        self._refused_at: OrderedDict[int, float] = OrderedDict()
        # What was taken after the claim had run out: the next attempt only says so.
        self._sent_late: OrderedDict[int, Settled] = OrderedDict()

    def deliver(self, *, now: float) -> int:
        """Claim what is due and start sending it; returns how many sends were started.

        Does not wait for any of them. Raises StorageError while the database is away.
        """
        self._put_off(now + LOOK_AGAIN_S)
        self._settle_rest()
        started = 0
        for lane in self._lanes.values():
            self._doubt(lane, now=now)
            for row in self._take(lane, now=now, most=IN_FLIGHT):
                self._start(lane, row)
                started += 1
            self._reroute.report(lane, now=now)
        return started

    def _put_off(self, until: float) -> None:
        """Have no look due before: whose turn does not come, for an error, must not spin."""
        with self._changed:
            for lane in self._lanes.values():
                if lane.look_at is not None:
                    lane.look_at = max(lane.look_at, until)

    def is_due(self, now: float) -> bool:
        """Tell whether a retry that this process knows of is due."""
        return any(at <= now for at in self._looks())

    def pending_soon(self) -> float | None:
        """Return the seconds until the next retry that this process knows of, or None."""
        looks = self._looks()
        return max(0.0, min(looks) - self._clock()) if looks else None

    def _looks(self) -> list[float]:
        with self._changed:
            return [lane.look_at for lane in self._lanes.values() if lane.look_at is not None]

    def wait(self, *, timeout_s: float) -> bool:
        """Wait until nothing is being sent; False if something still is after `timeout_s`."""
        deadline = monotonic() + timeout_s
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(lane.in_flight for lane in self._lanes.values()),
                timeout=max(0.0, deadline - monotonic()),
            )

    def stop(self, *, deadline_s: float = STOP_WITHIN_S) -> None:
        """Start nothing more and wait for what is under way; the rest stays in the database."""
        with self._changed:
            self._stopping = True
        self.wait(timeout_s=deadline_s)
        with guard("outbox"):
            self._settle_rest()

    def resume(self) -> None:
        """Deliver again after a `stop`."""
        with self._changed:
            self._stopping = False

    def _take(self, lane: Lane, *, now: float, most: int, mine: int = 0) -> list[OutboxRow]:
        """Claim up to `most` messages of a channel whose turn it is; give up those of one gone.

        `mine` of those under way are the caller's own, and ended. None is claimed while enough
        are under way, but digests are made and fallbacks asked: a send may hang for ever.
        """
        with self._changed:
            lane.look_at = None
            if self._stopping:
                return []
            is_full = lane.in_flight - mine >= IN_FLIGHT
        passage, rows = self._queue.take(lane, now=now, most=0 if is_full else most)
        if is_full:
            with self._changed:
                lane.look_at = None  # who is sending looks again when it has ended
        left = [row for row in rows if not self._is_done(row)]
        if passage is not Passage.GONE:
            return left
        for row in left:
            self._settle(row, Settled(status="failed", at=now, next_try_at=now, error=GONE))
        return []

    def _is_done(self, row: OutboxRow) -> bool:
        """Settle a row that was sent, but not recorded before its claim ran out."""
        with self._changed:
            late = self._sent_late.get(row.id)
            known = self._unsettled.get(row.id)
        sent = late or (known[1] if known is not None else None)
        if sent is None or sent.status != "sent":
            return False
        self._settle(row, sent)
        return True

    def _doubt(self, lane: Lane, *, now: float) -> None:
        """Count sends that do not come back as failed once their claim has run out."""
        with self._changed:
            hang = [row for row, since in lane.sending.values() if now - since >= HOLD_S]
            for row in hang:
                del lane.sending[row.id]
        for row in hang:
            _log.warning("watchkeeper: channel %s: %s", lane.name, NO_ANSWER)
            self._settle(row, self._failed(lane, row, DeliveryError(NO_ANSWER)))

    def _start(self, lane: Lane, row: OutboxRow) -> None:
        with self._changed:
            lane.in_flight += 1
        thread = threading.Thread(
            target=self._run, args=(lane, row), name=f"watchkeeper-{row.channel}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads: the claim runs out, and the row is tried again
            self._end(lane)
            raise

    def _run(self, lane: Lane, row: OutboxRow) -> None:
        """Send one row and then, while there are more and we may, the next ones."""
        with guard("outbox"):
            try:
                following: OutboxRow | None = row
                while following is not None:
                    settled = self._attempt(lane, following)
                    if settled is not None:
                        self._settle(following, settled)
                    following = self._next(lane)
            except StorageError:
                return  # what is not settled is kept; the flusher tells that the database is away
            finally:
                self._end(lane)

    def _end(self, lane: Lane) -> None:
        with self._changed:
            lane.in_flight -= 1
            self._changed.notify_all()

    def _next(self, lane: Lane) -> OutboxRow | None:
        rows = self._take(lane, now=self._clock(), most=1, mine=1)
        self._reroute.report(lane, now=self._clock())
        return rows[0] if rows else None

    def _attempt(self, lane: Lane, row: OutboxRow) -> Settled | None:
        """Send once and decide what that means; None if that was done meanwhile."""
        notification = Notification(
            id=row.message_id,
            channel=row.channel,
            kind=row.kind,
            at=self._clock(),
            payload=row.payload,
        )
        # What a user's own channel raises besides DeliveryError is a fault of its code, and its
        # text may hold an address with a secret.
        error = DeliveryError("the channel raised an unexpected exception; see the log")
        sent = None
        with self._changed:
            lane.sending[row.id] = (row, notification.at)
        with guard(f"channel {row.channel}", of_host=True):
            try:
                lane.notifier.send(notification)
            except DeliveryError as raised:
                error = raised
            else:
                sent = Settled(status="sent", at=self._clock(), circuit=WORKS)
        with self._changed:
            is_counted = lane.sending.pop(row.id, (None, 0.0))[0] is not row
        if sent is None and is_counted:
            return None  # as failed, when it hung
        return sent or self._failed(lane, row, error)

    def _failed(self, lane: Lane, row: OutboxRow, error: DeliveryError) -> Settled:
        now, jitter = self._clock(), self._jitter()
        fault, refused_for_s, circuit = Fault.AWAY, 0.0, None
        if isinstance(error, ChannelGoneError):
            fault, circuit = Fault.GONE, gone(now=now)
        elif error.permanent:  # which is the message's fault, as far as can be seen
            fault = Fault.REFUSED
            refused_for_s = now - self._first_refused(row, now)
        else:
            not_before = now + error.retry_after_s if error.retry_after_s else 0.0
            circuit = lane.state.circuit.failed(now=now, jitter=jitter, not_before=not_before)
        decided = next_try(
            attempts=row.attempts,
            created_at=row.created_at,
            now=now,
            jitter=jitter,
            fault=fault,
            refused_for_s=refused_for_s,
            retry_after_s=error.retry_after_s,
        )
        told = scrubbing.text(str(error), limit=MAX_ERROR)
        if decided.at is None:
            _warn(row, decided.reason, told)
            return Settled(status="failed", at=now, next_try_at=now, error=told, circuit=circuit)
        return Settled(status="due", at=now, next_try_at=decided.at, error=told, circuit=circuit)

    def _first_refused(self, row: OutboxRow, now: float) -> float:
        with self._changed:
            first = self._refused_at.setdefault(row.id, now)
            while len(self._refused_at) > MAX_KNOWN:
                self._refused_at.popitem(last=False)
        return first

    def _settle(self, row: OutboxRow, settled: Settled) -> None:
        """Record a result; kept and tried again later while the database is away."""
        with self._changed:
            self._unsettled[row.id] = (row, settled)
            while len(self._unsettled) > MAX_KNOWN:
                self._unsettled.popitem(last=False)
            if settled.status != "due":
                self._refused_at.pop(row.id, None)
        is_ours = self._store.settle(
            row,
            status=settled.status,
            at=settled.at,
            next_try_at=settled.next_try_at,
            error=settled.error,
        )
        lane = self._lanes[row.channel]
        self._learn(lane, row, settled)
        with self._changed:
            self._unsettled.pop(row.id, None)
            self._sent_late.pop(row.id, None)
            if settled.status == "sent" and not is_ours:
                self._sent_late[row.id] = settled
                while len(self._sent_late) > MAX_KNOWN:
                    self._sent_late.popitem(last=False)
            if settled.status == "due":
                soon = settled.next_try_at
                lane.follows = True
                lane.look_at = soon if lane.look_at is None else min(lane.look_at, soon)

    def _learn(self, lane: Lane, row: OutboxRow, settled: Settled) -> None:
        """Tell all processes how the channel is; let others have what it did not take."""
        before, after = lane.state.circuit, settled.circuit
        if after is not None and after != before:
            lane.change(self._store, circuit=after)
            if after == WORKS and before.failures >= OPENS_AFTER:
                self._queue.release(lane, now=settled.at)
        if settled.status == "failed":
            lane.has_lost = True
            self._reroute.help(lane, row, now=settled.at)

    def _settle_rest(self) -> None:
        with self._changed:
            rest = list(self._unsettled.values())
        for row, settled in rest:
            self._settle(row, settled)


def _warn(row: OutboxRow, reason: Reason, told: str) -> None:
    _log.warning(
        "watchkeeper: channel %s: %s message of incident %s not delivered (%s): %s%s",
        row.channel,
        row.kind,
        row.incident,
        reason.value,
        told,
        "; the channel is off until the next start" if reason is Reason.CHANNEL_GONE else "",
    )
