"""How far a host's clock is from the database's, which all hosts on it can be compared by."""

from typing import Final

from watchkeeper.core.units import format_duration

TOLD_FROM_S: Final = 15.0  # two hosts half a minute apart: from there on holds take longer
MAX_DOUBT_S: Final = 2.0  # an answer that took longer says nothing exact enough


def skew_s(*, asked_at: float, database_at: float, answered_at: float) -> float | None:
    """Return how far ahead of the database's a host's clock is, in seconds; None: not known.

    The moment in the middle between question and answer is taken for the database's.
    """
    if not 0 <= answered_at - asked_at <= MAX_DOUBT_S:
        return None
    return (asked_at + answered_at) / 2 - database_at


def told_of(host: str, skew: float) -> str:
    """Say what a clock's distance means; "" if it means nothing."""
    if abs(skew) < TOLD_FROM_S:
        return ""
    apart = format_duration(round(abs(skew)))
    where = "ahead of" if skew > 0 else "behind"
    return (
        f"the clock of {host} is {apart} {where} the database's: hosts that are far apart make"
        " alerts late, and from a minute and a half on a hold may never end; set it by NTP"
    )
