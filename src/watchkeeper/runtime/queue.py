"""The messages of a channel in the store: whose turn it is, claimed for this process."""

from collections.abc import Mapping, Sequence
from typing import Final

from watchkeeper.core.circuit import Passage
from watchkeeper.core.queue import (
    HOUR_S,
    UNBRAKED,
    Turn,
    Waiting,
    digest_due,
    turns,
    wants_fallback,
)
from watchkeeper.runtime.lane import Lane
from watchkeeper.runtime.reroute import Reroute
from watchkeeper.storage.store import OutboxRow, Store

HOLD_S: Final = 60.0  # a claim runs out after so long: what a killed worker held is sent by others
# A send that lasts longer has ended with the process that claimed it, or hangs: mail may take
# 30 s, and looking up a name some more.
SENDING_S: Final = 40.0
IN_FLIGHT: Final = 2  # per channel
LOOK_AGAIN_S: Final = 1.0  # after another process' probe
MAX_LOOKED_AT: Final = 200  # messages of one channel that are looked at together
MAX_IN_DIGEST: Final = 1_000  # messages that one digest stands for

_FREE: Final = {  # how many may be under way
    Passage.CLOSED: IN_FLIGHT,
    Passage.HALF_OPEN: 1,
    Passage.PROBING: 0,
    Passage.OPEN: 0,
}


class Queue:
    """Takes messages out of the store's outbox, as `core.queue` and `core.circuit` say."""

    def __init__(
        self, store: Store, reroute: Reroute, *, scope: tuple[str, str], started_at: float
    ) -> None:
        """Take the store and what makes digests; `scope` is service and environment."""
        self._store = store
        self._reroute = reroute
        self._scope = scope
        self._started_at = started_at

    def take(self, lane: Lane, *, now: float, most: int) -> tuple[Passage, list[OutboxRow]]:
        """Claim up to `most` messages whose turn it is; all of them if the channel is gone.

        On the way it makes what is due besides: digests, and help by the fallback. Where this
        process looks after those that wait, it says when to look again.
        """
        lane.look_at = None
        rows = {row.id: row for row in self._waiting(lane)}
        if not rows:
            lane.follows = False
            return Passage.CLOSED, []
        lane.read(self._store)
        under_way = sum(row.claim_until > now + HOLD_S - SENDING_S for row in rows.values())
        passage = lane.state.circuit.passage(
            now=now, in_flight=under_way, started_at=self._started_at
        )
        if passage is Passage.GONE:
            return passage, self._claim(lane, list(rows), now=now)
        found = self._turns(lane, rows, now=now)
        self._go_round(lane, rows, found, now=now)
        free = _FREE[passage] - (under_way if passage is Passage.CLOSED else 0)
        ready = [one.id for one, turn in found if turn is Turn.NOW]
        taken = self._claim(lane, ready[: max(0, min(most, free))], now=now)
        if lane.follows:
            lane.look_at = _next_look(lane, found, passage, now=now)
        return passage, taken

    def release(self, lane: Lane, *, now: float) -> None:
        """Let all that failed be tried at once: the channel is back."""
        for row in self._waiting(lane):
            if row.attempts and row.next_try_at > now:
                self._store.retry_now(row.id, at=now)

    def _turns(
        self, lane: Lane, rows: Mapping[int, OutboxRow], *, now: float
    ) -> list[tuple[Waiting, Turn]]:
        waiting = [_seen(row) for row in rows.values()]
        sent_lately = 0
        if any(not one.attempts and not one.is_unbraked for one in waiting):
            service, environment = self._scope
            sent_lately = self._store.sent_since(
                lane.name,
                since=now - HOUR_S,
                service=service,
                environment=environment,
                uncounted=UNBRAKED,
            )
        return turns(
            waiting,
            now=now,
            sent_lately=sent_lately,
            max_messages=lane.options.max_messages,
        )

    def _all_braked(self, lane: Lane, *, now: float) -> list[OutboxRow]:
        """Return what the brake holds, also beyond what is looked at otherwise."""
        rows = {row.id: row for row in self._waiting(lane, limit=MAX_IN_DIGEST)}
        found = self._turns(lane, rows, now=now)
        return [rows[one.id] for one, turn in found if turn is Turn.BRAKED]

    def _waiting(self, lane: Lane, *, limit: int = MAX_LOOKED_AT) -> list[OutboxRow]:
        return self._store.waiting(lane.name, scope=self._scope, limit=limit)

    def _claim(self, lane: Lane, ids: Sequence[int], *, now: float) -> list[OutboxRow]:
        """Claim chosen rows that are still free, in the order chosen."""
        if not ids:
            return []
        rows = self._store.claim(
            at=now,
            hold_s=HOLD_S,
            channels=[lane.name],
            limit=len(ids),
            scope=self._scope,
            ids=ids,
        )
        return sorted(rows, key=lambda row: ids.index(row.id))

    def _go_round(
        self,
        lane: Lane,
        rows: Mapping[int, OutboxRow],
        found: Sequence[tuple[Waiting, Turn]],
        *,
        now: float,
    ) -> None:
        """Make a digest of what the brake holds, and ask the fallback for what waits too long."""
        braked = [rows[one.id] for one, turn in found if turn is Turn.BRAKED]
        if digest_due(braked=len(braked), digest_at=lane.state.digest_at, now=now):
            if len(rows) >= MAX_LOOKED_AT:  # a flood: it is told of as a whole
                braked = self._all_braked(lane, now=now)
            braked.sort(key=lambda row: row.id)
            self._reroute.digest(lane, braked, now=now)
        for one, turn in found:
            if turn is not Turn.BRAKED and wants_fallback(one, now=now):
                self._reroute.help(lane, rows[one.id], now=now)


def _next_look(
    lane: Lane, found: Sequence[tuple[Waiting, Turn]], passage: Passage, *, now: float
) -> float | None:
    """Return when the next of those that wait may be tried; None: whoever is sending looks."""
    probe_at = lane.state.circuit.probe_at
    times = [one.next_try_at for one, turn in found if turn is Turn.NOT_YET]
    if passage is Passage.PROBING:
        times.append(now + LOOK_AGAIN_S)
    elif passage is Passage.OPEN:
        times = [max(at, probe_at) for at in times]
        times.extend(probe_at for _, turn in found if turn is Turn.NOW)
    return max(min(times), now) if times else None


def _seen(row: OutboxRow) -> Waiting:
    return Waiting(
        id=row.id,
        incident=row.incident,
        kind=row.kind,
        severity=str(row.payload.get("severity", "")),
        created_at=row.created_at,
        next_try_at=row.next_try_at,
        claim_until=row.claim_until,
        attempts=row.attempts,
        priority=row.priority,
    )
