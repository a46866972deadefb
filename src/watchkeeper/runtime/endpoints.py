"""What answers a request or runs a job: the code that errors are placed below."""

from dataclasses import dataclass
from types import CodeType


@dataclass(frozen=True, slots=True, eq=False)
class ViewMethod:
    """A method of a class-based view: its code, and the class, since the code may be a library's.

    `first` is what the first version of the grouping took for the endpoint.
    """

    code: CodeType
    view: type
    first: CodeType | None


Endpoint = CodeType | ViewMethod
"""Told apart by identity, so whoever makes one keeps it."""
