"""The automatic retention when a person calls for it: told beforehand, or done and told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchkeeper.core.hours import MINUTE_S
from watchkeeper.runtime.retention import Deletion, Keep, deletions, prune
from watchkeeper.storage.store import Store
from watchkeeper.storage.upkeep import Kind


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


def due(store: Store, keep: Keep, *, now: float) -> list[Due]:
    """Tell what the retention would delete now; nothing is changed."""
    planned = deletions(keep, now=now)
    sealed_before = max(one.before for one in planned if one.kind is Kind.SEALED)
    return [
        Due(
            what=past.what,
            resolution=one.resolution,
            before=one.before,
            rows=past.rows,
            oldest=past.oldest,
        )
        for one in planned
        for past in store.past(
            one.kind,
            before=one.before,
            resolution=one.resolution,
            # Without the minutes that go as sealed ones already.
            sealed_before=sealed_before if one.resolution == MINUTE_S else 0.0,
            most=one.most,
        )
    ]


def carry_out(
    store: Store,
    keep: Keep,
    *,
    now: float,
    pause: Callable[[], object],
    on_gone: Callable[[int], object],
) -> Mapping[tuple[Kind, int], int]:
    """Delete all that is past its time; return how many rows went, by kind and resolution.

    One call of the retention ends at its bounds: it is called until nothing is left. `on_gone` is
    told the rows of each transaction. Raises StorageError; what is gone by then stays gone.
    """
    gone: dict[tuple[Kind, int], int] = {}

    def count(one: Deletion, rows: int) -> None:
        key = one.kind, one.resolution
        gone[key] = gone.get(key, 0) + rows
        on_gone(rows)

    while prune(store, now=now, keep=keep, pause=pause, on_gone=count):
        pass
    return gone
