"""What all processes know of a channel: that it is gone (its receiver answered 410)."""

import json
from dataclasses import dataclass
from typing import Final, Protocol

from watchkeeper.storage import rows

CHANNEL: Final = "channel"  # the keys of the store's own values that tell which are gone


class Values(Protocol):
    """The store's own values."""

    def meta(self, key: str) -> str | None:
        """Read one."""

    def set_meta(self, key: str, value: str, *, only_new: bool = False) -> str:
        """Write one (with `only_new`: unless there is one) and return what is stored now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel as settings name it. With another `address` it is another channel.

    Of the address, which may be a secret, nothing but a hash is stored.
    """

    service: str
    environment: str
    name: str
    address: str

    @property
    def key(self) -> str:
        """What it is known by among the store's own values."""
        return f"{CHANNEL}:{rows.digest(self.service, self.environment, self.name, self.address)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Since when a channel is gone, and what its receiver said (scrubbed by the caller)."""

    since: float
    why: str


def gone(values: Values, channel: Channel) -> Gone | None:
    """Return since when a channel is gone; None: it is not. Raises StorageError."""
    stored = json.loads(values.meta(channel.key) or "null")
    return Gone(since=stored["since"], why=stored["why"]) if stored else None


def mark_gone(values: Values, channel: Channel, *, at: float, why: str) -> None:
    """Tell all processes that a channel is gone. Raises StorageError."""
    stored = {"since": at, "why": rows.cut(why, rows.MAX_ERROR)}
    values.set_meta(channel.key, json.dumps(stored))


def forget_gone(values: Values, channel: Channel) -> None:
    """Let a channel be tried again: somebody says that it is there. Raises StorageError."""
    if values.meta(channel.key):
        values.set_meta(channel.key, "")
