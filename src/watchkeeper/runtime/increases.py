"""By how much the counts of the system and the interpreter grew between two looks."""


class Increases:
    """The last count of each name; the names are few and fixed."""

    def __init__(self) -> None:
        """Begin without a count."""
        self._last: dict[tuple[str, ...], float] = {}

    def of(self, name: tuple[str, ...], count: float) -> float | None:
        """Return how much a count grew since the last call; None: unknown, or it began anew."""
        before = self._last.get(name)
        self._last[name] = count
        return count - before if before is not None and count >= before else None
