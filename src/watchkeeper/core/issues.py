"""Issues over their life: the states, what moves an issue on, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self


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
        """Read the stored form; what is missing is not set."""
        return cls(**{name: data.get(name) for name in cls.__slots__})
