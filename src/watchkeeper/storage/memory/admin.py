"""Leases, tokens and values in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from watchkeeper.core.budget import Room
from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Tables, put
from watchkeeper.storage.store import Lease, Swap, TableSize

SERIES_BYTES: Final = 400  # a rough figure for one series of one frame as Python objects
ROW_BYTES: Final = 1_000  # a rough figure for any other row


class MemoryAdmin(Tables):
    """Leases, tokens and values in memory."""

    __slots__ = ()

    def migrate(self) -> int:
        """Return the schema's version; there is nothing to bring up to date."""
        return 1

    def acquire(self, name: str, *, owner: str, ttl_s: float) -> Lease | None:
        """Take or renew a lease on the store's clock; None: another holds it."""
        now = self.clock()
        with self._lock:
            holder, held = self._leases.get(name, ("", Lease(name=name, token=0, until=0.0)))
            free = not now < held.until <= now + rows.WRONG_LEASE * ttl_s
            if holder != owner and not free:
                return None
            token = held.token if holder == owner and not free else held.token + 1
            lease = Lease(name=name, token=token, until=now + ttl_s)
            self._leases[name] = (owner, lease)
            return lease

    def release(self, name: str, *, owner: str) -> None:
        """Give a lease back early."""
        with self._lock:
            holder, held = self._leases.get(name, ("", None))
            if held is not None and holder == owner:
                self._leases[name] = (owner, replace(held, until=0.0))

    def database_time(self) -> float | None:
        """Return None: the clock is that of the process."""
        return None

    def meta(self, key: str) -> str | None:
        """Read one value of the store's own."""
        with self._lock:
            return self._meta.get(key)

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        """Write a value (with `only_new`: unless there is one) and return what is stored now."""
        with self._lock:
            if not only_new or key not in self._meta:
                self._meta[key] = value
            return self._meta[key]

    def values(self, prefix: str) -> dict[str, str]:
        """Read the values of every key that begins so."""
        with self._lock:
            return {key: text for key, text in self._meta.items() if key.startswith(prefix)}

    def swap_values(self, swaps: Sequence[Swap]) -> set[str]:
        """Change values that are still what they were; return the keys whose change was made."""
        with self._lock:
            made = [
                one for one in swaps if one.old != one.new and self._meta.get(one.key) == one.old
            ]
            for one in made:
                if one.new is None:
                    del self._meta[one.key]
                else:
                    self._meta[one.key] = one.new
        return {one.key for one in made}

    def add_token(self, digest: str, *, purpose: str, expires_at: float) -> None:
        """Store the hash of a one-time token."""
        with self._lock:
            put(self._tokens, (digest, purpose), expires_at)

    def use_token(self, digest: str, *, purpose: str, at: float) -> bool:
        """Consume a one-time token: True for the first use before its end, False ever after."""
        with self._lock:
            return self._tokens.pop((digest, purpose), 0.0) > at

    def prepare(self, *, at: float) -> bool:
        """Do nothing: memory needs no room made."""
        return False

    def size_bytes(self) -> int:
        """Return a rough figure of the memory that everything takes."""
        return sum(one.bytes for one in self.table_sizes())

    def room(self) -> Room:
        """Return a rough figure of the memory that everything takes; there is no disk."""
        return Room(stored_bytes=self.size_bytes())

    def table_sizes(self) -> list[TableSize]:
        """Count the rows of each table, with a rough figure of their size, the largest first."""
        with self._lock:
            moments: dict[str, list[float]] = {
                "wk_frame": [float(key.start) for key in self._frames],
                "wk_hour": [float(start) for start, _ in self._hours],
                "wk_chunk": [float(start) for start, _ in self._chunks],
                "wk_issue": [one.first_at for one in self._issues.values()],
                "wk_issue_count": [float(key.start) for _, key in self._counts],
                "wk_issue_facet": [
                    one.first_at for found in self._facets.values() for one in found.values()
                ],
                "wk_issue_entry": [one.at for one in self._entries.values()],
                "wk_event": [event.at for _, event in self._events.values()],
                "wk_sample": [one.at for _, one in self._samples.values()],
                "wk_statement": [one.at for one in self._statements.values()],
                "wk_check": [one.at for one in self._checks.values()],
                "wk_check_change": [one.at for _, _, one in self._changes],
                "wk_incident": [one.started_at for one in self._incidents.values()],
                "wk_worker": [one.started_at for one in self._workers.values()],
            }
            values = sum(len(one.frame.values) for one in self._frames.values())
        sizes = [
            TableSize(
                table=name,
                bytes=SERIES_BYTES * values if name == "wk_frame" else ROW_BYTES * len(found),
                rows=len(found),
                oldest_at=min(found, default=None),
            )
            for name, found in moments.items()
        ]
        return sorted(sizes, key=lambda one: (-one.bytes, one.table))

    def description(self) -> str:
        """Name the store in a few words."""
        return "memory"

    def close(self) -> None:
        """Do nothing: there is no connection, and what is kept stays."""
