"""The automatic retention when a person calls for it: told beforehand, or done and told.

The retention itself runs unchanged, over a store that listens in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from watchkeeper.core.hours import MINUTE_S
from watchkeeper.storage.store import Store
from watchkeeper.storage.upkeep import Kind, Past

PRUNE: Final = "prune_"

Retention = Callable[[Store], int]
"""One call of `retention.prune` with all its arguments but the store; how many rows went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How many rows of one table are past their time, and when the oldest of them is from.

    `resolution` (seconds) tells frames apart, it is 0 for everything else.
    """

    what: str
    resolution: int
    before: float
    rows: int
    oldest: float | None


def due(store: Store, retention: Retention) -> list[Due]:
    """Tell what the retention would delete now; nothing is changed."""
    rehearsal = _Rehearsal()
    retention(cast("Store", rehearsal))
    sealed = [one["before"] for kind, one in rehearsal.asked if kind is Kind.SEALED]
    return [
        Due(
            what=past.what,
            resolution=asked.get("resolution", 0),
            before=asked["before"],
            rows=past.rows,
            oldest=past.oldest,
        )
        for kind, asked in rehearsal.asked
        for past in _past(store, kind, asked, sealed_before=max(sealed, default=0.0))
    ]


def _past(
    store: Store, kind: Kind, asked: Mapping[str, Any], *, sealed_before: float
) -> list[Past]:
    """Count what one deletion would take, without what an earlier one takes already."""
    if asked.get("resolution") == MINUTE_S:
        return store.past(kind, **asked, sealed_before=sealed_before)
    return store.past(kind, **asked)


def carry_out(
    store: Store, retention: Retention, *, on_gone: Callable[[int], object]
) -> Mapping[tuple[Kind, int], int]:
    """Delete all that is past its time; return how many rows went, by kind and resolution.

    One call of the retention ends at its bounds: it is called until nothing is left. `on_gone` is
    told the rows of each transaction. Raises StorageError; what is gone by then stays gone.
    """
    watched = _Watched(store, on_gone)
    while retention(cast("Store", watched)):
        pass
    return watched.gone


class _Rehearsal:
    """Stands where the retention's store stands, deletes nothing, remembers what is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Kind, dict[str, Any]]] = []

    def prepare(self, *, at: float) -> None:
        """Make no room."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        # Only deletions: a retention that came to call anything else must not seem to work.
        if not name.startswith(PRUNE):
            raise AttributeError(name)
        return partial(self._note, Kind(name.removeprefix(PRUNE)))

    def _note(
        self, kind: Kind, resolution: int | None = None, *, limit: int, **asked: float
    ) -> int:
        known = {} if resolution is None else {"resolution": resolution}
        self.asked.append((kind, {**asked, **known}))
        return 0


class _Watched:
    """The store, with each deletion counted."""

    def __init__(self, store: Store, on_gone: Callable[[int], object]) -> None:
        self.gone: dict[tuple[Kind, int], int] = {}
        self._store = store
        self._on_gone = on_gone

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return partial(self._counted, name, found) if name.startswith(PRUNE) else found

    def _counted(
        self, name: str, delete: Callable[..., int], resolution: int | None = None, **asked: float
    ) -> int:
        gone = delete(**asked) if resolution is None else delete(resolution, **asked)
        key = Kind(name.removeprefix(PRUNE)), resolution or 0
        if gone:
            self.gone[key] = self.gone.get(key, 0) + gone
            self._on_gone(gone)
        return gone
