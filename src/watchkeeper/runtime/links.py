"""The links that an exception holds on to: its trace, what it came from, what it is a group of.

All are bounded, and none runs code of the exception's class.
"""

from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Final

from watchkeeper.core.fingerprint import MAX_CAUSES
from watchkeeper.runtime.bare import (
    cause_of,
    context_of,
    hides_context,
    is_group,
    members_of,
    traceback_of,
)

MAX_WALKED_FRAMES: Final = 10_000  # of one trace, for its fingerprint; then the middle is left out
MAX_LEAVES: Final = 64


def length_of(exc: BaseException) -> int:
    """Return how many entries a trace has."""
    length = 0
    tb = traceback_of(exc)
    while tb is not None:
        length += 1
        tb = tb.tb_next
    return length


def walk(exc: BaseException) -> Iterator[TracebackType]:
    """Yield a trace's entries, outermost first; the middle of an enormous one is left out."""
    length = length_of(exc)
    left_out = range(MAX_WALKED_FRAMES // 2, length - MAX_WALKED_FRAMES // 2)
    tb = traceback_of(exc)
    for index in range(length):
        if tb is None:
            return
        if index not in left_out:
            yield tb
        tb = tb.tb_next


def add_codes(exc: BaseException, found: dict[int, CodeType | None]) -> None:
    """Add the code objects of a trace by their ids."""
    for tb in walk(exc):
        code = tb.tb_frame.f_code
        found[id(code)] = code


def _linked(exc: BaseException) -> BaseException | None:
    """Return what an exception is shown to come from: its cause, else its context."""
    cause = cause_of(exc)
    if cause is not None or hides_context(exc):
        return cause
    return context_of(exc)


def chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and up to MAX_CAUSES that it comes from, each once."""
    seen: set[int] = set()
    linked: BaseException | None = exc
    while linked is not None and id(linked) not in seen and len(seen) <= MAX_CAUSES:
        seen.add(id(linked))
        yield linked
        linked = _linked(linked)


def leaves_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of a group that are no groups, at most MAX_LEAVES of them."""
    if not is_group(exc):
        return
    waiting = [exc]
    found = 0
    while waiting:
        for inner in members_of(waiting.pop()):
            if is_group(inner):
                waiting.append(inner)
            elif found < MAX_LEAVES:
                found += 1
                yield inner
        if found >= MAX_LEAVES:
            return


def is_translation(exc: BaseException, trace: list[TracebackType]) -> bool:
    """Tell whether the context was caught by the very function that raised `exc` instead.

    Otherwise a handler failed on the way: an accident that says nothing of this error.
    """
    context = context_of(exc)
    if context is None or hides_context(exc) or not trace:
        return False
    caught = traceback_of(context)
    return caught is not None and caught.tb_frame.f_code is trace[-1].tb_frame.f_code
