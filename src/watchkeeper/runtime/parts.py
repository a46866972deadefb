"""What the flusher drives, as whoever composes hands it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper.core.budget import Storing
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.own_health import OwnHealth
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.resources import Resources
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.writer import Writer

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.outbox import Outbox
    from watchkeeper.runtime.upkeep import Upkeep
    from watchkeeper.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the flusher drives; `open_store` may be slow and raise, the others are in memory."""

    recorder: Recorder
    health: Health
    rules: RulesInForce
    own_health: OwnHealth
    resources: Resources
    writer: Writer
    open_store: Callable[[], Store]
    migrates: bool  # whether this process may change the tables
    make_engine: Callable[[Store, Callable[[], None]], AlertEngine]  # with its pause
    make_outbox: Callable[[Store], Outbox]
    make_upkeep: Callable[[Store, Callable[[Storing], None], Callable[[], None]], Upkeep]
    clock: Callable[[], float]
    slot_s: int
    jitter_s: float
