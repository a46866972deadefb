"""A border that shows what passes it."""

from collections.abc import Callable
from types import TracebackType
from typing import Final

from watchkeeper.runtime.guard import guard

_GUARD: Final = guard("request")


class Seeing:
    """Shows an exception to somebody; it goes on as it came."""

    __slots__ = ("_show",)

    def __init__(self, show: Callable[[BaseException], object]) -> None:
        """Call `show` with it."""
        self._show = show

    def __enter__(self) -> None:
        """Begin to look."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show what passes."""
        if exc is not None:
            with _GUARD:
                self._show(exc)
