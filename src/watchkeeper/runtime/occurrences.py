"""Occurrences of errors on their way into the counts of a slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watchkeeper.core.fingerprint import Fingerprint, customize
from watchkeeper.core.metrics import OTHER
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.apart import Part, Parts, joined_routes
from watchkeeper.runtime.events import Sample, title_of
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.record import RequestContext

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import IssueCount

ERROR: Final = "error"  # the usual level; "critical" is worse

_OTHER: Final = customize(Fingerprint(value="", parts=(), path="", culprit=""), [OTHER])
_TITLE: Final = "Errors beyond the cap on different issues in one slot"
BEYOND: Final = Known(type=OTHER, key=_OTHER.value, finish=lambda: _OTHER)
"""What errors count as when the slot has too many groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One error as it was when it happened, not counted yet; nothing of the host is in it."""

    known: Known
    at: float
    request: RequestContext | None = None
    user: str = ""  # a hash
    sample: Sample | None = None


class Group:
    """The count of one issue in the open slot."""

    __slots__ = ("count", "earlier", "first_at", "known", "level", "parts", "sample")

    def __init__(self, known: Known, at: float, *, earlier: int = 0) -> None:
        """Begin with none, at the time of the first; `earlier` ones were sampled with these."""
        self.known = known
        self.earlier = earlier
        self.count = 0
        self.first_at = at
        self.level = ERROR
        self.parts = Parts()
        self.sample: Sample | None = None

    def add(self, other: Group) -> None:
        """Count another group in, which turned out to be the same."""
        self.count += other.count
        self.parts.join(other.parts)
        if other.level != ERROR:
            self.level = other.level
        if other.first_at < self.first_at:
            self.first_at = other.first_at
            self.sample = other.sample or self.sample


def folded(counts: Sequence[IssueCount]) -> IssueCount:
    """Count issues beyond a cap as one, like those of a slot."""
    from watchkeeper.storage.store import IssueCount

    return IssueCount(
        fingerprint=_OTHER.value,
        aliases=_OTHER.aliases,
        count=sum(one.count for one in counts),
        first_at=min(one.first_at for one in counts),
        last_at=max(one.last_at for one in counts),
        type=OTHER,
        title=_TITLE,
        culprit="",
    )


def counts_of(group: Group) -> list[IssueCount]:
    """Shape a group's counts for the store, one for each call path."""
    from watchkeeper.storage.store import IssueCount

    known, fingerprint = group.known, group.known.settle()
    type_, title = scrubbing.name(known.type), _title(known, group.sample)
    culprit = scrubbing.name(known.culprit or fingerprint.culprit)
    return [
        IssueCount(
            fingerprint=fingerprint.value,
            aliases=fingerprint.aliases,
            count=part.count,
            first_at=part.first_at,
            last_at=part.last_at,
            type=type_,
            title=title,
            culprit=culprit,
            level=group.level,
            path=path,
            routes=_routes(part),
            users=tuple(sorted(part.users)),
        )
        for path, part in group.parts.by_path().items()
    ]


def _routes(part: Part) -> dict[str, int]:
    return joined_routes({scrubbing.name(route): count} for route, count in part.told().items())


def _title(known: Known, sample: Sample | None) -> str:
    if known is BEYOND:
        return _TITLE
    if sample is None:
        return scrubbing.name(known.type.rpartition(".")[2])
    return title_of(sample.snapshot)
