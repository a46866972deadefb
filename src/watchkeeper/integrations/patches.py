"""Patches: attributes of libraries that are wrapped for a while, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patches:
    """The wrapped attributes of one instrument.

    Where somebody else wrapped an attribute after us, our wrapper stays below theirs; it asks
    `on` and does nothing any more.
    """

    def __init__(self) -> None:
        """Begin with nothing wrapped."""
        self.on = True
        self._made: list[tuple[Any, str, object, object]] = []

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace an attribute that `owner` itself defines by what `make` makes of it.

        Raises KeyError if the owner, a class or module, does not define it; everything that was
        wrapped before is put back then.
        """
        if name not in vars(owner):
            self.undo()
        original = vars(owner)[name]
        ours = make(original)
        setattr(owner, name, ours)
        self._made.append((owner, name, original, ours))

    def undo(self) -> None:
        """Put every attribute back."""
        self.on = False
        while self._made:
            owner, name, original, ours = self._made.pop()
            if vars(owner).get(name) is ours:
                setattr(owner, name, original)
