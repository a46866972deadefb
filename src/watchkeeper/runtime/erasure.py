"""What is kept about one user, deleted: requests, errors and issues that bear the user's mark."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from watchkeeper.storage.store import Store
from watchkeeper.storage.upkeep import Marked, Position

MAX_LOOKED: Final = 500  # rows looked through at once: some MB of details
START: Final[Position] = (float("-1e18"), "")  # before every key


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many rows of a user there were, and among how many; `issues` happened to the user."""

    samples: int
    events: int
    issues: int
    looked_at: int


def erase_user(
    store: Store,
    user: str,
    *,
    service: str,
    environment: str,
    dry_run: bool,
    pause: Callable[[], object],
    on_looked: Callable[[int], object],
) -> Erased:
    """Delete what is kept of a user (by the hash) in one scope, or count it only.

    Each batch is a transaction of its own, `pause` is called between them; `on_looked` is told how
    many rows a batch took. Raises StorageError; what is gone by then stays gone.
    """
    gone, looked_at = {Marked.SAMPLES: 0, Marked.EVENTS: 0}, 0
    for kind in gone:
        after: Position | None = START
        while after is not None:
            looked = store.marked(
                kind, user, service=service, environment=environment, after=after, limit=MAX_LOOKED
            )
            if looked.found:
                gone[kind] += len(looked.found) if dry_run else store.erase(kind, looked.found)
            looked_at += looked.rows
            on_looked(looked.rows)
            pause()
            after = looked.last
    issues = store.forget_user(user, service=service, environment=environment, dry_run=dry_run)
    return Erased(
        samples=gone[Marked.SAMPLES],
        events=gone[Marked.EVENTS],
        issues=issues,
        looked_at=looked_at,
    )
