"""What a kind of secret looks like in a text, and masking it there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MASK: Final = "[masked]"

Replacement = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of secret: how it looks, and marks without one of which no text can hold one.

    `hint` is in lower case, as is the text that it is looked for in.
    """

    hint: re.Pattern[str] | tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: Replacement

    def may_occur(self, lowered: str) -> bool:
        """Tell by a fast look whether a text, in lower case, may hold such a secret."""
        if isinstance(self.hint, tuple):
            return any(mark in lowered for mark in self.hint)
        return self.hint.search(lowered) is not None


def masked(text: str, forms: tuple[Form, ...], *, keeping_lines: bool = False) -> str:
    """Return a text with secrets of these forms masked, by default with fewer lines perhaps."""
    lowered = text.lower()
    for form in forms:
        if form.may_occur(lowered):
            replacement = form.replacement
            text = form.pattern.sub(
                _keeping_lines(replacement) if keeping_lines else replacement, text
            )
    return text


def _keeping_lines(replacement: Replacement) -> Replacement:
    def replace(match: re.Match[str]) -> str:
        return replacement(match) + "\n" * match.group().count("\n")

    return replace


def whole(match: re.Match[str]) -> str:
    """Mask all of it."""
    return MASK


def after_start(match: re.Match[str]) -> str:
    """Mask what follows its `start`."""
    return f"{match['start']}{MASK}"


def between(match: re.Match[str]) -> str:
    """Mask what is between its `start` and `end`."""
    return f"{match['start']}{MASK}{match['end']}"
