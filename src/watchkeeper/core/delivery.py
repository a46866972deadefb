"""When a notification that was not delivered is tried again, and when it is given up."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_TRIES: Final = 4  # the first waits are short even for a message that is old already
QUICK_FOR_S: Final = 120.0
STEADY_FOR_S: Final = 600.0
STEADY_WAIT_S: Final = 15.0
# Past the steady time: (up to this age, wait). 1, 5, 30, 30, … minutes.
SLOW_WAITS_S: Final = ((660.0, 60.0), (960.0, 300.0), (float("inf"), 1_800.0))
GIVE_UP_AFTER_S: Final = 86_400.0
# What is older and waits is of a channel that nobody has any more: whoever had it gave it up.
WAITS_AT_MOST_S: Final = GIVE_UP_AFTER_S + 3_600.0
REFUSED_WAIT_S: Final = 60.0
REFUSED_FOR_S: Final = 600.0  # proxies answer 400 while they restart
JITTER_SHARE: Final = 0.2  # so that many workers do not come in the same moment


class Fault(StrEnum):
    """Why a notification was not delivered."""

    AWAY = "away"  # no connection, no answer, or one that asks to come later
    REFUSED = "refused"  # the same message will be refused again
    GONE = "gone"  # the channel itself will never take anything again


class Reason(StrEnum):
    """Why it is tried again, or not."""

    RETRY = "retry"
    RECEIVER_SAID_WHEN = "receiver_said_when"
    REFUSED_FOR_NOW = "refused_for_now"
    REFUSED_FOR_GOOD = "refused_for_good"
    CHANNEL_GONE = "channel_gone"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTry:
    """What becomes of a notification: tried again `at` (seconds since the epoch) or never."""

    at: float | None
    reason: Reason


def next_try(
    *,
    attempts: int,
    created_at: float,
    now: float,
    jitter: float,
    fault: Fault = Fault.AWAY,
    refused_for_s: float = 0.0,
    retry_after_s: float | None = None,
) -> NextTry:
    """Decide after a failed attempt, the `attempts`-th, counted from 1.

    Away: after 1, 2, 3, 4, 4, … s for 2 min, each 15 s up to 10 min, then 1, 5, 30, 30, … min up
    to a day. Refused: each minute until it has been refused for 10 min. `jitter` in [-1, 1] moves
    the wait by up to 20 %; what the receiver asked for (`retry_after_s`) is never cut short.
    """
    if fault is Fault.GONE:
        return NextTry(at=None, reason=Reason.CHANNEL_GONE)
    age_s = now - created_at
    if age_s >= GIVE_UP_AFTER_S:
        return NextTry(at=None, reason=Reason.TOO_OLD)
    if fault is Fault.REFUSED and refused_for_s >= REFUSED_FOR_S:
        return NextTry(at=None, reason=Reason.REFUSED_FOR_GOOD)
    refused = fault is Fault.REFUSED
    wait_s = REFUSED_WAIT_S if refused else _wait_s(attempts, age_s)
    wait_s *= 1 + JITTER_SHARE * jitter
    if retry_after_s is not None and retry_after_s > wait_s:
        return NextTry(at=now + retry_after_s, reason=Reason.RECEIVER_SAID_WHEN)
    return NextTry(at=now + wait_s, reason=Reason.REFUSED_FOR_NOW if refused else Reason.RETRY)


def _wait_s(attempts: int, age_s: float) -> float:
    if age_s < QUICK_FOR_S or attempts <= FIRST_TRIES:
        return float(max(1, min(attempts, FIRST_TRIES)))
    if age_s < STEADY_FOR_S:
        return STEADY_WAIT_S
    return next(wait_s for until_s, wait_s in SLOW_WAITS_S if age_s < until_s)
