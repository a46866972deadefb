"""Messages that go another way: in a digest, by a fallback, as a report through other channels."""

from collections.abc import Mapping, Sequence
from typing import Final

from watchkeeper.core import digest
from watchkeeper.core.delivery import GIVE_UP_AFTER_S
from watchkeeper.core.queue import DIGEST, HOUR_S, PRIORITIES, UNDELIVERED
from watchkeeper.runtime.lane import Lane
from watchkeeper.storage.outbox import sequence_at
from watchkeeper.storage.store import NO_INCIDENT, OutboxRow, Outgoing, Store

MAX_HELPED: Final = 1_000  # messages remembered as being with the fallback; the store knows all
MAX_COUNTED: Final = 1_000  # messages in one report
DAY_S: Final = 86_400.0  # what was lost before is no news
OVERLAP_S: Final = 60.0  # before a report: what others gave up then may be recorded after it
PRIORITY: Final = PRIORITIES["critical"]  # of what stands for others: no flood hides it
FALLBACK_FOR: Final = "fallback_for"  # in a payload: the channel that did not take it


class Reroute:
    """Puts messages into the outbox that stand for others; each once, whoever does it."""

    def __init__(
        self, store: Store, lanes: Mapping[str, Lane], *, service: str, environment: str
    ) -> None:
        """Take the store and every channel that there is."""
        self._store = store
        self._lanes = lanes
        self._service = service
        self._environment = environment

    def digest(self, lane: Lane, rows: Sequence[OutboxRow], *, now: float) -> bool:
        """Replace messages by one that lists them; False if somebody else was faster."""
        made = self._put(
            Outgoing(
                kind=DIGEST,
                sequence=sequence_at(now),
                channel=lane.name,
                payload=digest.digest([row.payload for row in rows], now=now),
                due_at=now,
                priority=PRIORITY,
            ),
            at=now,
            instead_of=[row.id for row in rows],
        )
        if made:
            lane.change(self._store, digest_at=now)
        return made

    def help(self, lane: Lane, row: OutboxRow, *, now: float) -> None:
        """Send a message through the fallback, too; once, and not if that had it anyway."""
        other = lane.options.fallback
        if not other or row.id in lane.helped:
            return
        self._put(
            Outgoing(
                kind=row.kind,
                sequence=row.sequence,
                channel=other,
                payload={**row.payload, FALLBACK_FOR: lane.name},
                due_at=now,
                incident=row.incident or NO_INCIDENT,
                priority=row.priority,
            ),
            at=now,
        )
        lane.helped[row.id] = None
        while len(lane.helped) > MAX_HELPED:
            del lane.helped[next(iter(lane.helped))]

    def report(self, lane: Lane, *, now: float) -> None:
        """Tell every other channel what this one lost, once an hour."""
        if not lane.has_lost:
            return
        lane.read(self._store)
        if not digest.report_due(reported_at=lane.state.reported_at, now=now):
            return
        lost = self._lost(lane, now=now)
        if not lost:
            lane.has_lost = False
            return
        payload = digest.undelivered(
            lane.name,
            count=len(lost),
            error=lost[0].last_error,
            service=self._service,
            environment=self._environment,
            now=now,
        )
        sequence = digest.report_sequence(lane.name, now=now)
        for other in self._lanes:
            if other != lane.name:
                self._put(
                    Outgoing(
                        kind=UNDELIVERED,
                        sequence=sequence,
                        channel=other,
                        payload=payload,
                        due_at=now,
                        priority=PRIORITY,
                    ),
                    at=now,
                )
        reported = sum(row.next_try_at >= now - OVERLAP_S for row in lost)
        lane.change(self._store, reported_at=now, reported=reported)
        lane.has_lost = False

    def _lost(self, lane: Lane, *, now: float) -> list[OutboxRow]:
        """Find what was given up since the last report, newest first: whoever gave it up.

        A message that is given up has as its next try the moment of that.
        """
        reported_at = lane.state.reported_at if lane.state.reported_at <= now else 0.0
        found = self._given_up(lane, since=max(reported_at - OVERLAP_S, now - DAY_S))
        return found[: max(0, len(found) - lane.state.reported)]

    def _given_up(self, lane: Lane, *, since: float) -> list[OutboxRow]:
        rows = self._store.outbox(
            channel=lane.name,
            status="failed",
            since=since - GIVE_UP_AFTER_S - HOUR_S,  # when the oldest of them was put there
            scope=(self._service, self._environment),
            limit=MAX_COUNTED,
        )
        found = [row for row in rows if row.kind != UNDELIVERED and row.next_try_at >= since]
        return sorted(found, key=lambda row: row.next_try_at, reverse=True)

    def _put(self, one: Outgoing, *, at: float, instead_of: Sequence[int] = ()) -> bool:
        return bool(
            self._store.enqueue(
                [one],
                service=self._service,
                environment=self._environment,
                at=at,
                withdraw=instead_of,
            )
        )
