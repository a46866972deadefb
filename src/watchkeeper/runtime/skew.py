"""Measuring how far this host's clock is from the database's; once a minute."""

import logging
import socket
from collections.abc import Callable
from typing import Final

from watchkeeper.core.self_metrics import SELF_CLOCK_SKEW
from watchkeeper.core.skew import skew_s, told_of
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage.upkeep import UpkeepStore

AGAIN_S: Final = 3_600.0  # what is said of a clock is said again after so long

_log = logging.getLogger("watchkeeper")


def measured_skew(store: UpkeepStore, clock: Callable[[], float]) -> float | None:
    """Return how far `clock` is ahead of the database's, in seconds; None: not known.

    Unknown for a database that is a file, which has the clock of its processes: on one host there
    is but one. Raises StorageError.
    """
    asked_at = clock()
    database_at = store.database_time()
    if database_at is None:
        return None
    return skew_s(asked_at=asked_at, database_at=database_at, answered_at=clock())


class Skew:
    """Records the distance of this host's clock, and says so where it does harm."""

    def __init__(
        self, recorder: Recorder, *, clock: Callable[[], float], host: str | None = None
    ) -> None:
        """Measure by `clock`, that of this `host` (its name by default)."""
        self._recorder = recorder
        self._clock = clock
        self._host = host or socket.gethostname()
        self._said_at: float | None = None

    def look(self, store: UpkeepStore) -> None:
        """Measure and record; does nothing where it is not known."""
        try:
            skew = measured_skew(store, self._clock)
        except StorageError:
            return  # whoever looks after the store tells that it is away
        if skew is None:
            return
        self._recorder.series(SELF_CLOCK_SKEW, {"host": self._host}).record(skew)
        sentence, now = told_of(self._host, skew), self._clock()
        if not sentence:
            self._said_at = None
        elif self._said_at is None or not 0 <= now - self._said_at < AGAIN_S:
            self._said_at = now
            _log.warning("watchkeeper: %s", sentence)
