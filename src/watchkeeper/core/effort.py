"""How much may be looked at in one text or value, so that no content makes scrubbing slow."""

from typing import Final

MAX_STEPS: Final = 1_000  # of about 1 µs; most texts need less than a hundred


class Effort:
    """What is left of MAX_STEPS; where it ends the rest is dropped, never kept unseen."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_STEPS

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may be looked at."""
        return self._left < 0

    def spend(self, steps: int = 1) -> bool:
        """Tell whether there is enough left to look at something of this many steps."""
        self._left -= steps
        return self._left >= 0
