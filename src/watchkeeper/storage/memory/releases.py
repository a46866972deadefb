"""Deploy marks in memory."""

from collections.abc import Mapping
from dataclasses import replace

from watchkeeper.storage import rows
from watchkeeper.storage.memory.tables import Tables, drop, put, same_scope
from watchkeeper.storage.store import Release


class MemoryReleases(Tables):
    """Deploy marks in memory."""

    __slots__ = ()

    def scopes(self) -> list[tuple[str, str]]:
        """List the services with their environments of which there are workers, by name."""
        with self._lock:
            return sorted(
                {(one.scope.service, one.scope.environment) for one in self._workers.values()}
            )

    def mark_release(self, release: Release) -> bool:
        """Mark a release of a scope; False if it is marked already: the first mark stays."""
        with self._lock:
            return self._add_mark(release)

    def releases(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Release]:
        """List the marks of a scope in [since, until), newest first."""
        with self._lock:
            found = [
                one
                for one in self._releases.values()
                if same_scope(one.scope, service, environment) and since <= one.at < until
            ]
        return sorted(found, key=_age, reverse=True)[:limit]

    def prune_releases(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` marks from before, but the newest of each scope."""
        with self._lock:
            return drop(self._releases, past_marks(self._releases, before)[:limit])

    def _add_mark(self, release: Release) -> bool:
        kept = rows.cut_release(release)
        key = (kept.scope.service, kept.scope.environment, rows.mark_key(kept))
        if key in self._releases:
            return False
        name, _ = rows.mark_of(key[2])
        put(self._releases, key, replace(kept, scope=replace(kept.scope, release=name)))
        return True


def past_marks(
    releases: Mapping[tuple[str, str, str], Release], before: float
) -> list[tuple[str, str, str]]:
    """Find marks from before; the newest of a scope may be what its workers run."""
    newest = {key[:2]: one for key, one in sorted(releases.items(), key=_marked)}
    return [key for key, one in releases.items() if one.at < before and newest[key[:2]] is not one]


def _age(release: Release) -> tuple[float, str]:
    return release.at, release.scope.release


def _marked(item: tuple[object, Release]) -> tuple[float, str]:
    return _age(item[1])
