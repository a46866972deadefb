"""The contract of a channel: a notification in, delivered or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from watchkeeper.exceptions import WatchkeeperError


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message about one or several incidents of one rule.

    `kind` is "firing", "worse", "reminder", "escalated", "again", "resolved", "flapping",
    "digest", "changed" or "test". `payload` holds JSON values only, so that it can wait in the
    outbox; any of them may be missing:

    rule, severity, status ("firing" | "resolved"), service, environment, summary, description,
    started_at, ended_at (seconds since the epoch; null while it lasts), noticed (`started_at` is
    when that was), late (told when it was over), link, ack_link, silence_link, runbook, next_steps
    (texts), release ({name, at, after_s} | null, and kind "return" of one that is back), thread
    (id of the incident's first message on this channel, "" in that one), sequence, more (alerts
    that are not listed), and `alerts`: per incident its labels, summary, said (by what failed),
    severity, value and value_text, threshold, threshold_text and operator, peak_text, bad and
    total (where they count something), window_s, started_at, ended_at, incident, link.
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
