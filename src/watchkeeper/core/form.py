"""What a kind of secret looks like in a text, and masking it there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from watchkeeper.core.effort import Effort
from watchkeeper.core.sensitive import holds_any

MASK: Final = "[masked]"
CUT: Final = "…"
STEPS_OF_MATCH: Final = 2
CHARS_PER_STEP: Final = 12  # of what is replaced

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
            return holds_any(lowered, self.hint)
        return self.hint.search(lowered) is not None


def masked(
    text: str, forms: tuple[Form, ...], effort: Effort, *, keeping_lines: bool = False
) -> str:
    """Return a text with secrets of these forms masked, by default with fewer lines perhaps."""
    lowered = text.lower()
    for form in forms:
        if form.may_occur(lowered):
            text = _masked(text, form, effort, keeping_lines)
    return text


def without_rest(kept: list[str], text: str, done: int, end: int) -> str:
    """Return what was kept, the text up to an end, and as many lines as there are behind it."""
    return "".join((*kept, text[done:end], CUT, "\n" * text.count("\n", end)))


def _masked(text: str, form: Form, effort: Effort, keeping_lines: bool) -> str:
    kept: list[str] = []
    done = 0
    effort.begin_pass()
    for match in form.pattern.finditer(text):
        if not effort.spend(STEPS_OF_MATCH + (match.end() - match.start()) // CHARS_PER_STEP):
            return without_rest(kept, text, done, match.start())
        replaced = form.replacement(match)
        kept += (text[done : match.start()], replaced)
        done = match.end()
        if keeping_lines:
            lost = text.count("\n", match.start(), done) - replaced.count("\n")
            kept.append("\n" * lost)
    kept.append(text[done:])
    return "".join(kept)


def whole(match: re.Match[str]) -> str:
    """Mask all of it."""
    return MASK


def after_start(match: re.Match[str]) -> str:
    """Mask what follows its `start`."""
    return f"{match['start']}{MASK}"


def between(match: re.Match[str]) -> str:
    """Mask what is between its `start` and `end`."""
    return f"{match['start']}{MASK}{match['end']}"
