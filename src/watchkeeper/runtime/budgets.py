"""A number of things that may be done in each second of the clock."""


class Budget:
    """A number of things allowed in each second of the clock."""

    __slots__ = ("_left", "_limit", "_second")

    def __init__(self, limit: int) -> None:
        """Allow `limit` things a second."""
        self._limit = self._left = limit
        self._second = 0

    def has_any(self, at: float) -> bool:
        """Tell whether the second of `at` has one left."""
        return int(at) != self._second or self._left > 0

    def take(self, at: float) -> bool:
        """Take one, if the second of `at` has one left."""
        if int(at) != self._second:
            self._second = int(at)
            self._left = self._limit
        self._left -= 1
        return self._left >= 0
