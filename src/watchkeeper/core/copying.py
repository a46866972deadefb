"""Copying a value of the host's into plain JSON values of bounded size that hold nothing alive."""

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any, Final

from watchkeeper.core.form import CUT
from watchkeeper.core.sensitive import shortened

MAX_SCRUBBED_CHARS: Final = 24 * 1024  # of one text or value; the rest is dropped, not kept raw
MAX_DEPTH: Final = 5
MAX_BREADTH: Final = 50
_ELEMENT_CHARS: Final = 16  # what an element costs of MAX_SCRUBBED_CHARS beside its text
_MAX_INT_BITS: Final = 63  # what every database and JSON reader takes


def plain(value: object) -> Any:
    """Return a copy of a JSON-like value, bounded but not scrubbed, that holds nothing alive.

    What is not JSON becomes the name of its type; at most MAX_DEPTH levels of MAX_BREADTH
    elements and MAX_SCRUBBED_CHARS in all. Bytes are read as UTF-8.
    """
    return _Copier().copy(value, MAX_DEPTH)


def clean(text: str) -> str:
    """Replace what UTF-8 or a database does not take: lone surrogates and NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the last one telling that something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


class _Copier:
    """Copies one value by the built-in types' own methods, until MAX_SCRUBBED_CHARS are spent.

    A subclass's overridden methods are never run.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_SCRUBBED_CHARS

    def copy(self, value: object, depth: int) -> Any:
        """Return a plain value; everything costs, so that many small ones end too."""
        self.left -= _ELEMENT_CHARS
        if value is None or value is True or value is False:
            return value
        if self.left <= 0:
            return CUT
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, bytes):
            start = bytes.__getitem__(value, slice(max(self.left, 1)))
            return self._text(bytes.decode(start, "utf-8", "replace"))
        if isinstance(value, (int, float)):
            return _number(value)
        return self._container(value, depth) if depth > 0 else f"({type(value).__name__})"

    def _text(self, text: str) -> str:
        kept = text[: self.left]
        self.left -= len(kept)
        return kept

    def _container(self, value: object, depth: int) -> Any:
        if isinstance(value, dict):
            items = tuple(islice(dict.items(value), MAX_BREADTH))
            copied = {self._key(key): self.copy(inner, depth - 1) for key, inner in items}
            missing = dict.__len__(value) - len(items)
            return copied | {CUT: f"{missing} more"} if missing > 0 else copied
        elements, length = _elements(value)
        if elements is None:
            return f"({type(value).__name__})"
        inner = [self.copy(one, depth - 1) for one in tuple(islice(elements, MAX_BREADTH))]
        return [*inner, f"{CUT} {length - len(inner)} more"] if length > len(inner) else inner

    def _key(self, key: object) -> str:
        copied = self.copy(key, 0)
        return shortened(clean(copied if isinstance(copied, str) else str(copied)))


def _number(value: int | float) -> Any:
    if isinstance(value, int):
        number = int.__index__(value)
        return number if number.bit_length() <= _MAX_INT_BITS else f"({number.bit_length()} bits)"
    number_f = float.__float__(value)
    return number_f if isfinite(number_f) else float.__repr__(number_f)


def _elements(value: object) -> tuple[Iterator[object] | None, int]:
    if isinstance(value, list):
        return list.__iter__(value), list.__len__(value)
    if isinstance(value, tuple):
        return tuple.__iter__(value), tuple.__len__(value)
    if isinstance(value, set):
        return set.__iter__(value), set.__len__(value)
    if isinstance(value, frozenset):
        return frozenset.__iter__(value), frozenset.__len__(value)
    return None, 0
