"""What was decided of an alert: the message, or none, and what is stored with it."""

from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.rule import Rule
from watchkeeper.core.silences import rank
from watchkeeper.core.telling import Kind, Step, Told, Why
from watchkeeper.runtime.believed import TOLD_KEY
from watchkeeper.runtime.deliveries import Delivered
from watchkeeper.storage.store import AlertRow, Incident

_NEW: Final = frozenset((Why.FIRST, Why.COLLECTED, Why.HELD_UNTIL_NOW, Why.CAME_AGAIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert that people are told of, or not: what was decided of it, and why."""

    row: AlertRow
    rule: Rule | None
    severity: str
    before: Told
    step: Step
    incident: Incident | None = None
    delivered: Delivered | None = None

    @property
    def message(self) -> tuple[str, Kind | None, tuple[str, ...], tuple[str, ...]]:
        """What makes it one message with others: rule, kind, channels, and where it is late."""
        channels, late = self.channels, self.late
        return (self.row.rule, self.step.kind, channels, tuple(c for c in channels if c in late))

    @property
    def channels(self) -> tuple[str, ...]:
        """Where the message goes.

        What is over, nowhere where nobody was told of it; a reminder, nowhere where it still waits
        to be told that it fires.
        """
        if self.step.kind is Kind.REMINDER and self.delivered is not None:
            untold = self.delivered.late
            return tuple(one for one in self.step.channels if one not in untold)
        if self.step.kind is not Kind.RESOLVED or self.delivered is None:
            return self.step.channels
        others = sorted(self.delivered.known - set(self.step.channels))  # such as a fallback
        refused = self.delivered.refused
        return (*(one for one in self.step.channels if one not in refused), *others)

    @property
    def late(self) -> frozenset[str]:
        """The channels that have not delivered yet that it fired."""
        is_over = self.step.kind is Kind.RESOLVED and self.delivered is not None
        return self.delivered.late if is_over and self.delivered else frozenset()

    @property
    def is_new(self) -> bool:
        """Tell whether it is another incident than the one that people were told of before."""
        return self.step.told.incident != self.before.incident

    @property
    def sort(self) -> str | None:
        """Return which messages wait for each other: those of new alerts, those of ended ones."""
        if self.step.kind is Kind.RESOLVED:
            return "over"
        return "new" if self.step.why in _NEW else None

    @property
    def worst(self) -> str:
        """Return how bad a message about it is: of what is over, how bad it was at its worst."""
        if self.step.kind is not Kind.RESOLVED or self.incident is None:
            return self.severity
        return max(self.incident.severity, self.severity, key=rank)

    def after(self, lead: "Case") -> AlertRow:
        """Return the alert's row with what people believe now; `lead` begins their message."""
        told = self.step.told
        if self.step.kind is not None and lead.incident is not None:
            told = told.filed_under(lead.incident.id, self.step.kind)
        return replace(self.row, data={**self.row.data, TOLD_KEY: told.to_data()})

    def noted(self) -> Incident:
        """Return the incident with what was decided of telling, for pages and history."""
        if self.incident is None:
            raise TypeError("no incident to be noted")
        told = self.step.told
        noted: dict[str, Any] = {"why": told.why}
        if told.by:
            noted["by"] = told.by
        channels = list(dict.fromkeys((*self.before.channels, *told.channels)))
        if channels:
            noted["channels"] = channels
        severity = max(self.incident.severity, self.severity, key=rank)
        data = {**self.incident.data, "telling": noted}
        return replace(self.incident, severity=severity, data=data)
