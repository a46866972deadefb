"""An alert's row as who tells of it reads it: as a whole, so that a damaged one is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from watchkeeper.core.instance import State
from watchkeeper.core.rule import Rule
from watchkeeper.core.telling import Told
from watchkeeper.storage.store import AlertRow

TOLD_KEY: Final = "told"  # in an alert's row
SEVERITY_KEY: Final = "severity"
REMOVED_KEY: Final = "removed"
GROUPS_KEY: Final = "groups"  # in a rule's own row: when its last messages were sent, by sort

FORGOTTEN_S: Final = 60.0  # what is over of a rule nobody here knows is told after so long

_FIRING: Final = frozenset((State.FIRING.value, State.RECOVERING.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """An alert, and what people believe of it."""

    row: AlertRow
    rule: Rule | None  # None: gone, or none of this worker's
    told: Told
    labels: Mapping[str, str]
    severity: str  # how bad it is just now, or was at last
    fires: bool
    ended_at: float
    flapping: bool
    flaps: tuple[float, ...]  # when it fired lately
    removed: bool  # its rule is gone

    @property
    def key(self) -> tuple[str, str]:
        """Rule and group."""
        return (self.row.rule, self.row.group)

    @property
    def is_of_interest(self) -> bool:
        """Tell whether it fires, or people believe that it does."""
        return self.fires or bool(self.told.channels)

    def is_ours(self, *, now: float) -> bool:
        """Tell whether this worker tells of it: of rules it does not know, only late ends."""
        if self.rule is not None:
            return True
        return not self.fires and (self.removed or now - self.ended_at >= FORGOTTEN_S)


def believed(row: AlertRow, rule: Rule | None) -> Believed:
    """Read a row; raises ValueError, TypeError or AttributeError if it is damaged."""
    data = row.data
    return Believed(
        row=row,
        rule=rule,
        told=Told.from_data(data.get(TOLD_KEY)),
        labels={str(name): str(value) for name, value in data.get("labels", {}).items()},
        severity=_severity(row, rule),
        fires=row.state in _FIRING,
        ended_at=float(data.get("resolved_at") or data.get("since") or 0.0),
        flapping=bool(data.get("flapping")),
        flaps=tuple(float(at) for at in data.get("flaps", ())),
        removed=bool(data.get(REMOVED_KEY)),
    )


def _severity(row: AlertRow, rule: Rule | None) -> str:
    if rule is not None and rule.worse is not None and row.data.get("worse"):
        return rule.worse.severity
    return str(row.data.get(SEVERITY_KEY) or (rule.severity if rule else "warning"))
