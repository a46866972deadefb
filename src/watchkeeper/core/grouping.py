"""Collecting events into messages: the first is told at once, its followers together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

MAX_RECENT: Final = 500  # events remembered as seen, so that none is told twice
MAX_WAITING: Final = 200  # events listed in one digest; the rest is counted in it
LATE_S: Final = 3_600.0  # how late an event may reach the store and still be told


class Due(StrEnum):
    """Whether a message is sent now, and why."""

    NOTHING = "nothing"  # nobody waits
    FIRST = "first"  # none was sent lately: at once
    COLLECTED = "collected"  # the time for collecting is over
    COLLECTING = "collecting"  # followers wait for each other

    @property
    def is_now(self) -> bool:
        """Whether to send now."""
        return self in (Due.FIRST, Due.COLLECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One event: its id in the store, when it happened, and what its message says."""

    id: int
    at: float
    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """What an event rule remembers: which events it has seen, and who waits to be told."""

    since: float  # events from before are none of ours
    recent: tuple[tuple[int, float], ...] = ()  # (id, when) of events already seen
    waiting: tuple[Sighting, ...] = ()
    more: int = 0  # waiting beyond MAX_WAITING
    sent_at: float = 0.0  # of the last message
    sequence: int = 0  # messages sent

    def unseen(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """Return the events that are new, oldest first."""
        seen = {number for number, _ in self.recent}
        new = [one for one in sightings if one.at >= self.since and one.id not in seen]
        return sorted(new, key=lambda one: (one.at, one.id))

    def read_at(self, now: float) -> "EventLog":
        """Return the log as it counts at a moment: a clock that was ahead has not moved it on.

        Unless its memory is full of what lies ahead: none of that is to look new again.
        """
        if self.since <= now or len(self.recent) >= MAX_RECENT:
            return self
        return replace(self, since=now - LATE_S)

    def seen(self, sighting: Sighting, *, now: float, quiet: bool = False) -> "EventLog":
        """Return the log with one more event, waiting to be told unless it is `quiet`."""
        recent = (*self.recent, (sighting.id, sighting.at))
        newest = min(max(at for _, at in recent), now)  # the clock of its host may be ahead
        since = max(self.since, newest - LATE_S)
        kept = tuple(part for part in recent if part[1] >= since)
        if len(kept) > MAX_RECENT:
            # What leaves the memory must not look new again.
            kept = tuple(sorted(kept, key=lambda part: part[1]))
            since = kept[-MAX_RECENT - 1][1] + 1e-6
            kept = tuple(part for part in kept if part[1] >= since)
        is_full = len(self.waiting) >= MAX_WAITING
        waits = () if quiet or is_full else (sighting,)
        return replace(
            self,
            recent=kept,
            since=since,
            waiting=(*self.waiting, *waits),
            more=self.more + (is_full and not quiet),
        )

    def moved_on(self, since: float) -> "EventLog":
        """Return the log that begins later: all from before has been looked at."""
        since = max(self.since, since)
        recent = tuple(part for part in self.recent if part[1] >= since)
        return replace(self, since=since, recent=recent)

    def told(self, *, at: float) -> "EventLog":
        """Return the log after a message about all who waited."""
        return replace(self, waiting=(), more=0, sent_at=at, sequence=self.sequence + 1)

    def to_data(self) -> dict[str, Any]:
        """Return the stored form: JSON values."""
        return {
            "since": self.since,
            "recent": [list(part) for part in self.recent],
            "waiting": [
                {
                    "id": one.id,
                    "at": one.at,
                    "labels": dict(one.labels),
                    "summary": one.summary,
                }
                for one in self.waiting
            ],
            "more": self.more,
            "sent_at": self.sent_at,
            "sequence": self.sequence,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "EventLog":
        """Read the stored form; what is missing has its default."""
        return cls(
            since=data.get("since", 0.0),
            recent=tuple((number, at) for number, at in data.get("recent", ())),
            waiting=tuple(Sighting(**one) for one in data.get("waiting", ())),
            more=data.get("more", 0),
            sent_at=data.get("sent_at", 0.0),
            sequence=data.get("sequence", 0),
        )


def due(waiting: Sequence[object], *, sent_at: float, digest_s: float, now: float) -> Due:
    """Decide whether those who wait are told now.

    The first is told at once; whoever comes within `digest_s` of a message waits for its end, so
    that there is at most one message per `digest_s`. A clock set back does not silence for ever.
    """
    if not waiting:
        return Due.NOTHING
    if 0 <= now - sent_at < digest_s:
        return Due.COLLECTING
    return Due.COLLECTED if len(waiting) > 1 else Due.FIRST
