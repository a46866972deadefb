"""Apdex: one figure for how content users are with response times, from a stored histogram."""

from typing import Final

from watchkeeper.core.histogram import Histogram

TOLERATING: Final = 4  # times the threshold: from there on users are frustrated (Apdex 1.1)


def apdex(
    durations: Histogram,
    threshold_s: float,
    *,
    failed: float = 0.0,
    total: float | None = None,
) -> float | None:
    """Return the share of satisfied users and half of the tolerating ones, 0 to 1.

    `durations` (seconds) are those of the requests whose status is no failure: satisfied up to
    the threshold, tolerating up to four times as long. `total` counts all that were answered, by
    default these; `failed` those among them that failed, all of whose users are frustrated. Of
    requests that failed in spite of their status, and of failures that are excused, the duration
    is not known apart: they are taken to have been as quick as the others. None without any.

    Relative error of the threshold ≤ 1.1 % at scale 5: a bucket that spans it counts by its
    middle.
    Raises ValueError unless the threshold is above zero.
    """
    if not threshold_s > 0:
        raise ValueError(f"the threshold is {threshold_s} s; it must be above zero")
    answered = durations.count if total is None else total
    if not answered:
        return None
    good = answered - min(max(failed, 0.0), answered)
    if not good:
        return 0.0
    if not durations.count:
        return None
    slow = durations.count_above(threshold_s)
    frustrated = durations.count_above(TOLERATING * threshold_s)
    content = durations.count - slow + (slow - frustrated) / 2
    return content / durations.count * good / answered
