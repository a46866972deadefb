"""Events beyond those that are kept per issue, dropped; see `core.kept_events`."""

from collections.abc import Callable
from typing import Final

from watchkeeper.core.kept_events import MAX_EVENTS, kept
from watchkeeper.storage.store import Store

MAX_THINNED: Final = 100  # issues in one turn; the others wait for the next one


def thin_out(store: Store, *, pause: Callable[[], object]) -> int:
    """Drop the events of crowded issues that are too many; return how many.

    `pause` is called after each issue, which is a transaction of its own. Raises StorageError.
    """
    gone = 0
    for issue in store.crowded_issues(most=MAX_EVENTS, limit=MAX_THINNED):
        marks = store.event_marks(issue)
        chosen = kept(marks)
        gone += store.drop_events(issue, [one.id for one in marks if one.id not in chosen])
        pause()
    return gone
