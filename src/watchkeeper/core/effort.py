"""How much may be looked at in one text or value, so that no content makes scrubbing slow."""

from typing import Final

MAX_STEPS: Final = 1_000  # of about 1 µs; most texts need less than a hundred
LEFT_FOR_OTHERS: Final = 3  # one part in so many is left for the passes that follow


class Effort:
    """What is left of MAX_STEPS; where it ends the rest is dropped, never kept unseen.

    A text is gone through several times: what one pass drops the next need not look at, so each
    leaves something to those that follow.
    """

    __slots__ = ("_left", "_reserve")

    def __init__(self) -> None:
        self._left = MAX_STEPS
        self._reserve = 0

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may be looked at in this pass."""
        return self._left < self._reserve

    def begin_pass(self) -> None:
        """Go through a text once more."""
        self._reserve = max(self._left // LEFT_FOR_OTHERS, 1)

    def spend(self, steps: int = 1) -> bool:
        """Tell whether there is enough left to look at something of this many steps."""
        self._left -= steps
        return self._left >= self._reserve
