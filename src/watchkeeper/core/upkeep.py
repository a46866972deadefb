"""What the upkeep of the storage found and did last, as one text that every process reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from watchkeeper.core.budget import Reason, Room, Storing
from watchkeeper.core.growth import Point

KEY: Final = "upkeep"  # the name of the value in the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """When what was done last, 0 for never, in seconds since the epoch.

    `keep_s` tells which tiers are kept for a shorter time than is set, and for how many seconds;
    `cut_at` and `cut_bytes` when that was decided and what was used then.
    """

    at: float = 0.0
    storing: Storing = Storing.EVERYTHING
    reason: Reason = Reason.ROOM
    room: Room | None = None
    budget_bytes: int = 0
    rolled_at: float = 0.0
    sealed_at: float = 0.0
    pruned_at: float = 0.0
    pruned_rows: int = 0
    cut_at: float = 0.0
    cut_bytes: int = 0
    keep_s: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Point, ...] = ()


def write_notes(notes: Notes) -> str:
    """Write notes as the text that `read_notes` reads."""
    return json.dumps(asdict(notes), separators=(",", ":"))


def read_notes(text: str | None) -> Notes:
    """Read notes; of none, and of damaged ones, the empty ones: nothing was done yet."""
    try:
        return _notes(json.loads(text or "{}"))
    except (ValueError, TypeError, AttributeError, KeyError):
        return Notes()


def _notes(data: Mapping[str, Any]) -> Notes:
    known: dict[str, Any] = {name: data[name] for name in _PLAIN if name in data}
    if not all(isinstance(value, int | float) for value in known.values()):
        raise TypeError("not a number")
    return Notes(
        **known,
        storing=Storing(data.get("storing", Storing.EVERYTHING)),
        reason=Reason(data.get("reason", Reason.ROOM)),
        room=Room(**data["room"]) if data.get("room") else None,
        keep_s={str(name): float(kept) for name, kept in data.get("keep_s", {}).items()},
        history=tuple((float(at), float(used)) for at, used in data.get("history", ())),
    )


_PLAIN: Final = (
    *("at", "rolled_at", "sealed_at", "pruned_at", "cut_at"),
    *("budget_bytes", "pruned_rows", "cut_bytes"),
)
