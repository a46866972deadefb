"""Exceptions and their types as the interpreter holds them, whatever their classes override.

A class may replace `__dict__`, `__cause__` or `__class__` by a property that raises, its metaclass
`__module__` or `__mro__`. What is read here runs no code of theirs.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import GetSetDescriptorType, MemberDescriptorType, TracebackType
from typing import Any, Final, NamedTuple

State = dict[str, Any]

_HELD: Final = (GetSetDescriptorType, MemberDescriptorType)  # by the interpreter: slots and such
_NOTHING: Final = object()

MAX_WAYS: Final = 4_096  # attributes of types that are remembered
_ways: "dict[tuple[int, str, frozenset[str]], _Way]" = {}

_EXCEPTION: Final = BaseException.__dict__
_TYPE: Final = type.__dict__

traceback_of: Final[Callable[[BaseException], TracebackType | None]] = _EXCEPTION[
    "__traceback__"
].__get__
cause_of: Final[Callable[[BaseException], BaseException | None]] = _EXCEPTION["__cause__"].__get__
context_of: Final[Callable[[BaseException], BaseException | None]] = _EXCEPTION[
    "__context__"
].__get__
hides_context: Final[Callable[[BaseException], bool]] = _EXCEPTION["__suppress_context__"].__get__
args_of: Final[Callable[[BaseException], tuple[object, ...]]] = _EXCEPTION["args"].__get__
state_of: Final[Callable[[BaseException], State]] = _EXCEPTION["__dict__"].__get__
members_of: Final[Callable[[BaseException], Sequence[BaseException]]] = (
    BaseExceptionGroup.__dict__["exceptions"].__get__
)
"""The members of a group; raises TypeError for any other exception."""

module_of: Final[Callable[[type], object]] = _TYPE["__module__"].__get__
qualname_of: Final[Callable[[type], str]] = _TYPE["__qualname__"].__get__
bases_of: Final[Callable[[type], tuple[type, ...]]] = _TYPE["__mro__"].__get__
"""A type and all that it inherits from, nearest first."""
names_of: Final[Callable[[type], Any]] = _TYPE["__dict__"].__get__
"""A mapping of what a class itself defines."""


def is_group(exc: BaseException) -> bool:
    """Tell whether an exception is a group; `isinstance` asks its `__class__`, which may raise."""
    return issubclass(type(exc), BaseExceptionGroup)


_READ_PLAINLY: Final = ("__getattribute__", "__traceback__", "__cause__", "__context__")


def is_plain(kind: type) -> bool:
    """Tell whether what an exception of a type holds may be read by attribute: that runs no code.

    So it is unless a class on the way to `BaseException` replaces one. A mixin has a `__dict__`
    of the interpreter's, which holds for its own objects only.
    """
    for base in bases_of(kind):
        if base is BaseException:
            break
        defined = names_of(base)
        if any(name in defined for name in _READ_PLAINLY):
            return False
        state = defined.get("__dict__")
        if state is not None and not (
            type(state) is GetSetDescriptorType and state.__objclass__ is base
        ):
            return False
    return True


def package_of(kind: type) -> str:
    """Return the package that a class says to be of."""
    return str(module_of(kind)).partition(".")[0]


class _Way(NamedTuple):
    """Where an attribute of a class' objects is held: of their own, or as the class has it."""

    kind: type  # keeps its id taken
    state: Callable[[object], Mapping[str, Any]] | None
    found: Any
    asks: bool  # what was found is to be asked for it


def attribute_of(owner: object, name: str, *, trusted: frozenset[str] = frozenset()) -> Any:
    """Return what an object, or its class, holds under a name; None if there is nothing.

    What is computed, as by a property, is asked for only if it is defined in one of the `trusted`
    packages, and else looked past. What a class has is looked up once.
    """
    kind = type(owner)
    way = _ways.get((id(kind), name, trusted))
    if way is None:
        if len(_ways) >= MAX_WAYS:
            _ways.clear()  # rare, and what is in use is back at once
        way = _ways[id(kind), name, trusted] = _way(kind, name, trusted)
    if way.state is not None:
        state = way.state(owner)
        if name in state:
            return state[name]
    if not way.asks:
        return way.found
    with suppress(AttributeError):  # a slot that is empty
        return way.found.__get__(owner, kind)
    return None


def _way(kind: type, name: str, trusted: frozenset[str]) -> _Way:
    state = None
    for base in bases_of(kind):
        held = names_of(base).get("__dict__")
        if type(held) in _HELD:
            state = held.__get__
            break
    for base in bases_of(kind):
        found = names_of(base).get(name, _NOTHING)
        if found is _NOTHING:
            continue
        if not _computes(type(found)):
            return _Way(kind, state, found, asks=False)
        if type(found) in _HELD or package_of(base) in trusted:
            return _Way(kind, state, found, asks=True)
    return _Way(kind, state, None, asks=False)


def _computes(kind: type) -> bool:
    return any("__get__" in names_of(base) for base in bases_of(kind))


def is_importable(kind: type) -> bool:
    """Tell whether a class is where its name says, as one written in a module's source is."""
    found: object = sys.modules.get(str(module_of(kind)))
    for part in qualname_of(kind).split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is kind
