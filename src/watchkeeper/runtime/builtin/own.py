"""What built-in checks may know of this process' own Watchkeeper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.core.metrics import Scope
    from watchkeeper.settings import Settings
    from watchkeeper.storage.store import Store


class Own(Protocol):
    """This process' Watchkeeper, as far as checks look at it."""

    clock: Callable[[], float]

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def scope(self) -> Scope:
        """Its service and environment."""

    @property
    def store(self) -> Store | None:
        """The open store, or None before the first flush and while it cannot be opened."""
