"""What people did, in a SQL database."""

import json

from sqlalchemy import Connection, insert, select

from watchkeeper.storage import rows
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.schema import audit as entries
from watchkeeper.storage.store import Audit


class SqlAudits(Part):
    """The audit's part of the SQL store."""

    def audit(self, entry: Audit) -> None:
        """Write down what somebody did."""
        with self._database.write() as connection:
            note_audit(connection, entry)

    def audits(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Audit]:
        """List what was done in a scope in [since, until), newest first."""
        # Read the entries of a scope by time.
        statement = (
            select(entries)
            .where(
                entries.c.service == service,
                entries.c.environment == environment,
                entries.c.at >= since,
                entries.c.at < until,
            )
            .order_by(entries.c.at.desc(), entries.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [
                Audit(
                    service=row.service,
                    environment=row.environment,
                    at=row.at,
                    actor=row.actor,
                    action=row.action,
                    target=row.target,
                    data=json.loads(row.data),
                )
                for row in connection.execute(statement)
            ]

    def prune_audits(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` entries from before; return how many."""
        # Entries past their time.
        old = select(entries.c.id).where(entries.c.at < before).limit(limit)
        with self._database.write() as connection:
            return connection.execute(self._database.dialect.delete_chosen(entries, old)).rowcount


def note_audit(connection: Connection, entry: Audit) -> None:
    """Write down what somebody did, in the transaction that does it."""
    kept = rows.cut_audit(entry)
    # Append one entry.
    connection.execute(
        insert(entries).inline(),
        {
            "service": kept.service,
            "environment": kept.environment,
            "at": kept.at,
            "actor": kept.actor,
            "action": kept.action,
            "target": kept.target,
            "data": json.dumps(kept.data, separators=(",", ":")),
        },
    )
