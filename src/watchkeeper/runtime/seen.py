"""Which exceptions were captured already: one that several hooks see is one event.

An exception that an application makes once and raises again and again is another occurrence in
each request that begins after it was seen. Outside of requests and jobs it cannot be told from
one that is still on its way out, so there it counts once.
"""

from time import perf_counter
from typing import Final

from watchkeeper.runtime.bare import State
from watchkeeper.runtime.record import Record

SEEN: Final = "__watchkeeper_seen__"  # our mark: when it was captured, by perf_counter


def was_seen(state: State, record: Record | None) -> bool:
    """Tell whether the exception with this `__dict__` was captured, as far as `record` goes."""
    seen = state.get(SEEN)
    if seen is None:
        return False
    return record is None or not isinstance(seen, float) or seen >= record.start


def mark_seen(state: State) -> None:
    """Mark the exception with this `__dict__`; it can still be pickled and raised again."""
    state[SEEN] = perf_counter()
