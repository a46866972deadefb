"""Marks the return of an older release, by the workers that run it."""

from typing import Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.returns import returned
from watchkeeper.storage.store import MarkKind, Release, Store

AHEAD_S: Final = 86_400.0  # a release may be marked by a clock that is ahead of ours
MAX_MARKS: Final = 20  # that are looked back over: those set by hand may be no releases of workers


def mark_return(store: Store, scope: Scope, *, now: float) -> bool:
    """Mark that our release is back, if it is; one small query while we run the newest one.

    Each worker of it finds the same moment: together they make one mark. Raises StorageError.
    """
    if not scope.release:
        return False
    place = {"service": scope.service, "environment": scope.environment}
    marks = store.releases(**place, since=0.0, until=now + AHEAD_S, limit=MAX_MARKS)
    if not marks or marks[0].scope.release == scope.release:
        return False
    workers = store.workers(**place, seen_since=marks[-1].at)
    run = {one.scope.release for one in workers}
    newest = next((one for one in marks if one.scope.release in run), None)
    if newest is None:
        return False
    found = returned(scope.release, newest.scope.release, newest.at, workers, now=now)
    if found.at is None:
        return False
    return store.mark_release(Release(scope=scope, at=found.at, kind=MarkKind.RETURN))
