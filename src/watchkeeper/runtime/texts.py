"""The text of an exception, which code of the application makes: it may raise, or never end.

Most texts are made by the interpreter, of plain arguments. Any other is asked for in a thread of
its own, which is waited for PATIENCE_S; what is late once is not asked again, and the arguments
stand for the text. So a text that blocks holds up one request, once, for that long. The same
holds for whatever else is asked of the application's code (`patiently`).
"""

import threading
from collections.abc import Callable
from contextvars import copy_context
from types import WrapperDescriptorType
from typing import Any, Final, TypeVar

from watchkeeper.core.scrub import MAX_SCRUBBED_CHARS
from watchkeeper.runtime.bare import (
    args_of,
    bases_of,
    is_group,
    is_importable,
    module_of,
    names_of,
    qualname_of,
    state_of,
)
from watchkeeper.runtime.guard import guard

T = TypeVar("T")

PATIENCE_S: Final = 0.05  # for a text that code of the application makes
MAX_WAITING: Final = 4  # threads that never came back; each holds its exception
MAX_REMEMBERED: Final = 4_096  # types
MAX_NOTES: Final = 10
MAX_PLAIN_ARGS: Final = 16
MAX_PLAIN_DEPTH: Final = 3  # of lists in lists
MAX_PLAIN_PARTS: Final = 100  # of one list
MAX_PLAIN_BITS: Final = 8_192  # of a number: longer ones take long to be written

_TEXT = guard("exception text", of_host=True)
_UNREADABLE: Final = "(its text could not be read)"
_LATE: Final = "(its text took too long)"
_PLAIN: Final = frozenset({str, bytes, bytearray, int, float, complex, bool, type(None)})
_PLAIN_ELSEWHERE: Final = frozenset(
    {
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "decimal.Decimal",
        "fractions.Fraction",
        "pathlib.PosixPath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "pathlib.WindowsPath",
        "uuid.UUID",
    }
)
_TEXTS: Final = frozenset({str, bytes, bytearray})
_CONTAINERS: Final = frozenset({tuple, list, set, frozenset, dict})
_OF_ARGUMENTS: Final = frozenset({BaseException.__str__, KeyError.__str__})


class Thread(threading.local):
    """What is so in this thread only."""

    inside: int = 0  # how deep: an error within capture or take is never captured itself


thread: Final = Thread()
_writers: dict[type, object] = {}
_late: set[tuple[object, ...]] = set()  # ids of the types that are not asked again together
_waiting: list[threading.Thread] = []


def text_of(exc: BaseException) -> str:
    """Return an exception's text, cut to MAX_SCRUBBED_CHARS, whatever its `__str__` does."""
    with _TEXT:
        kind = type(exc)
        writer, args = _writer(kind), args_of(exc)
        if type(writer) is not WrapperDescriptorType:
            return _asked(exc, (id(kind),))
        if not _are_plain(args) and not is_group(exc):
            return _asked(exc, (id(kind), *_ids(args)))
        if writer in _OF_ARGUMENTS and _is_long(args):
            return _of_long(args)
        return _cut(writer(exc))
    return _UNREADABLE


def notes_of(exc: BaseException) -> tuple[str, ...]:
    """Return what was added by `add_note`, cut: at most MAX_NOTES, raw.

    Something else than a text, which only a hand-made `__notes__` can hold, is named by its type.
    """
    notes = state_of(exc).get("__notes__")
    if type(notes) is not list and type(notes) is not tuple:
        return ()
    return tuple(
        _cut(note) if issubclass(type(note), str) else f"({qualname_of(type(note))})"
        for note in notes[:MAX_NOTES]
    )


def _writer(kind: type) -> Callable[[BaseException], str]:
    """Return the `__str__` of a type, as it is defined: of the interpreter, or of Python code."""
    found = _writers.get(kind)
    if found is None:
        found = next(
            names_of(base)["__str__"] for base in bases_of(kind) if "__str__" in names_of(base)
        )
        if len(_writers) >= MAX_REMEMBERED:
            _writers.clear()  # rare, and what is in use is back at once
        _writers[kind] = found
    return found  # type: ignore[return-value]  # what a class defines may be anything


