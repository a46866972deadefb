"""Alert states and incidents: the rows, and what a store does with them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from watchkeeper.storage.outbox import Outgoing

AGAIN_KEY: Final = "again_at"  # in an incident's data: when it came again, told to be over


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """The state of one rule on one group of labels, guarded by `version`."""

    service: str
    environment: str
    rule: str
    group: str  # canonical text of the group's labels, "" for a rule without `by`
    state: str
    data: Mapping[str, Any]  # the state machine's fields, JSON values
    incident: int | None = None
    version: int = 0  # 0: not stored yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One continuous problem, from the first breach to its end. `id` 0: not stored yet."""

    id: int = 0
    service: str
    environment: str
    rule: str
    group: str
    severity: str
    state: str  # pending | firing | resolved | event (something that happened, without an end)
    started_at: float  # when the condition was first true
    fired_at: float | None = None
    resolved_at: float | None = None
    value: float | None = None
    peak: float | None = None
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  # counts, window, threshold, links
    # Who took it on, when and with which words: written by `acknowledge` alone.
    acked_at: float | None = None
    acked_by: str = ""
    ack_note: str = ""

    @property
    def again_at(self) -> float:
        """When it came again after people were told that it is over; 0 if it did not."""
        return float(self.data.get(AGAIN_KEY) or 0.0)

    @property
    def taken_at(self) -> float | None:
        """When somebody took it on; None if nobody has, or only before it came again."""
        if self.acked_at is None or self.acked_at < self.again_at:
            return None
        return self.acked_at


MakeOutgoing = Callable[[int], Sequence[Outgoing]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """A transition to be saved: state by compare-and-set, incident and notices with it.

    All of it or nothing. `outgoing` may be a pure function that is given the id of the row's
    incident (which may be new), for messages that name it.
    """

    row: AlertRow  # `version` is the one that was read
    incident: Incident | None = None  # written or updated; its id lands in the alert's row
    outgoing: Sequence[Outgoing] | MakeOutgoing = ()
    also: Sequence[AlertRow] = ()  # further rows, each with the version that was read
    incidents: Sequence[Incident] = ()  # further incidents, each stored already
    withdraw: Sequence[int] = ()  # ids of messages that are due, and claimed by nobody


class AlertStore(Protocol):
    """Alert states and incidents."""

    def alerts(self, *, service: str, environment: str) -> list[AlertRow]:
        """Read every alert state of a scope."""

    def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
        """Save a transition if each row's version is still the one that was read.

        States, incidents and messages go into one transaction. Returns the row as it is now (next
        version, incident id), or None if somebody else was faster with a row, or with a message
        that is to be withdrawn: then nothing was changed. The rows of `also` are then stored as
        they were given, each with its next version.
        """

    def save_alerts(self, changes: Sequence[AlertChange]) -> list[AlertRow | None]:
        """Save many changes in one transaction, each by itself as `save_alert` does.

        For rows with their own incidents, stored or new, and nothing else. In the same order,
        returns each row as it is now, or None for one that somebody else has changed meanwhile:
        of that one, nothing is stored.
        """

    def forget_alerts(self, rows: Sequence[AlertRow]) -> int:
        """Delete states that are still as they were read; return how many."""

    def incidents_by_id(self, incident_ids: Collection[int]) -> list[Incident]:
        """Read incidents by their ids; those that are gone are left out."""

    def incident(self, incident_id: int) -> Incident | None:
        """Read one incident."""

    def incidents(
        self, *, service: str, environment: str, states: Collection[str], since: float, limit: int
    ) -> list[Incident]:
        """List incidents in one of `states` that started or ended since, newest first."""

    def acknowledge(
        self, incident_id: int, *, by: str, note: str, at: float, since: float = 0.0
    ) -> Incident | None:
        """Write down who took an incident on; the first one since stays, whoever comes later.

        Returns the incident as it is then, or None if there is none.
        """

    def prune_incidents(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` incidents that ended before, with their messages.

        Up to `limit` messages of no incident from before go as well; returns how many incidents
        and such messages went.
        """

    def evaluated_at(self, *, service: str, environment: str) -> float:
        """Return when the scope's rules were last evaluated, 0 if never."""

    def mark_evaluated(self, *, service: str, environment: str, at: float) -> None:
        """Record an evaluation."""
