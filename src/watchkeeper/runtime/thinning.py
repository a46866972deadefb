"""What is kept of issues made less: counts of coarser slots, and no more events than are needed.

Safe in several processes at once, as in `runtime.retention`: what one has done, another one finds
done.
"""

from collections.abc import Callable, Mapping
from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.kept_events import MAX_EVENTS, kept
from watchkeeper.storage.store import Store

MAX_THINNED: Final = 100  # issues that are looked for at once, the most crowded ones
MAX_THINNINGS: Final = 10  # times in one turn; the others wait for the next one
MAX_COUNTS: Final = 500  # rolled up in one transaction
MAX_ROUNDS: Final = 40  # transactions in one turn and resolution
# How long counts are as fine as they were written, then by the minute. A page of 24 hours has bars
# of less than an hour, and so finds its minutes.
COUNTS_S: Final[Mapping[int, float]] = {MINUTE_S: 3_600.0, HOUR_S: 48 * 3_600.0}


def thin_out(store: Store, *, pause: Callable[[], object]) -> int:
    """Drop the events of crowded issues that are too many; return how many.

    `pause` is called after each issue, which is a transaction of its own. Raises StorageError.
    """
    gone = 0
    for _ in range(MAX_THINNINGS):
        crowded = store.crowded_issues(most=MAX_EVENTS, limit=MAX_THINNED)
        for issue in crowded:
            marks = store.event_marks(issue)
            chosen = kept(marks)
            gone += store.drop_events(issue, [one.id for one in marks if one.id not in chosen])
            pause()
        if len(crowded) < MAX_THINNED:
            break
    return gone


def coarsen_counts(store: Store, *, now: float, pause: Callable[[], object]) -> int:
    """Make of counts of past slots those of minutes, and then of hours; return how many were.

    `pause` is called after each transaction. Raises StorageError; what was done by then stays.
    """
    done = 0
    for resolution, age_s in COUNTS_S.items():
        before = (now - age_s) // resolution * resolution  # whole ones only
        for _ in range(MAX_ROUNDS):
            rolled = store.roll_issue_counts(resolution, before=before, limit=MAX_COUNTS)
            done += rolled
            pause()
            if rolled < MAX_COUNTS:
                break
    return done