def written(write: Callable[[], str], *, of: tuple[object, ...], instead: str) -> str:
    """Return the text that `write` makes of values, cut; `instead` if it raises or is late."""
    with _TEXT:
        if _are_plain(of):
            return _cut(write())
        return patiently(lambda: _cut(write()), _ids(of), lambda: instead, failed=_UNREADABLE)
    return instead


def _asked(exc: BaseException, kinds: tuple[int, ...]) -> str:
    """Ask code of the application for a text, for so long as it may take."""
    return patiently(lambda: _cut(str(exc)), kinds, lambda: _instead(exc), failed=_UNREADABLE)


def _ids(values: tuple[object, ...]) -> tuple[int, ...]:
    return tuple(id(type(value)) for value in values[:MAX_PLAIN_ARGS])


def patiently(
    ask: Callable[[], T], kinds: tuple[object, ...], instead: Callable[[], T], *, failed: T
) -> T:
    """Ask in a thread of its own; what was late once is not waited for again, by its `kinds`."""
    _waiting[:] = [helper for helper in _waiting if helper.is_alive()]
    if kinds in _late or len(_waiting) >= MAX_WAITING:
        return instead()
    answer: list[T] = []
    helper = threading.Thread(
        target=copy_context().run,
        args=(_answer, ask, answer),
        name="watchkeeper-text",
        daemon=True,
    )
    helper.start()
    helper.join(PATIENCE_S)
    if answer:
        return answer[0]
    if not helper.is_alive():
        return failed
    _waiting.append(helper)
    if len(_late) >= MAX_REMEMBERED:
        _late.clear()
    _late.add(kinds)
    return instead()


def _answer(ask: Callable[[], T], answer: list[T]) -> None:
    thread.inside = 1
    with _TEXT:
        answer.append(ask())


def _instead(exc: BaseException) -> str:
    args = args_of(exc)
    return f"{_LATE} {_of_long(args)}" if args and _are_plain(args) else _LATE


def _are_plain(args: tuple[object, ...]) -> bool:
    """Tell whether arguments can be written without running code of others."""
    return len(args) <= MAX_PLAIN_ARGS and all(_is_plain(arg, MAX_PLAIN_DEPTH) for arg in args)


def _is_plain(arg: Any, depth: int) -> bool:
    kind = type(arg)
    if kind is int:
        return bool(arg.bit_length() <= MAX_PLAIN_BITS)
    if kind in _PLAIN:
        return depth == MAX_PLAIN_DEPTH or kind not in _TEXTS or len(arg) <= MAX_SCRUBBED_CHARS
    if kind in _CONTAINERS:
        if depth == 0 or len(arg) > MAX_PLAIN_PARTS:
            return False
        parts = (*arg, *arg.values()) if kind is dict else tuple(arg)
        return all(_is_plain(part, depth - 1) for part in parts)
    name = f"{module_of(kind)}.{qualname_of(kind)}"
    return name in _PLAIN_ELSEWHERE and is_importable(kind)


def _is_long(args: tuple[object, ...]) -> bool:
    return any(
        len(arg) > MAX_SCRUBBED_CHARS  # type: ignore[arg-type]  # as its type says
        for arg in args
        if type(arg) in _TEXTS
    )


def _of_long(args: tuple[object, ...]) -> str:
    """Write plain arguments of which some are too long to be copied."""
    parts = tuple(
        arg[:MAX_SCRUBBED_CHARS] if isinstance(arg, str | bytes | bytearray) else arg
        for arg in args
    )
    return _cut(str(parts[0] if len(parts) == 1 else parts))


def _cut(text: str) -> str:
    # not text[:…], which a subclass of str may override
    return str.__getitem__(text, slice(MAX_SCRUBBED_CHARS))
