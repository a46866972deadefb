"""The circuit of one channel: whether a message is sent, or waits until the channel answers again.

Without it each of a hundred waiting messages would be tried at a receiver that is away. With it
one is: at the time of the backoff, until one is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from watchkeeper.core.delivery import STEADY_WAIT_S, next_try

OPENS_AFTER: Final = 3  # failures in a row; fewer may be a mishap of single messages
MAX_FAILURES: Final = 1_000_000  # counted no further
MOST_WAIT_S: Final = (
    STEADY_WAIT_S  # between two probes: what is new must not wait for half an hour
)

MOST_ASKED_S: Final = 3_600.0  # that a receiver may ask for; more is a clock that was set back
FORGOTTEN_AFTER_S: Final = 60.0  # after a probe was due and nobody had anything to send


class Passage(StrEnum):
    """Whether a channel takes messages now, and why."""

    CLOSED = "closed"  # it works, as far as is known: two at a time
    HALF_OPEN = "half_open"  # the time of a probe: one message
    OPEN = "open"  # it failed lately: all wait
    PROBING = "probing"  # one message is on its way to find out
    GONE = "gone"  # it said that it will never take anything again


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What is known of a channel. Times are seconds since the epoch."""

    failures: int = 0  # in a row, of the channel and not of a message
    failing_since: float = 0.0
    probe_at: float = 0.0
    asked_until: float = 0.0  # the receiver asked to be left alone till then (Retry-After)
    gone_at: float = 0.0  # 0: it is not

    def passage(self, *, now: float, in_flight: int, started_at: float) -> Passage:
        """Say whether messages pass. `started_at` of this process: a later start tries again."""
        if self.gone_at and self.gone_at >= started_at:
            return Passage.GONE
        if now < self.asked_until <= now + MOST_ASKED_S:
            return Passage.OPEN
        if self.failures < OPENS_AFTER:
            return Passage.CLOSED
        if in_flight:
            return Passage.PROBING
        # A probe that is further away than ever planned comes of a clock that was set back.
        is_due = self.probe_at <= now or self.probe_at - now > MOST_WAIT_S + MOST_ASKED_S
        return Passage.HALF_OPEN if is_due else Passage.OPEN

    def failed(self, *, now: float, jitter: float, not_before: float = 0.0) -> "Circuit":
        """Return the circuit after the channel was found away; the receiver may say for how long.

        The next probe comes after 1, 2, 3, 4, 4, … s, and each 15 s once it has lasted 2 min.
        """
        failures = min(self.failures + 1, MAX_FAILURES)
        # After a long time in which nobody asked it is another absence, that may be short.
        is_lasting = self.failing_since and now - self.probe_at <= FORGOTTEN_AFTER_S
        since = self.failing_since if is_lasting else now
        # The backoff of messages, for the channel: as if one message had been tried all the time.
        again = next_try(attempts=failures, created_at=since, now=now, jitter=jitter).at
        soonest = now + MOST_WAIT_S if again is None else min(again, now + MOST_WAIT_S)
        return Circuit(
            failures=failures,
            failing_since=since,
            probe_at=max(soonest, not_before),
            asked_until=not_before,
        )

    def to_data(self) -> dict[str, Any]:
        """Return the stored form: JSON values."""
        return {
            "failures": self.failures,
            "failing_since": self.failing_since,
            "probe_at": self.probe_at,
            "asked_until": self.asked_until,
            "gone_at": self.gone_at,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Circuit":
        """Read the stored form; what is missing or no number has its default."""
        known = {
            name: float(data[name])
            for name in ("failing_since", "probe_at", "asked_until", "gone_at")
            if isinstance(data.get(name), int | float)
        }
        failures = data.get("failures")
        return cls(failures=failures if isinstance(failures, int) else 0, **known)


WORKS: Final = Circuit()  # after a message was taken all is forgotten


def gone(*, now: float) -> Circuit:
    """Return the circuit of a channel that is gone."""
    return Circuit(gone_at=now)
