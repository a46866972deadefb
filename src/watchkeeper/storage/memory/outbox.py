"""Messages that wait to be sent, in memory."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Pending, Tables, plain, put
from watchkeeper.storage.store import NO_INCIDENT, OutboxRow, Outgoing

Key = tuple[int, str, int, str]
"""Incident (or below 0 the scope), kind, sequence, channel: one message of each."""


class MemoryOutbox(Tables):
    """Messages that wait to be sent, in memory."""

    __slots__ = ()

    def enqueue(
        self,
        outgoing: Sequence[Outgoing],
        *,
        service: str,
        environment: str,
        at: float,
        withdraw: Sequence[int] = (),
    ) -> int | None:
        """Put messages into the outbox without a change of an alert; return how many are new."""
        with self._lock:
            taken_back = self._withdrawable(withdraw, at=at)
            keys = {_key(one, service, environment) for one in outgoing}
            if taken_back is None or (
                withdraw and (len(keys) < len(outgoing) or keys & self._outbox.keys())
            ):
                return None
            take_back(taken_back)
            return sum(self._enqueue(one, service, environment, at=at) for one in outgoing)

    def claim(
        self,
        *,
        at: float,
        hold_s: float,
        channels: Collection[str],
        limit: int,
        scope: tuple[str, str] | None = None,
        ids: Collection[int] | None = None,
    ) -> list[OutboxRow]:
        """Take due messages for `hold_s` seconds; `attempts` grows by one."""
        with self._lock:
            due = [
                one
                for one in self._outbox.values()
                if one.row.status == "due"
                and one.row.channel in channels
                and one.row.next_try_at <= at
                and one.claimed_until <= at
                and _is_of(one.row, scope)
                and (ids is None or one.row.id in ids)
            ]
            due.sort(key=lambda one: (-one.row.priority, one.row.id))
            for one in due[:limit]:
                one.claimed_until = at + hold_s
                one.row = replace(one.row, attempts=one.row.attempts + 1, claim=uuid4().hex)
            return [one.row for one in due[:limit]]

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        """Record what became of a claimed message; False if the claim was lost meanwhile."""
        with self._lock:
            one = self._message(row.id)
            if one is None or not row.claim or one.row.claim != row.claim:
                return False
            one.claimed_until = 0.0
            one.row = replace(
                one.row,
                status=status,
                claim="",
                next_try_at=next_try_at or one.row.next_try_at,
                last_error=rows.cut(error, rows.MAX_ERROR),
                sent_at=at if status == "sent" else None,
            )
            return True

    def retry_now(self, message: int, *, at: float) -> bool:
        """Make a message due at once that waits or was given up; by its `id`."""
        with self._lock:
            one = self._message(message)
            if one is None or one.row.status not in ("due", "failed") or one.claimed_until > at:
                return False
            one.claimed_until = 0.0
            one.row = replace(one.row, status="due", next_try_at=at, claim="")
            return True

    def outbox(
        self,
        *,
        incident: int | None = None,
        channel: str | None = None,
        status: str | None = None,
        since: float = 0.0,
        scope: tuple[str, str] | None = None,
        limit: int,
    ) -> list[OutboxRow]:
        """List messages that were put there since, newest first; None: of any."""
        with self._lock:
            found = [
                one.row
                for one in self._outbox.values()
                if incident in (None, one.row.incident)
                and channel in (None, one.row.channel)
                and status in (None, one.row.status)
                and scope in (None, _place(one.row))
                and one.row.created_at >= since
            ]
        return sorted(found, key=lambda row: row.id, reverse=True)[:limit]

    def waiting(
        self, channel: str, *, limit: int, scope: tuple[str, str] | None = None
    ) -> list[OutboxRow]:
        """List the messages of a channel that are due now or later, the most urgent first."""
        with self._lock:
            found = [
                replace(one.row, claim="", claim_until=one.claimed_until)
                for one in self._outbox.values()
                if one.row.status == "due"
                and one.row.channel == channel
                and _is_of(one.row, scope)
            ]
        most: dict[int, int] = {}  # of each incident
        for row in found:
            most[row.incident] = max(row.priority, most.get(row.incident, row.priority))

        def place(row: OutboxRow) -> tuple[int, int]:
            return -(most[row.incident] if row.incident > NO_INCIDENT else row.priority), row.id

        return sorted(found, key=place)[:limit]

    def sent_since(
        self,
        channel: str,
        *,
        since: float,
        service: str,
        environment: str,
        uncounted: Collection[str] = (),
    ) -> int:
        """Count the messages of a scope that a channel took since, without uncounted kinds."""
        with self._lock:
            return sum(
                _place(one.row) == (service, environment)
                and one.row.channel == channel
                and one.row.sent_at is not None
                and one.row.sent_at >= since
                and not (one.row.incident == NO_INCIDENT and one.row.kind in uncounted)
                for one in self._outbox.values()
            )

    def outbox_waiting(self, *, service: str, environment: str) -> int:
        """Count the messages of a scope that are due now or later."""
        with self._lock:
            return sum(
                one.row.status == "due" and _place(one.row) == (service, environment)
                for one in self._outbox.values()
            )

    def oldest_waiting(
        self, *, service: str, environment: str, since: float = 0.0
    ) -> float | None:
        """Return when the oldest due message of a scope was put there, of those since.

        None if none waits.
        """
        with self._lock:
            return min(
                (
                    one.row.created_at
                    for one in self._outbox.values()
                    if one.row.status == "due"
                    and one.row.created_at >= since
                    and _place(one.row) == (service, environment)
                ),
                default=None,
            )

    def _enqueue(self, outgoing: Outgoing, service: str, environment: str, *, at: float) -> bool:
        key = _key(outgoing, service, environment)
        if key in self._outbox:
            return False
        row = OutboxRow(
            id=self._next_id("outbox"),
            message_id=uuid4().hex,
            service=service,
            environment=environment,
            incident=outgoing.incident or NO_INCIDENT,
            kind=outgoing.kind,
            sequence=outgoing.sequence,
            channel=outgoing.channel,
            payload=plain(outgoing.payload),
            status="due",
            attempts=0,
            created_at=at,
            next_try_at=outgoing.due_at,
            priority=outgoing.priority,
        )
        put(self._outbox, key, Pending(row))
        return True

    def _withdrawable(self, messages: Sequence[int], *, at: float) -> list[Pending] | None:
        """Return messages that can all be taken back; None if one of them cannot."""
        found = [one for one in map(self._message, dict.fromkeys(messages)) if one is not None]
        if len(found) < len(frozenset(messages)) or any(
            one.row.status != "due" or one.claimed_until > at for one in found
        ):
            return None
        return found

    def _message(self, message: int) -> Pending | None:
        return next((one for one in self._outbox.values() if one.row.id == message), None)


def take_back(messages: Iterable[Pending]) -> None:
    """Withdraw messages; who lost his claim to one loses it for good."""
    for one in messages:
        one.claimed_until = 0.0
        one.row = replace(one.row, status="withdrawn", claim="")


def past_messages(outbox: Mapping[Key, Pending], before: float) -> Iterator[tuple[Key, float]]:
    """Find the messages of no incident that were put there before, and when that was."""
    for key, one in outbox.items():
        if one.row.incident == NO_INCIDENT and one.row.created_at < before:
            yield key, one.row.created_at


def _is_of(row: OutboxRow, scope: tuple[str, str] | None) -> bool:
    return scope is None or _place(row) in (scope, ("", ""))


def _place(row: OutboxRow) -> tuple[str, str]:
    return (row.service, row.environment)


def _key(outgoing: Outgoing, service: str, environment: str) -> Key:
    incident = outgoing.incident or NO_INCIDENT
    owner = rows.owner_of(incident, service=service, environment=environment)
    return (owner, outgoing.kind, outgoing.sequence, outgoing.channel)
