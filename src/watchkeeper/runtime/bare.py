"""Exceptions and their types as the interpreter holds them, whatever their classes override.

A class may replace `__dict__`, `__cause__` or `__class__` by a property that raises, its metaclass
`__module__` or `__mro__`. What is read here runs no code of theirs.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

State = dict[str, Any]

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
