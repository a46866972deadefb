"""Silences and planned windows in memory."""

from dataclasses import replace

from watchkeeper.storage import rows
from watchkeeper.storage.memory.audits import MemoryAudits
from watchkeeper.storage.memory.tables import drop, plain, put
from watchkeeper.storage.store import Audit, Silence


class MemorySilences(MemoryAudits):
    """Silences and planned windows in memory, over the audit that they write to."""

    __slots__ = ()

    def add_silence(self, silence: Silence, *, audit: Audit) -> Silence:
        """Store a new silence and who set it, in one transaction; return it with its id."""
        with self._lock:
            kept = replace(
                rows.cut_silence(silence),
                id=self._next_id("silence"),
                matchers=plain(silence.matchers),
            )
            put(self._silences, kept.id, kept)
            self.audit(replace(audit, target=str(kept.id)))
            return kept

    def silences(
        self, *, service: str, environment: str, at: float | None = None, limit: int
    ) -> list[Silence]:
        """List silences of a scope, newest first."""
        with self._lock:
            found = [
                one
                for one in reversed(self._silences.values())
                if (one.service, one.environment) == (service, environment)
                and (at is None or not is_over(one, at))
            ]
        return found[:limit]

    def silence(self, silence_id: int) -> Silence | None:
        """Read one silence."""
        with self._lock:
            return self._silences.get(silence_id)

    def end_silence(self, silence_id: int, *, at: float, audit: Audit) -> bool:
        """End a silence and write down who did, in one transaction."""
        with self._lock:
            found = self._silences.get(silence_id)
            if found is None or found.ended_at is not None:
                return False
            self._silences[silence_id] = replace(found, ended_at=at)
            self.audit(replace(audit, target=str(silence_id)))
            return True

    def prune_silences(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` silences that ended before; return how many."""
        with self._lock:
            old = [key for key, one in self._silences.items() if ended_before(one, before)]
            return drop(self._silences, old[:limit])


def is_over(silence: Silence, at: float) -> bool:
    """Tell whether a silence has ended by a moment."""
    return any(end is not None and end <= at for end in (silence.ends_at, silence.ended_at))


def ended_before(silence: Silence, before: float) -> bool:
    """Tell whether a silence ended before, early or by itself."""
    return any(end is not None and end < before for end in (silence.ends_at, silence.ended_at))
