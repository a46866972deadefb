"""An error that is told, not raised here: a log record, the crash of another process."""

from collections.abc import Mapping
from typing import Protocol

from watchkeeper.core.raised import Raised
from watchkeeper.runtime.traces import Snapshot


class Told(Protocol):
    """An error without an exception; described and shown only when that is wanted.

    Equal keys have equal descriptions. `level` is "error" or "critical"; `culprit` is the place
    to show, "module:function"; `context` is stored with the event, scrubbed.
    """

    @property
    def key(self) -> tuple[object, ...]:
        """What its group depends on, to be remembered by."""

    @property
    def level(self) -> str:
        """How bad it is."""

    @property
    def culprit(self) -> str:
        """Where it came from; empty: nowhere in particular."""

    @property
    def context(self) -> Mapping[str, object]:
        """What else is stored."""

    def describe(self) -> Raised:
        """Return what counts for its group."""

    def snapshot(self) -> Snapshot:
        """Return what is shown of it."""
