"""Telling a Watchkeeper what a hook saw, as part of the request or job that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from watchkeeper.runtime.expected import expects_here
from watchkeeper.runtime.record import current

if TYPE_CHECKING:
    from watchkeeper.app import Watchkeeper
    from watchkeeper.runtime.known import Known
    from watchkeeper.runtime.told import Told

OWN_THREAD: Final = "watchkeeper"  # what the names of our threads begin with
HOST_CODE: Final = "watchkeeper-check-"  # those among them that run functions of the host


def tell(
    watchkeeper: Watchkeeper,
    error: BaseException | Told,
    *,
    level: str = "error",
    context: Mapping[str, object],
) -> Known | None:
    """Record an error; the request or job that runs gets what it is known as, which is returned.

    Begins to watch in a process that was forked before it did anything else.
    """
    watchkeeper.start()
    record = current.get()
    if isinstance(error, BaseException):
        endpoint = record.endpoint() if record is not None else None
        issue = watchkeeper.capture(error, endpoint=endpoint, level=level, context=context)
    else:
        issue = watchkeeper.issues.report(error)
    if issue is not None and record is not None:
        inside = record.opened()
        if inside.issue is None or isinstance(error, BaseException):  # not just a line of a log
            inside.issue = issue
    return issue


def tell_late(
    watchkeeper: Watchkeeper, error: BaseException, *, context: Mapping[str, object]
) -> None:
    """Record an error amid a collection of garbage: takes no lock, wakes nobody.

    It is none of the request or job in which the collection comes.
    """
    if expects_here(watchkeeper.badness, error):
        return
    held = watchkeeper.issues.hold(error, context=context, elsewhere=True)
    if held is not None:
        watchkeeper.issues.later(held)


def is_own(thread: str | None) -> bool:
    """Tell by a thread's name whether it does our work, whose errors are counted elsewhere."""
    name = thread or ""
    return name.startswith(OWN_THREAD) and not name.startswith(HOST_CODE)
