"""A bounded mapping that forgets what was not used for longest."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Lately(Generic[Key, Value]):
    """Keys and values in two generations: what is used moves to the younger one.

    Once that is full, it becomes the older one, and what was there is forgotten: what was used
    since, which is at least half of `most` keys, stays. Reading takes no lock.
    """

    __slots__ = ("_half", "_lock", "_old", "young")

    def __init__(self, most: int) -> None:
        """Hold up to `most` keys; nothing yet."""
        self._half = most // 2
        self._lock = Lock()
        self._old: dict[Key, Value] = {}
        self.young: dict[Key, Value] = {}  # to look at directly; only `put` changes it

    def __len__(self) -> int:
        """Return how many values are held, those twice that were used again."""
        return len(self.young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return a value that is still known; it is among the last to be forgotten then."""
        found = self.young.get(key)
        if found is None and key in self._old:
            with self._lock:  # so that what is dropped meanwhile does not come back
                found = self._old.get(key)
                if found is not None:
                    self._add(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Hold a value."""
        with self._lock:
            self._add(key, value)

    def drop(self, is_past: Callable[[Value], bool]) -> None:
        """Forget the values of which this is true."""
        with self._lock:
            for some in (self.young, self._old):
                for key, value in list(some.items()):
                    if is_past(value):
                        del some[key]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._old, self.young = {}, {}

    def _add(self, key: Key, value: Value) -> None:
        if len(self.young) >= self._half:
            self._old, self.young = self.young, {}
        self.young[key] = value
