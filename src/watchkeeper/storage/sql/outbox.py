"""Messages that wait to be sent, in a SQL database."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Subquery, and_, func, or_, select, update

from watchkeeper.core.delivery import GIVE_UP_AFTER_S
from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.schema import outbox
from watchkeeper.storage.store import NO_INCIDENT, OutboxRow, Outgoing


class MovedError(Exception):
    """Somebody else was faster with a part of a change: none of it is written."""


class SqlOutbox(Part):
    """The outbox's part of the SQL store."""

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
        scope = {"service": service, "environment": environment}
        try:
            with self._database.write() as connection:
                take_back(connection, withdraw, at=at)
                new = put(connection, self._database.dialect, outgoing, **scope, at=at)
                if withdraw and new < len(outgoing):
                    raise MovedError
        except MovedError:
            return None
        return new

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
        due = and_(outbox.c.status == "due", outbox.c.next_try_at <= at, _unclaimed(at))
        # Find what is due.
        find = (
            select(outbox)
            .where(due, outbox.c.channel.in_(sorted(channels)))
            .order_by(outbox.c.priority.desc(), outbox.c.id)
            .limit(limit)
        )
        if scope is not None:
            find = find.where(or_(_of(*scope), _of("", "")))
        if ids is not None:
            find = find.where(outbox.c.id.in_(sorted(ids)))
        with self._database.read() as connection:
            found = [_message(row) for row in connection.execute(find)]
        if not found:
            return []
        claimed: list[OutboxRow] = []
        with self._database.write() as connection:
            for row in found:
                claim = uuid4().hex
                # Take it if it still is free: one row changed means that it is ours.
                take = (
                    update(outbox)
                    .where(outbox.c.id == row.id, due)
                    .values(claim=claim, claim_until=at + hold_s, attempts=outbox.c.attempts + 1)
                )
                if connection.execute(take).rowcount == 1:
                    claimed.append(replace(row, claim=claim, attempts=row.attempts + 1))
        return claimed

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        """Record what became of a claimed message; False if the claim was lost meanwhile."""
        # Write the outcome, under our claim alone.
        statement = (
            update(outbox)
            .where(outbox.c.id == row.id, outbox.c.claim == row.claim, outbox.c.claim != "")
            .values(
                status=status,
                claim="",
                claim_until=0.0,
                next_try_at=next_try_at or outbox.c.next_try_at,
                last_error=rows.cut(error, rows.MAX_ERROR),
                sent_at=at if status == "sent" else None,
            )
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def retry_now(self, message: int, *, at: float) -> bool:
        """Make a message due at once that waits or was given up; by its `id`."""
        # Let it be due, unless somebody is sending it; who lost his claim to it loses it for good.
        statement = (
            update(outbox)
            .where(outbox.c.id == message, outbox.c.status.in_(("due", "failed")), _unclaimed(at))
            .values(status="due", next_try_at=at, claim="", claim_until=0.0)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

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
        # Read the outbox from its end.
        statement = select(outbox).order_by(outbox.c.id.desc()).limit(limit)
        if incident is not None:
            which = outbox.c.incident
            statement = statement.where(which == incident if incident else which < NO_INCIDENT)
        if channel is not None:
            statement = statement.where(outbox.c.channel == channel)
        if status is not None:
            statement = statement.where(outbox.c.status == status)
        if since:
            statement = statement.where(outbox.c.created_at >= since)
        if scope is not None:
            statement = statement.where(_of(*scope))
        with self._database.read() as connection:
            return [_message(row) for row in connection.execute(statement)]

    def waiting(
        self, channel: str, *, limit: int, scope: tuple[str, str] | None = None
    ) -> list[OutboxRow]:
        """List the messages of a channel that are due now or later, the most urgent first."""
        # Read what is due, which is little.
        highest = _highest_priorities(channel)
        priority = func.coalesce(highest.c.priority, outbox.c.priority)
        statement = (
            select(outbox)
            .outerjoin(highest, highest.c.incident == outbox.c.incident)
            .where(outbox.c.status == "due", outbox.c.channel == channel)
            .order_by(priority.desc(), outbox.c.id)
            .limit(limit)
        )
        if scope is not None:
            statement = statement.where(or_(_of(*scope), _of("", "")))
        with self._database.read() as connection:
            return [
                replace(_message(row), claim="", claim_until=row.claim_until)
                for row in connection.execute(statement)
            ]

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
        # A message is put there before it is sent, and given up after a day.
        statement = (
            select(func.count())
            .select_from(outbox)
            .where(
                _of(service, environment),
                outbox.c.channel == channel,
                outbox.c.created_at >= since - GIVE_UP_AFTER_S,
                outbox.c.sent_at >= since,
                or_(outbox.c.incident > NO_INCIDENT, outbox.c.kind.not_in(sorted(uncounted))),
            )
        )
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def outbox_waiting(self, *, service: str, environment: str) -> int:
        """Count the messages of a scope that are due now or later."""
        scope = {"service": service, "environment": environment}
        with self._database.read() as connection:
            return int(connection.execute(standing.WAITING, scope).scalar_one())

    def oldest_waiting(
        self, *, service: str, environment: str, since: float = 0.0
    ) -> float | None:
        """Return when the oldest due message of a scope was put there, of those since.

        None if none waits.
        """
        # Find the oldest of the few that are due.
        statement = select(func.min(outbox.c.created_at)).where(
            outbox.c.status == "due",
            outbox.c.created_at >= since,
            _of(service, environment),
        )
        with self._database.read() as connection:
            oldest: float | None = connection.execute(statement).scalar()
        return oldest


def put(
    connection: Connection,
    dialect: Dialect,
    outgoing: Sequence[Outgoing],
    *,
    service: str,
    environment: str,
    at: float,
) -> int:
    """Put messages into the outbox; return how many were not there yet.

    Of each kind and sequence one per incident and channel.
    """
    new = 0
    insert = standing.insert_new(dialect, outbox)
    for one in outgoing:
        values = {
            "message_id": uuid4().hex,
            "service": service,
            "environment": environment,
            "incident": rows.owner_of(
                one.incident or NO_INCIDENT, service=service, environment=environment
            ),
            "kind": one.kind,
            "sequence": one.sequence,
            "channel": one.channel,
            "payload": json.dumps(one.payload),
            "status": "due",
            "attempts": 0,
            "created_at": at,
            "next_try_at": one.due_at,
            "claim": "",
            "claim_until": 0.0,
            "last_error": "",
            "priority": one.priority,
        }
        new += connection.execute(insert, values).rowcount
    return new


def take_back(connection: Connection, messages: Sequence[int], *, at: float) -> None:
    """Withdraw messages that are due and claimed by nobody; MovedError if one is not any more."""
    for message in sorted(set(messages)):
        # Take it back unless somebody sends it; who lost his claim to it loses it for good.
        statement = (
            update(outbox)
            .where(outbox.c.id == message, outbox.c.status == "due", _unclaimed(at))
            .values(status="withdrawn", claim="", claim_until=0.0)
        )
        if connection.execute(statement).rowcount != 1:
            raise MovedError


def past_messages(before: float) -> tuple[ColumnElement[bool], ...]:
    """Choose the messages of no incident that were put there before."""
    return (outbox.c.incident < NO_INCIDENT, outbox.c.created_at < before)


def _of(service: str, environment: str) -> ColumnElement[bool]:
    return and_(outbox.c.service == service, outbox.c.environment == environment)


def _highest_priorities(channel: str) -> Subquery:
    """Find the highest priority among what is due of each incident on a channel.

    Joined, not asked row by row: SQLite would go through all that is due each time.
    """
    other = outbox.alias("other")
    return (
        select(other.c.incident, func.max(other.c.priority).label("priority"))
        .where(
            other.c.status == "due",
            other.c.channel == channel,
            other.c.incident > NO_INCIDENT,
        )
        .group_by(other.c.incident)
        .subquery("highest")
    )


def _unclaimed(at: float) -> ColumnElement[bool]:
    return outbox.c.claim_until <= at


def _message(row: Any) -> OutboxRow:
    return OutboxRow(
        id=row.id,
        message_id=row.message_id,
        service=row.service,
        environment=row.environment,
        incident=max(row.incident, NO_INCIDENT),
        kind=row.kind,
        sequence=row.sequence,
        channel=row.channel,
        payload=json.loads(row.payload),
        status=row.status,
        attempts=row.attempts,
        created_at=row.created_at,
        next_try_at=row.next_try_at,
        claim=row.claim,
        last_error=row.last_error,
        sent_at=row.sent_at,
        priority=row.priority,
    )
