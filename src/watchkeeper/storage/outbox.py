"""Messages that wait to be sent: the rows, and what a store does with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

NO_INCIDENT: Final = 0  # the incident of a message that belongs to none: a test, a digest
SEQUENCES: Final = 2**31  # the column has 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A notification to be put into the outbox with the state change that caused it.

    Of each kind and sequence an incident has one message per channel: a second one is left out.
    So it is with messages of no incident (NO_INCIDENT) within service and environment: those who
    may send the same one at once choose the same sequence (`sequence_at`).
    """

    kind: str  # firing | resolved | …
    sequence: int  # of this kind within the incident, from 0
    channel: str
    payload: Mapping[str, Any]
    due_at: float
    incident: int | None = None  # None: that of the change's own row
    priority: int = 0  # higher ones are claimed first, whatever waits; -100 to 100


def sequence_at(at: float, *, every_s: float = 1.0) -> int:
    """Return the sequence of a message of no incident of which there is one in `every_s`."""
    return int(at // every_s) % SEQUENCES


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One notification in the outbox. `message_id` stays the same over every attempt."""

    id: int
    message_id: str
    service: str = ""  # empty: put there by a process of before schema 6
    environment: str = ""
    incident: int  # NO_INCIDENT: of none
    kind: str
    sequence: int
    channel: str
    payload: Mapping[str, Any]
    status: str  # due | sent | failed | withdrawn
    attempts: int
    created_at: float
    next_try_at: float
    claim: str = ""  # token of the claim that this row was handed out under
    claim_until: float = 0.0  # told by `waiting` alone: until then somebody sends it
    last_error: str = ""
    sent_at: float | None = None
    priority: int = 0


class OutboxStore(Protocol):
    """Messages on their way: put into the outbox, claimed, sent, settled."""

    def enqueue(
        self,
        outgoing: Sequence[Outgoing],
        *,
        service: str,
        environment: str,
        at: float,
        withdraw: Sequence[int] = (),
    ) -> int | None:
        """Put messages into the outbox without a change of an alert; return how many are new.

        Those that name no incident are of none. With `withdraw`, ids of messages that these stand
        for, it is all or nothing: None, and nothing is changed, if one of them is not due any
        more or is being sent, or if one of the new ones is there already.
        """

    def claim(
        self,
        *,
        at: float,
        hold_s: float,
        channels: Collection[str],
        limit: int,
        scope: tuple[str, str] | None = None,
        ids: Collection[int] | None = None,
    ) -> list[OutboxRow]:
        """Take due messages for `hold_s` seconds; `attempts` grows by one.

        The highest priority first, of each the oldest.
        With `scope`, (service, environment), only its own, and those that tell of none; with
        `ids`, only these.
        """

    def settle(
        self, row: OutboxRow, *, status: str, at: float, next_try_at: float = 0, error: str = ""
    ) -> bool:
        """Record what became of a claimed message; False if the claim was lost meanwhile."""

    def retry_now(self, message: int, *, at: float) -> bool:
        """Make a message due at once that waits or was given up; by its `id`.

        One that is too old to be tried again has this one attempt. False if it was sent or
        withdrawn, is being sent, or is not there.
        """

    def outbox(
        self,
        *,
        incident: int | None = None,
        channel: str | None = None,
        status: str | None = None,
        since: float = 0.0,
        scope: tuple[str, str] | None = None,
        limit: int,
    ) -> list[OutboxRow]:
        """List messages that were put there since, newest first; None: of any.

        With NO_INCIDENT for the incident, those of none.
        """

    def waiting(
        self, channel: str, *, limit: int, scope: tuple[str, str] | None = None
    ) -> list[OutboxRow]:
        """List the messages of a channel that are due now or later.

        The highest priority first, where those of one incident have the highest of them all; of
        each the oldest.
        Also those that are being sent: until their `claim_until`. `scope` as with `claim`.
        """

    def sent_since(
        self,
        channel: str,
        *,
        since: float,
        service: str,
        environment: str,
        uncounted: Collection[str] = (),
    ) -> int:
        """Count the messages of a scope that a channel took since.

        Of those of no incident the `uncounted` kinds are left out.
        """

    def outbox_waiting(self, *, service: str, environment: str) -> int:
        """Count the messages of a scope that are due now or later."""

    def oldest_waiting(
        self, *, service: str, environment: str, since: float = 0.0
    ) -> float | None:
        """Return when the oldest due message of a scope was put there, of those since.

        None if none waits.
        """
