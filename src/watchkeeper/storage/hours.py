"""Hours: their rows, and what a store does with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.core.hours import Hour, Minutes
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """An hour with minute frames that are in no hour's row yet.

    `shares` says into how many shares of the series to split it, so that one fits into memory.
    """

    start: int
    keys: tuple[FrameKey, ...]
    shares: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRow:
    """What one series adds up to within the hour that begins at `start`."""

    series: Series
    start: int
    hour: Hour


@dataclass(frozen=True, slots=True, kw_only=True)
class HourTotal:
    """What the rows of one series add up to over several hours: count and sum, no more."""

    count: int
    sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHour:
    """What is stored of one series and hour already; None where it is gone or damaged."""

    revision: int  # how often it was written
    hour: Hour | None
    minutes: Minutes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHour:
    """What is to be stored of one series and hour.

    `chunk` are its minutes, packed; `revision` is that of the row whose place it takes, 0 if
    there is none.
    """

    series: Series
    hour: Hour
    chunk: bytes
    revision: int = 0


class HourStore(Protocol):
    """Hours: what the minutes of each series add up to, and those minutes as a chunk.

    An hour is sealed when the minute frames of it are in these rows; later ones are merged in.
    """

    def unsealed(self, *, before: float, limit: int) -> list[Unsealed]:
        """List up to `limit` hours that ended at or before `before` and have minutes to seal.

        Oldest first; of an hour with very many frames the rest is listed the next time.
        """

    def unsealed_frames(self, hour: Unsealed, share: int) -> list[Frame]:
        """Read one share (from 0) of the series of an hour's minute frames; damaged ones go."""

    def stored_hour(
        self, start: int, series: Collection[Series]
    ) -> Mapping[Series, StoredHour] | None:
        """Read what is stored of an hour; None if a newer version wrote what cannot be read."""

    def seal(self, start: int, hours: Sequence[SealedHour], sources: Collection[FrameKey]) -> bool:
        """Write an hour's rows and chunks and mark its minute frames, in one transaction.

        Returns False, having changed nothing, if a source is marked already or gone, or a row is
        not of the revision that was read: another roller was faster.
        """

    def sealed_hours(
        self, *, since: float, until: float, service: str, environment: str
    ) -> dict[int, int]:
        """List the sealed hours of a scope that start in [since, until): start → its minutes."""

    def hours(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
        series: Collection[Series] | None = None,
    ) -> list[HourRow]:
        """Read the rows of hours that start in [since, until), oldest first.

        Of the scope, and of these metrics and these series only unless None. Damaged ones are left
        out and counted in `damaged_frames`.
        """

    def hour_totals(
        self,
        *,
        since: float,
        until: float,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
    ) -> dict[Series, HourTotal]:
        """Add up the rows of hours that start in [since, until), each series for itself.

        Many times faster than reading them, for their histograms are not looked at. What is chosen
        is what `hours` would read, rows with a damaged histogram among it.
        """

    def minutes(
        self,
        start: int,
        *,
        service: str,
        environment: str,
        metrics: Collection[str] | None = None,
    ) -> list[Frame]:
        """Read the minutes of a sealed hour as minute frames, of the scope and metrics only.

        What is left out of `hours` is left out here as well.
        """

    def prune_sealed(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` minute frames that are sealed and start before; return how many."""

    def prune_chunks(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` parts of chunks of hours that start before; return how many."""

    def prune_hours(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` rows of hours that start before; return how many."""
