"""The outgoing heartbeat: a call each minute that stays away when watching does not work."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from watchkeeper.core.self_metrics import SELF_HEARTBEAT_FAILURES
from watchkeeper.notify import DeliveryError
from watchkeeper.notify.pulse import open_pulse
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder

BEAT_EVERY_S: Final = 60.0
EARLY_S: Final = 1.0  # flushes are not exact: rather a little early than a slot late

_log = logging.getLogger("watchkeeper")


class Heartbeat:
    """Calls an address, at most once a minute, each time in a thread of its own.

    `beat` is called where flushing and evaluation have just worked, so silence tells that one of
    them does not: the receiver (a dead man's switch) tells people. Never more than one call is
    under way, and nobody waits for it.
    """

    def __init__(self, url: str, *, recorder: Recorder) -> None:
        """Prepare; raises ConfigurationError if `url` is no web address."""
        self._send: Callable[[], None] = open_pulse(url, where="heartbeat_url").send
        self._recorder = recorder
        self._last_at: float | None = None
        self._thread: threading.Thread | None = None
        self._failing = False

    def beat(self, now: float) -> bool:
        """Call, if a minute has passed since the last time; returns whether it did."""
        last = self._last_at
        if last is not None and 0 <= now - last < BEAT_EVERY_S - EARLY_S:
            return False
        if self._thread is not None and self._thread.is_alive():
            return False
        self._last_at = now
        self._thread = threading.Thread(
            target=self._call, name="watchkeeper-heartbeat", daemon=True
        )
        self._thread.start()
        return True

    def wait(self, *, timeout_s: float) -> bool:
        """Wait until nothing is under way; False if something still is after `timeout_s`."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def reset(self) -> None:
        """Begin anew in a forked child, which has none of its parent's threads."""
        self._thread = self._last_at = None

    def _call(self) -> None:
        with guard("heartbeat"):
            began = monotonic()
            try:
                self._send()
            except DeliveryError as error:
                self._recorder.series(SELF_HEARTBEAT_FAILURES).record(1)
                if not self._failing:  # said once, until it works again
                    _log.warning(
                        "watchkeeper: heartbeat_url was not reached (%s); tried each minute.",
                        error,
                    )
                self._failing = True
                return
            if self._failing:
                took_ms = (monotonic() - began) * 1_000
                _log.warning("watchkeeper: heartbeat_url is reached again, in %.0f ms.", took_ms)
            self._failing = False
