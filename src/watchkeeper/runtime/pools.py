"""The connection pools of this process: how full each is, read before a slot is closed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from watchkeeper.core.capacity_metrics import DB_CONNECTIONS_USED
from watchkeeper.core.catalogue import DB_CONNECTIONS, DB_CONNECTIONS_MAX
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder

MAX_POOLS: Final = 50

_POOL: Final = guard("pool")

_Owner = TypeVar("_Owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The connections of a pool at one moment; `most` may be opened at once, 0: not known."""

    used: int
    idle: int
    most: int


class Pools:
    """The connection pools of this process; each is forgotten with its owner."""

    def __init__(self, recorder: Recorder) -> None:
        """Record with a recorder."""
        self._recorder = recorder
        self._pools: dict[int, tuple[weakref.ref[Any], str, Callable[[Any], PoolState]]] = {}

    def add(self, owner: _Owner, name: str, read: Callable[[_Owner], PoolState]) -> None:
        """Read a pool's state from its owner at each flush; `read` must not block."""
        if len(self._pools) < MAX_POOLS or id(owner) in self._pools:
            gone = self._pools.pop
            key = id(owner)
            self._pools[key] = weakref.ref(owner, lambda _: gone(key, None)), name, read

    def sample(self) -> None:
        """Record the state of every pool."""
        sums: dict[str, list[int]] = {}
        for find, name, read in list(self._pools.values()):
            owner = find()
            if owner is None:
                continue
            with _POOL:
                state = read(owner)
                total = sums.setdefault(name, [0, 0, 0])
                for place, part in enumerate((state.used, state.idle, state.most)):
                    total[place] += part
        series = self._recorder.series
        for name, (used, idle, most) in sums.items():
            series(DB_CONNECTIONS, {"pool": name, "state": "used"}).record(used)
            series(DB_CONNECTIONS, {"pool": name, "state": "idle"}).record(idle)
            if most:
                series(DB_CONNECTIONS_MAX, {"pool": name}).record(most)
                series(DB_CONNECTIONS_USED, {"pool": name}).record(used / most)
