"""The links that an exception holds on to: its trace, what it came from, what it is a group of.

All are bounded, and none runs code of the exception's class.
"""

from collections.abc import Iterator
from itertools import islice
from types import TracebackType
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


def add_kept(exc: BaseException, found: dict[int, object]) -> None:
    """Add an exception's type and the code objects of its trace by their ids."""
    found[id(type(exc))] = type(exc)
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


def inner_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield all that a group holds, in whichever depth, and each group in it once."""
    waiting = [exc] if is_group(exc) else []
    seen = {id(exc)}
    while waiting:
        for inner in members_of(waiting.pop()):
            if is_group(inner):
                if id(inner) in seen:
                    continue
                seen.add(id(inner))
                waiting.append(inner)
            yield inner


def leaves_of(exc: BaseException, most: int | None = MAX_LEAVES) -> Iterator[BaseException]:
    """Yield the exceptions of a group that are no groups, at most so many of them."""
    return islice((inner for inner in inner_of(exc) if not is_group(inner)), most)


def is_translation(exc: BaseException, trace: list[TracebackType]) -> bool:
    """Tell whether the context was caught by the very function that raised `exc` instead.

    Otherwise a handler failed on the way: an accident that says nothing of this error.
    """
    context = context_of(exc)
    if context is None or hides_context(exc) or not trace:
        return False
    caught = traceback_of(context)
    return caught is not None and caught.tb_frame.f_code is trace[-1].tb_frame.f_code
