"""Samples and the texts of statements in memory."""

from collections.abc import Collection
from dataclasses import replace

from watchkeeper.core.metrics import Scope
from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Tables, drop, plain, put, same_scope
from watchkeeper.storage.store import Sample, Statement


class MemorySamples(Tables):
    """Samples and statements in memory."""

    __slots__ = ()

    def sample(self, sample_id: str, *, service: str, environment: str) -> Sample | None:
        """Read one sample of a scope."""
        with self._lock:
            scope, sample = self._samples.get(sample_id, (None, None))
        return sample if scope and same_scope(scope, service, environment) else None

    def samples(
        self,
        *,
        service: str,
        environment: str,
        since: float,
        until: float,
        limit: int,
        route: str | None = None,
        reason: str | None = None,
        fingerprints: Collection[str] | None = None,
        request_id: str | None = None,
    ) -> list[Sample]:
        """List samples that ended in [since, until), newest first; None: of any."""
        with self._lock:
            found = [
                sample
                for scope, sample in self._samples.values()
                if same_scope(scope, service, environment)
                and since <= sample.at < until
                and route in (None, sample.route)
                and reason in (None, sample.reason)
                and (fingerprints is None or sample.fingerprint in fingerprints)
                and request_id in (None, sample.request_id)
            ]
        return sorted(found, key=_age, reverse=True)[:limit]

    def statements(
        self, *, service: str, environment: str, fingerprints: Collection[str] | None = None
    ) -> list[Statement]:
        """Read the texts of statements, of these fingerprints only unless None."""
        with self._lock:
            return [
                statement
                for key, statement in sorted(self._statements.items())
                if key[:2] == (service, environment)
                and (fingerprints is None or statement.fingerprint in fingerprints)
            ]

    def prune_samples(self, *, before: float, most: int, limit: int) -> int:
        """Delete samples past their time or number, and statements past their time."""
        with self._lock:
            newest = sorted((one for _, one in self._samples.values()), key=_age, reverse=True)
            gone = [one for at, one in enumerate(newest) if at >= most or one.at < before]
            unused = [key for key, one in self._statements.items() if one.at < before]
            return drop(self._samples, [one.id for one in reversed(gone)][:limit]) + drop(
                self._statements, unused[:limit]
            )

    def _keep_sample(self, scope: Scope, sample: Sample) -> None:
        kept = replace(rows.cut_sample(sample), data=plain(sample.data))
        if kept.id not in self._samples:
            put(self._samples, kept.id, (scope, kept))

    def _keep_statement(self, scope: Scope, statement: Statement) -> None:
        kept = rows.cut_statement(statement)
        key = (scope.service, scope.environment, kept.fingerprint)
        known = self._statements.get(key)
        put(self._statements, key, rows.seen_statement(known, kept) if known else kept)


def _age(sample: Sample) -> tuple[float, str]:
    return sample.at, sample.id
