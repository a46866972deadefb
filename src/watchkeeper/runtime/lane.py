"""One channel of the outbox in this process: its notifier, its sends, and what all know of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Self

from watchkeeper.core.circuit import WORKS, Circuit
from watchkeeper.core.queue import MAX_MESSAGES

if TYPE_CHECKING:  # what a channel's settings say is read at the host's start: without a store
    from watchkeeper.notify import Notifier
    from watchkeeper.storage.store import OutboxRow, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOptions:
    """What a channel's settings say of its messages, whatever kind of channel it is."""

    fallback: str = ""  # the channel that gets what this one does not take; empty: none
    max_messages: int = MAX_MESSAGES  # in an hour; the rest goes into digests


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """What all processes of a service know of a channel: thrift, not correctness.

    Who reads an old state tries a channel once too often; messages are claimed all the same.
    """

    circuit: Circuit = WORKS
    digest_at: float = 0.0  # when the last digest was made
    reported_at: float = 0.0  # when other channels were last told that this one fails
    reported: int = 0  # messages that they were told of and that were lost right before

    def to_text(self) -> str:
        """Return the stored form."""
        return json.dumps(
            {
                "circuit": self.circuit.to_data(),
                "digest_at": self.digest_at,
                "reported_at": self.reported_at,
                "reported": self.reported,
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """Read the stored form; what is missing or cannot be read has its default."""
        try:
            data = json.loads(text or "{}")
        except ValueError:
            data = {}
        if not isinstance(data, Mapping):
            data = {}
        circuit = data.get("circuit")
        return cls(
            circuit=Circuit.from_data(circuit if isinstance(circuit, Mapping) else {}),
            digest_at=_moment(data.get("digest_at")),
            reported_at=_moment(data.get("reported_at")),
            reported=int(_moment(data.get("reported"))),
        )


@dataclass(slots=True)
class Lane:
    """One channel: its notifier, what is being sent, and what became of the last."""

    name: str
    notifier: Notifier
    options: LaneOptions
    key: str  # in the store, of what all know of it
    in_flight: int = 0
    follows: bool = False  # it looks after those that wait: a send of this process failed
    look_at: float | None = None  # when it does so next
    state: LaneState = LaneState()
    sending: dict[int, tuple[OutboxRow, float]] = field(default_factory=dict)  # since when
    # Whether messages may be given up that others were not told of; at first who was here before
    # may have had no time to tell.
    has_lost: bool = True
    helped: dict[int, None] = field(default_factory=dict)  # messages that the fallback has

    def read(self, store: Store) -> None:
        """Take over what all know of the channel."""
        self.state = LaneState.from_text(store.meta(self.key))

    def change(self, store: Store, **changes: Any) -> None:
        """Tell all what is known now."""
        self.state = replace(self.state, **changes)
        store.set_meta(self.key, self.state.to_text())


def lane_key(service: str, environment: str, name: str) -> str:
    """Return the key of a channel in the store; names may be longer than keys."""
    text = "\x00".join((service, environment, name))
    return f"channel:{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _moment(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
