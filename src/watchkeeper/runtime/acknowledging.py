"""Acknowledging an incident: somebody has it, so nobody is reminded of it any more.

The others are not written to: the dashboard and `watchkeeper alerts` say who has it, and a
message more is what an acknowledgement is to spare them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.audit import Action, write_down

if TYPE_CHECKING:  # a host that only records does not wait for it
    from watchkeeper.storage.store import Incident, Store

MAX_NOTE: Final = 2_000  # characters


class Outcome(StrEnum):
    """What became of it."""

    ACKNOWLEDGED = "acknowledged"
    ALREADY = "already"  # somebody was faster: it stays theirs
    OVER = "over"  # it has ended: there is nothing to be reminded of
    UNKNOWN = "unknown"  # there is no such incident in this service and environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What became of it, and the incident as it is now."""

    outcome: Outcome
    incident: "Incident | None" = None


def acknowledge(
    store: "Store",
    scope: Scope,
    incident_id: int,
    *,
    by: str,
    note: str = "",
    actor: str,
    at: float,
) -> Acknowledged:
    """Say that somebody has an incident: `by` is shown to people, `actor` goes into the audit.

    Stops reminders and escalation of this incident, not the message that it is over. The first
    one stays, however often it is called; once it was over and comes again, it is anybody's.
    Raises StorageError.
    """
    before = store.incident(incident_id)
    if before is None or (before.service, before.environment) != (
        scope.service,
        scope.environment,
    ):
        return Acknowledged(outcome=Outcome.UNKNOWN)
    if before.taken_at is not None:
        return Acknowledged(outcome=Outcome.ALREADY, incident=before)
    if before.state != "firing":
        return Acknowledged(outcome=Outcome.OVER, incident=before)
    name = scrubbing.name(by)
    note = scrubbing.text(" ".join(note.split()), limit=MAX_NOTE)
    after = store.acknowledge(incident_id, by=name, note=note, at=at, since=before.again_at)
    if after is None:
        return Acknowledged(outcome=Outcome.UNKNOWN)
    if (after.acked_at, after.acked_by, after.ack_note) != (at, name, note):
        return Acknowledged(outcome=Outcome.ALREADY, incident=after)
    write_down(
        store,
        scope,
        Action.INCIDENT_ACKNOWLEDGE,
        actor=actor,
        at=at,
        target=str(incident_id),
        data={"by": name, "note": note},
    )
    return Acknowledged(outcome=Outcome.ACKNOWLEDGED, incident=after)
