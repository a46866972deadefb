"""The contract of a channel: a notification in, delivered or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from watchkeeper.exceptions import WatchkeeperError


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message about one or several incidents of one rule.

    `payload` holds JSON values only, so that it can wait in the outbox:
    rule, severity, status ("firing" | "resolved"), service, environment, summary, started_at,
    ended_at, link, and `alerts`: per incident its labels, value, threshold, bad, total, window_s,
    started_at, ended_at, incident.
    """

    id: str  # the same over every attempt, so that a receiver can drop a repetition
    channel: str
    kind: str
    at: float  # of this attempt, seconds since the epoch
    payload: Mapping[str, Any] = field(default_factory=dict)


class DeliveryError(WatchkeeperError):
    """The channel did not take the message."""

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after_s: float | None = None
    ) -> None:
        """Say why; `permanent` if the same message will be refused again."""
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class ChannelGoneError(DeliveryError):
    """The channel says that it is gone for good (HTTP 410): nothing more shall be sent to it."""

    def __init__(self, message: str) -> None:
        """Say what answered so."""
        super().__init__(message, permanent=True)


class Notifier(Protocol):
    """Somewhere messages go. Called in a thread of its own, never inside a transaction."""

    def send(self, notification: Notification) -> None:
        """Deliver within ten seconds or raise `DeliveryError`."""
