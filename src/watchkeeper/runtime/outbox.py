"""The outbox: notifications that wait in the database are claimed, sent, and settled."""

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from watchkeeper.core.delivery import Fault, Reason, next_try
from watchkeeper.exceptions import StorageError
from watchkeeper.notify import ChannelGoneError, DeliveryError, Notification, Notifier
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard
from watchkeeper.storage.store import OutboxRow, Store

HOLD_S: Final = 60.0  # a claim runs out after so long: what a killed worker held is sent by others
IN_FLIGHT: Final = 2  # per channel
MAX_KNOWN: Final = 1_000  # refusals, retries and unsettled results remembered, each
STOP_WITHIN_S: Final = 2.0
MAX_ERROR: Final = 300  # characters of what a channel said

_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one attempt, as the store shall record it."""

    status: str  # sent | due (again) | failed
    at: float
    next_try_at: float = 0.0
    error: str = ""


@dataclass(slots=True)
class _Lane:
    """One channel: its notifier, how many sends are under way, and whether it is gone."""

    notifier: Notifier
    in_flight: int = 0
    gone: bool = False
    retries: list[float] = field(default_factory=list)


class Outbox:
    """Delivers what is due. Every channel has threads of its own, two at most.

    So a channel that hangs delays no other. A message is sent at least once, each time under the
    same id: twice only if the process ended between sending and recording it, or the channel took
    longer than the claim. Channels that this process does not know are left to others.
    """

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311  # no secret
    ) -> None:
        """Prepare; nothing runs before `deliver`."""
        self._store = store
        self._clock = clock
        self._jitter = jitter
        self._lanes = {name: _Lane(notifier) for name, notifier in notifiers.items()}
        self._changed = threading.Condition()
        self._stopping = False
        # Results that the database did not take yet: without them they would be sent again.
        self._unsettled: OrderedDict[int, tuple[OutboxRow, Settled]] = OrderedDict()
        self._refused_at: OrderedDict[int, float] = OrderedDict()

    def deliver(self, *, now: float) -> int:
        """Claim what is due and start sending it; returns how many sends were started.

        Does not wait for any of them. Raises StorageError while the database is away.
        """
        self._settle_rest()
        started = 0
        for name, lane in self._lanes.items():
            with self._changed:
                lane.retries = [at for at in lane.retries if at > now]
                free = 0 if self._stopping else IN_FLIGHT - lane.in_flight
            if free > 0:
                for row in self._claim(name, now=now, limit=free):
                    self._start(lane, row)
                    started += 1
        return started

    def is_due(self, now: float) -> bool:
        """Tell whether a retry that this process knows of is due."""
        with self._changed:
            return any(at <= now for lane in self._lanes.values() for at in lane.retries)

    def pending_soon(self) -> float | None:
        """Return the seconds until the next retry that this process knows of, or None."""
        with self._changed:
            due = [at for lane in self._lanes.values() for at in lane.retries]
        return max(0.0, min(due) - self._clock()) if due else None

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

    def _claim(self, channel: str, *, now: float, limit: int) -> list[OutboxRow]:
        """Claim rows of one channel alone, so that a long queue of another takes no room."""
        rows = self._store.claim(at=now, hold_s=HOLD_S, channels=[channel], limit=limit)
        return [row for row in rows if not self._is_done(row)]

    def _is_done(self, row: OutboxRow) -> bool:
        """Settle a row that was sent, but not recorded before its claim ran out."""
        with self._changed:
            known = self._unsettled.get(row.id)
        if known is None or known[1].status != "sent":
            return False
        self._settle(row, known[1])
        return True

    def _start(self, lane: _Lane, row: OutboxRow) -> None:
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

    def _run(self, lane: _Lane, row: OutboxRow) -> None:
        """Send one row and then, while there are more and we may, the next ones."""
        with guard("outbox"):
            try:
                following: OutboxRow | None = row
                while following is not None:
                    self._settle(following, self._attempt(lane, following))
                    following = self._next(following.channel)
            except StorageError:
                return  # what is not settled is kept; the flusher tells that the database is away
            finally:
                self._end(lane)

    def _end(self, lane: _Lane) -> None:
        with self._changed:
            lane.in_flight -= 1
            self._changed.notify_all()

    def _next(self, channel: str) -> OutboxRow | None:
        if self._stopping:
            return None
        rows = self._claim(channel, now=self._clock(), limit=1)
        return rows[0] if rows else None

    def _attempt(self, lane: _Lane, row: OutboxRow) -> Settled:
        """Send once and decide what that means."""
        if lane.gone:
            return Settled(status="failed", at=self._clock(), error="the channel is gone (410)")
        notification = Notification(
            id=row.message_id,
            channel=row.channel,
            kind=row.kind,
            at=self._clock(),
            payload=row.payload,
        )
        # What a user's own channel raises besides DeliveryError is a fault of its code.
        error = DeliveryError("the channel raised an unexpected exception; see the log")
        with guard(f"channel {row.channel}"):
            try:
                lane.notifier.send(notification)
            except DeliveryError as raised:
                error = raised
            else:
                return Settled(status="sent", at=self._clock())
        return self._failed(lane, row, error)

    def _failed(self, lane: _Lane, row: OutboxRow, error: DeliveryError) -> Settled:
        now = self._clock()
        fault = Fault.AWAY
        refused_for_s = 0.0
        if isinstance(error, ChannelGoneError):
            fault = Fault.GONE
            lane.gone = True
        elif error.permanent:
            fault = Fault.REFUSED
            refused_for_s = now - self._first_refused(row, now)
        decided = next_try(
            attempts=row.attempts,
            created_at=row.created_at,
            now=now,
            jitter=self._jitter(),
            fault=fault,
            refused_for_s=refused_for_s,
            retry_after_s=error.retry_after_s,
        )
        told = scrubbing.text(str(error), limit=MAX_ERROR)
        if decided.at is None:
            _log.warning(
                "watchkeeper: channel %s: %s message of incident %s not delivered (%s): %s%s",
                row.channel,
                row.kind,
                row.incident,
                decided.reason.value,
                told,
                "; the channel is off until the next start"
                if decided.reason is Reason.CHANNEL_GONE
                else "",
            )
            return Settled(status="failed", at=now, error=told)
        return Settled(status="due", at=now, next_try_at=decided.at, error=told)

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
        self._store.settle(
            row,
            status=settled.status,
            at=settled.at,
            next_try_at=settled.next_try_at,
            error=settled.error,
        )
        with self._changed:
            self._unsettled.pop(row.id, None)
            lane = self._lanes[row.channel]
            if settled.status == "due" and len(lane.retries) < MAX_KNOWN:
                lane.retries.append(settled.next_try_at)

    def _settle_rest(self) -> None:
        with self._changed:
            rest = list(self._unsettled.values())
        for row, settled in rest:
            self._settle(row, settled)
