"""What people did, in memory."""

from dataclasses import replace

from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import MAX_ROWS, Tables, plain
from watchkeeper.storage.store import Audit


class MemoryAudits(Tables):
    """What people did, in memory."""

    __slots__ = ()

    def audit(self, entry: Audit) -> None:
        """Write down what somebody did."""
        with self._lock:
            self._audits.append(replace(rows.cut_audit(entry), data=plain(entry.data)))
            del self._audits[:-MAX_ROWS]

    def audits(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Audit]:
        """List what was done in a scope in [since, until), newest first."""
        with self._lock:
            found = [
                one
                for one in reversed(self._audits)
                if (one.service, one.environment) == (service, environment)
                and since <= one.at < until
            ]
        return sorted(found, key=lambda one: one.at, reverse=True)[:limit]

    def prune_audits(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` entries from before; return how many."""
        with self._lock:
            old = [one for one in self._audits if one.at < before][:limit]
            for one in old:
                self._audits.remove(one)
            return len(old)
