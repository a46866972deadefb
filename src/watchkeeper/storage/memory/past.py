"""The tables in memory as a whole, and what in them is past its time."""

from collections.abc import Iterable
from math import inf

from watchkeeper.core.hours import MINUTE_S
from watchkeeper.storage import rows
from watchkeeper.storage.memory.frames import past_workers
from watchkeeper.storage.memory.outbox import past_messages
from watchkeeper.storage.memory.releases import past_marks
from watchkeeper.storage.memory.silences import ended_before
from watchkeeper.storage.memory.tables import Tables
from watchkeeper.storage.upkeep import Kind, OwnTable, Past, Schema


class MemoryPast(Tables):
    """The tables as a whole, and what is past its time."""

    __slots__ = ()

    def schema(self) -> Schema:
        """Tell that the tables are as they should be."""
        return Schema(found=1, known=1)

    def missing_sql(self) -> list[str]:
        """Return nothing: there is no schema to bring up to date."""
        return []

    def tables(self) -> list[OwnTable]:
        """List no table: there is none in a database."""
        return []

    def remove(self) -> list[OwnTable]:
        """Forget everything that is kept."""
        with self._lock:
            for table in self._all():
                table.clear()
        return []

    def past(
        self,
        kind: Kind,
        *,
        before: float,
        resolution: int = 0,
        sealed_before: float = 0.0,
        most: int = 0,
    ) -> list[Past]:
        """Count what `prune_…` of a kind would delete, table by table."""
        with self._lock:
            if kind is Kind.SAMPLES:
                return self._past_samples(before, most)
            if kind is Kind.WORKERS:
                gone = past_workers(self._workers.values(), before)
                return [_past("workers", (self._workers[one].seen_at for one in gone), inf)]
            if kind in (Kind.FRAMES, Kind.SEALED):
                sealed = kind is Kind.SEALED
                length = MINUTE_S if sealed else resolution
                edge = before if sealed else sealed_before
                moments = [
                    key.start
                    for key, one in self._frames.items()
                    if key.resolution == length
                    and key.start < before
                    and (one.rolled and key.start < edge) is sealed
                ]
                return [_past("sealed frames" if sealed else "frames", moments, before)]
            return [_past(what, moments, before) for what, moments in self._moments(kind, before)]

    def _past_samples(self, before: float, most: int) -> list[Past]:
        moments = sorted(one.at for _, one in self._samples.values())
        old = sum(at < before for at in moments)
        gone = max(old, len(moments) - most)
        return [
            Past(what="samples", rows=gone, oldest=moments[0] if gone else None),
            _past("statements", (one.at for one in self._statements.values()), before),
        ]

    def _moments(self, kind: Kind, before: float) -> list[tuple[str, list[float]]]:
        """Return the tables of a kind with the moments that decide over their rows."""
        tables: dict[Kind, list[tuple[str, Iterable[float]]]] = {
            Kind.CHUNKS: [("chunks", (start for start, _ in self._chunks))],
            Kind.HOURS: [("hours", (start for start, _ in self._hours))],
            Kind.EVENTS: [("events", (one.at for _, one in self._events.values()))],
            Kind.COUNTS: [("issue counts", (key.start for _, key in self._counts))],
            Kind.ISSUES: [("issues", (one.last_at for one in self._issues.values()))],
            Kind.INCIDENTS: [
                (
                    "incidents",
                    (
                        one.started_at
                        for one in self._incidents.values()
                        if rows.is_over(one, before=before)
                    ),
                ),
                ("messages", (at for _, at in past_messages(self._outbox, before))),
            ],
            Kind.SILENCES: [
                (
                    "silences",
                    (
                        one.created_at
                        for one in self._silences.values()
                        if ended_before(one, before)
                    ),
                )
            ],
            Kind.CHECKS: [
                ("check results", (one.at for one in self._checks.values())),
                ("check changes", (change.at for _, _, change in self._changes)),
            ],
            Kind.RELEASES: [
                (
                    "releases",
                    (self._releases[key].at for key in past_marks(self._releases, before)),
                )
            ],
            Kind.SERIES: [("series", ())],
            Kind.AUDITS: [("audits", (one.at for one in self._audits))],
        }
        return [(what, list(moments)) for what, moments in tables[kind]]

    def _all(self) -> "list[dict[object, object] | list[object]]":
        fields = (getattr(self, name) for name in Tables.__slots__)
        return [one for one in fields if isinstance(one, dict | list)]


def _past(what: str, moments: Iterable[float], before: float) -> Past:
    old = [at for at in moments if at < before]
    return Past(what=what, rows=len(old), oldest=min(old, default=None))
