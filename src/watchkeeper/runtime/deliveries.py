"""What has become of the messages about an alert: delivered where, still waiting where."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from watchkeeper.core.telling import Kind
from watchkeeper.runtime.payloads import told_of, without
from watchkeeper.storage.store import OutboxRow, OutboxStore, Outgoing

MAX_LOOKED_THROUGH: Final = 500  # messages filed under one incident
# Of what is left of a message: its own numbers stay free for what will be filed there.
REST_SEQUENCES: Final = 1_000_000

_REPEATED: Final = (Kind.REMINDER, Kind.FLAPPING)  # the last one says all that those before said


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How far the news that an alert fires has come. `waiting` are messages to be withdrawn."""

    known: frozenset[str] = frozenset()  # channels that delivered it, or may have
    late: frozenset[str] = frozenset()  # channels where nothing went out, and may be withdrawn
    in_flight: bool = False  # a channel that has delivered nothing is sending just now
    refused: frozenset[str] = frozenset()  # channels that gave up on all of it
    waiting: tuple[OutboxRow, ...] = ()
    threads: Mapping[str, str] = field(default_factory=dict)  # channel → id of its first message


class Deliveries:
    """Looks messages up in the outbox, those of each incident once. For one evaluation."""

    def __init__(self, store: OutboxStore) -> None:
        """Take the store; nothing is read before the first question."""
        self._store = store
        self._read: dict[int, list[OutboxRow]] = {}

    def about(self, incident: int, *, filed: Iterable[int]) -> Delivered:
        """Return what became of the messages about an incident since it was last over.

        `filed` are the incidents under which they may be found. Raises StorageError.
        """
        rows = sorted(
            (
                row
                for one in {*filed, incident}
                for row in self._filed(one)
                if incident in told_of(dict(row.payload))
            ),
            key=lambda row: row.id,
        )
        threads: dict[str, str] = {}
        by_channel: dict[str, list[OutboxRow]] = {}
        for row in rows:
            threads.setdefault(row.channel, row.message_id)
            if row.kind == Kind.RESOLVED:
                by_channel.pop(row.channel, None)  # what was said before that is done with
            else:
                by_channel.setdefault(row.channel, []).append(row)
        return _delivered(by_channel, threads)

    def _filed(self, incident: int) -> list[OutboxRow]:
        if incident not in self._read:
            self._read[incident] = self._store.outbox(incident=incident, limit=MAX_LOOKED_THROUGH)
        return self._read[incident]


def is_outdone(row: OutboxRow, kind: Kind, channels: Collection[str]) -> bool:
    """Tell whether a message that waits says nothing more beside a new one of a kind.

    The end of an alert stands for whatever said that it fires, a reminder for those before it.
    """
    if kind is Kind.RESOLVED:
        return True
    return kind in _REPEATED and row.kind == kind and row.channel in channels


def rest_of(rows: Iterable[OutboxRow], told_anew: Sequence[int], *, now: float) -> list[Outgoing]:
    """Return what takes the place of messages on alerts of which something newer is told."""
    rest = []
    for row in rows:
        payload = without(dict(row.payload), told_anew)
        if payload is not None:
            rest.append(
                Outgoing(
                    kind=row.kind,
                    sequence=row.sequence + REST_SEQUENCES,
                    channel=row.channel,
                    payload=payload,
                    due_at=now,
                    incident=row.incident,
                    priority=row.priority,
                )
            )
    return rest


def _delivered(
    by_channel: Mapping[str, Collection[OutboxRow]], threads: Mapping[str, str]
) -> Delivered:
    known, late, refused = set[str](), set[str](), set[str]()
    in_flight = False
    waiting: list[OutboxRow] = []
    for channel, every in by_channel.items():
        rows = [row for row in every if not _is_replaced(row, every)]
        free = [row for row in rows if row.status == "due" and not row.claim]
        sending = [row for row in rows if row.status == "due" and row.claim]
        waiting.extend(free)
        if any(row.status in ("sent", "withdrawn") for row in rows):
            known.add(channel)  # what was withdrawn without a word of its end is in a digest
        elif sending:
            known.add(channel)
            in_flight = True
        elif free:
            late.add(channel)
        else:
            refused.add(channel)
    return Delivered(
        known=frozenset(known),
        late=frozenset(late),
        in_flight=in_flight,
        refused=frozenset(refused),
        waiting=tuple(waiting),
        threads=threads,
    )


def _is_replaced(row: OutboxRow, others: Collection[OutboxRow]) -> bool:
    """Tell whether a message was withdrawn for one that tells of fewer alerts, or for the next."""
    key = (row.kind, row.sequence + REST_SEQUENCES)
    return row.status == "withdrawn" and any(
        (one.kind, one.sequence) == key
        or (row.kind in _REPEATED and one.kind == row.kind and one.id > row.id)
        for one in others
    )
