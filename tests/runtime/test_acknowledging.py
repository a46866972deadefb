"""Acknowledging: somebody has the incident, once, and it is written down who."""

import pytest
from tests.stored import HERE, OTHER, SHOP

from watchkeeper.runtime.acknowledging import Outcome, acknowledge
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import AlertChange, AlertRow, Incident

NOW = 1_000_000.0


@pytest.fixture
def store() -> MemoryStore:
    """A store with an incident that fires and one that is over."""
    made = MemoryStore()
    for group, state in (("a", "firing"), ("b", "resolved")):
        row = AlertRow(**HERE, rule="Errors", group=group, state="firing", data={})
        incident = Incident(
            **HERE,
            rule="Errors",
            group=group,
            severity="critical",
            state=state,
            started_at=NOW,
        )
        made.save_alert(AlertChange(row=row, incident=incident), at=NOW)
    return made


def test_the_first_one_has_it(store: MemoryStore) -> None:
    """Whoever comes later learns who; the audit has one entry."""
    first = acknowledge(store, SHOP, 1, by="Ada", note="on\nit", actor="link", at=NOW + 5)
    second = acknowledge(store, SHOP, 1, by="Bob", actor="link", at=NOW + 6)

    assert [Outcome.ACKNOWLEDGED, Outcome.ALREADY] == [first.outcome, second.outcome]
    assert first.incident == second.incident
    assert second.incident is not None
    assert ("Ada", "on it", NOW + 5) == (
        second.incident.acked_by,
        second.incident.ack_note,
        second.incident.acked_at,
    )
    (entry,) = store.audits(**HERE, since=0, until=NOW * 2, limit=10)
    assert ("link", "incident.acknowledge", "1", {"by": "Ada", "note": "on it"}) == (
        entry.actor,
        entry.action,
        entry.target,
        entry.data,
    )


@pytest.mark.parametrize(
    ("incident", "scope", "outcome"),
    [(2, SHOP, Outcome.OVER), (3, SHOP, Outcome.UNKNOWN), (1, OTHER, Outcome.UNKNOWN)],
)
def test_only_what_fires_here_can_be_acknowledged(
    store: MemoryStore, incident: int, scope: object, outcome: Outcome
) -> None:
    """What is over needs nobody; what belongs to another service is none of ours."""
    done = acknowledge(store, scope, incident, by="Ada", actor="cli", at=NOW)  # type: ignore[arg-type]

    assert outcome is done.outcome
    assert [] == store.audits(**HERE, since=0, until=NOW * 2, limit=10)
