"""How soon the next flush comes: a calm rhythm, and a quick one while there is trouble."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MIN_BAD: Final = 3  # fewer bad events are no trouble, whatever their share
QUICK_S: Final = 1.0  # between flushes in the first minute of trouble
EASED_S: Final = 2.0  # between flushes in the four minutes after it
NEWS_S: Final = 0.5  # between flushes while there is something new to be told each time
QUICK_FOR_S: Final = 60.0
EASED_FOR_S: Final = 240.0
WORK_S: Final = 0.001  # that a thread of ours works at a time before it gives way to requests
GIVE_WAY_S: Final = 0.0001  # long enough for a waiting thread to wake up, which sleep(0) is not
CALM_AFTER_S: Final = 60.0  # trouble is over when none was seen for so long


class Reason(StrEnum):
    """Why the next flush comes when it comes."""

    SLOT_ENDS = "slot_ends"
    TROUBLE_BEGAN = "trouble_began"
    TROUBLE = "trouble"
    NEWS = "news"


@dataclass(frozen=True, slots=True)
class Trouble:
    """When local trouble began and when it was last seen, in seconds since the epoch."""

    since: float
    seen_at: float


def is_trouble(*, bad: int, total: int, error_rate: float) -> bool:
    """Tell whether a worker's open slot looks bad enough to be flushed at once.

    `error_rate` is the lowest threshold of the enabled rules, as a share.
    """
    return bad >= MIN_BAD and bad > error_rate * total


def noticed(before: Trouble | None, *, now: float) -> Trouble:
    """Return the trouble after it was seen now: a new one, or the old one going on."""
    if before is None or now - before.seen_at > CALM_AFTER_S:
        return Trouble(now, now)
    return Trouble(before.since, now)


def next_flush(
    trouble: Trouble | None,
    *,
    flushed_at: float,
    slot_end: float,
    now: float,
    bad: int,
    has_news: bool = False,
) -> tuple[float, Reason]:
    """Say when to flush next, and why; `bad` requests failed or were slow since the last flush.

    In trouble: at once, then each second for a minute, each two seconds for four more, then in
    the normal rhythm until it has been calm for a minute; but without bad requests there is
    nothing to hurry for. With news, such as a new issue, at once or half a second after the last
    flush, however long the trouble. Never later than the slot's end.
    """
    if has_news:
        soon = max(now, flushed_at + NEWS_S)
        return (soon, Reason.NEWS) if soon < slot_end else (slot_end, Reason.SLOT_ENDS)
    if trouble is None or now - trouble.seen_at > CALM_AFTER_S:
        return slot_end, Reason.SLOT_ENDS
    lasted = now - trouble.since
    if lasted > QUICK_FOR_S + EASED_FOR_S:
        return slot_end, Reason.SLOT_ENDS
    if flushed_at < trouble.since:
        return now, Reason.TROUBLE_BEGAN
    if not bad:
        return slot_end, Reason.SLOT_ENDS
    pause = QUICK_S if lasted <= QUICK_FOR_S else EASED_S
    soon = flushed_at + pause
    return (soon, Reason.TROUBLE) if soon < slot_end else (slot_end, Reason.SLOT_ENDS)
