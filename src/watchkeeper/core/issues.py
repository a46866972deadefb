"""Issues over their life: the states, what moves an issue on, and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any, Final, Self

NEXT: Final = "next"  # in the data of an issue that is resolved in the next release


class State(StrEnum):
    """What people, or the events since, have made of an issue."""

    OPEN = "open"
    RESOLVED = "resolved"
    CAME_BACK = "came_back"  # it was resolved, and happened again
    MUTED = "muted"  # samples, but no alerts
    IGNORED = "ignored"  # counted, but no samples and no alerts


class Reason(StrEnum):
    """Why an issue's state changed, or stays."""

    ASKED = "asked"  # by a person
    HAPPENED_AGAIN = "happened_again"  # an event after it was resolved
    NEW_RELEASE = "new_release"  # an event of a release that is newer than the resolution
    OLD_RELEASE = "old_release"  # stays: only releases from before the resolution still have it
    TIME_OVER = "time_over"  # a mute's end
    MORE_EVENTS = "more_events"  # a mute's number of further events was reached
    MORE_OFTEN = "more_often"  # a mute's number of events in a period was reached
    MORE_USERS = "more_users"  # a mute's number of users was reached
    MERGED = "merged"
    SPLIT = "split"
    QUIET = "quiet"  # stays: nothing happened that would move it
    OTHER = "other"  # one that only a newer version knows

    @classmethod
    def _missing_(cls, value: object) -> "Reason":
        return cls.OTHER


RETURNS: Final = (
    Reason.HAPPENED_AGAIN,
    Reason.NEW_RELEASE,
    Reason.MORE_EVENTS,
    Reason.MORE_OFTEN,
    Reason.MORE_USERS,
)
"""The reasons that people want to be told: an issue is there again because it happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """What ends a mute; the first of them that comes, or nothing for good.

    `events` and `users` are totals of the issue at which it ends, set when it was muted;
    `per_count` events within `per_s` seconds end it too.
    """

    at: float | None = None
    events: int | None = None
    users: int | None = None
    per_count: int | None = None
    per_s: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the stored form: what is set, as JSON values."""
        return {
            name: value
            for name in ("at", "events", "users", "per_count", "per_s")
            if (value := getattr(self, name)) is not None
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the stored form; what is missing, or no number, is not set."""
        found: dict[str, Any] = {
            name: data[name] for name in cls.__slots__ if isinstance(data.get(name), int | float)
        }
        return cls(**found)


def until_of(data: Mapping[str, Any]) -> Until:
    """Return what ends a mute, of the data of its state; nothing if that cannot be read."""
    ends = data.get("until")
    return Until.from_data(ends) if isinstance(ends, Mapping) else Until()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release under which an issue happened. Moments are seconds since the epoch."""

    name: str
    marked_at: float  # when it was first deployed; infinite where that is unknown
    last_at: float  # the last event under it


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of an issue at the moment of a decision.

    `recently` is how often it happened within the period of its mute, since it was muted;
    `releases` need hold only those under which it happened since its state began.
    """

    count: int
    users: int
    last_at: float
    recently: int = 0
    releases: Collection[Release] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The state an issue is to have, and why."""

    state: State
    reason: Reason


def in_next_release() -> dict[str, Any]:
    """Return the data of an issue that is resolved in the next release."""
    return {"release": NEXT}


def decide(
    state: State, data: Mapping[str, Any], seen: Seen, *, since: float, now: float
) -> Decision:
    """Decide what becomes of an issue that has been in a state, with its data, since a moment.

    Only an event that is later than the resolution brings an issue back: what happened before and
    reached the database afterwards does not. Resolved in the next release, it is brought back only
    by a release that was first deployed after the resolution.
    """
    if state is State.RESOLVED:
        return _resolved(data, seen, since=since)
    if state is State.MUTED:
        return _muted(until_of(data), seen, now=now)
    return Decision(state, Reason.QUIET)


def _resolved(data: Mapping[str, Any], seen: Seen, *, since: float) -> Decision:
    if seen.last_at <= since:
        return Decision(State.RESOLVED, Reason.QUIET)
    if data.get("release") != NEXT:
        return Decision(State.CAME_BACK, Reason.HAPPENED_AGAIN)
    if any(one.last_at > since and since < one.marked_at < inf for one in seen.releases):
        return Decision(State.CAME_BACK, Reason.NEW_RELEASE)
    return Decision(State.RESOLVED, Reason.OLD_RELEASE)


def _muted(until: Until, seen: Seen, *, now: float) -> Decision:
    ended = (
        (until.events is not None and seen.count >= until.events, Reason.MORE_EVENTS),
        (until.users is not None and seen.users >= until.users, Reason.MORE_USERS),
        (until.per_count is not None and seen.recently >= until.per_count, Reason.MORE_OFTEN),
        (until.at is not None and now >= until.at, Reason.TIME_OVER),
    )
    for is_over, reason in ended:
        if is_over:
            return Decision(State.OPEN, reason)
    return Decision(State.MUTED, Reason.QUIET)
