"""Schedules: when a job is to run, and whether it is late.

Times are seconds since the epoch, durations seconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError

DEFAULT_TZ: Final = "UTC"
GRACE_SHARE: Final = 0.1  # of the time between two runs, where no grace is given
LEAST_GRACE_S: Final = 60.0  # where no grace is given
LEAST_EVERY_S: Final = 1.0
CRON_FIELDS: Final = 5
MAX_CRON_CHARS: Final = 200
CLOCKS_DIFFER_S: Final = 60.0  # clocks of several hosts may differ so much without a word

_ANY_DAY: Final = 946_684_800.0  # 2000-01-01: where the search for a first run begins


class Reason(StrEnum):
    """Why a job is late, or is not."""

    IN_TIME = "in_time"
    FIRST_RUN_AHEAD = "first_run_ahead"
    WITHIN_GRACE = "within_grace"
    MISSED = "missed"
    NEVER_RAN = "never_ran"
    CLOCK_SET_BACK = "clock_set_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job is to run: each `every_s` after its last success, or as `cron` says in `tz`.

    `grace_s` is how long after that a run is not late yet; None: a tenth of the time between
    two runs, at least a minute.
    """

    every_s: float = 0.0
    cron: str = ""
    tz: str = DEFAULT_TZ
    grace_s: float | None = None

    def due(self, after: float) -> float:
        """Return when the first run after a moment is due."""
        if not self.cron:
            return after + self.every_s
        return next_cron(self.cron, after, zone_named(self.tz, where="tz"))

    def grace(self, due: float) -> float:
        """Return how many seconds after `due` a run may still succeed without being late."""
        if self.grace_s is not None:
            return self.grace_s
        return max(LEAST_GRACE_S, GRACE_SHARE * (self.due(due) - due))


def parse_schedule(
    *,
    every: str | None = None,
    cron: str | None = None,
    tz: str | None = None,
    grace: str | None = None,
    where: str,
) -> Schedule | None:
    """Read a schedule: `every="24h"`, or `cron="0 3 * * *"` in a time zone (default UTC).

    None if there is neither. Raises ConfigurationError, naming `where`, for what cannot be.
    """
    if every is not None and cron is not None:
        raise ConfigurationError(f"{where}: write every= or cron=, not both")
    if tz is not None and cron is None:
        raise ConfigurationError(f"{where}.tz: a time zone belongs to cron=, which is not there")
    if grace is not None and every is None and cron is None:
        raise ConfigurationError(
            f"{where}.grace: without every= or cron= a job is never late; write every='24h'"
        )
    grace_s = None if grace is None else parse_duration(grace, where=f"{where}.grace")
    if every is not None:
        every_s = parse_duration(every, where=f"{where}.every")
        if every_s < LEAST_EVERY_S:
            raise ConfigurationError(
                f"{where}.every: '{every}' is too often to be watched; write '1m'"
            )
        return Schedule(every_s=every_s, grace_s=grace_s)
    if cron is None:
        return None
    name = DEFAULT_TZ if tz is None else tz
    _check_cron(cron, zone_named(name, where=f"{where}.tz"), where=f"{where}.cron")
    return Schedule(cron=cron, tz=name, grace_s=grace_s)


def lateness(
    schedule: Schedule, *, last_success: float | None, declared_at: float, now: float
) -> tuple[float, Reason]:
    """Say how many seconds a job is overdue past its grace, and why; 0 while it is not.

    A job that never succeeded is counted from its declaration. A success that lies ahead of the
    clock by more than a minute says that the clock was set back: nothing can be told from it.
    """
    since = declared_at if last_success is None else last_success
    if since > now + CLOCKS_DIFFER_S:
        return 0.0, Reason.CLOCK_SET_BACK
    never = last_success is None
    due = schedule.due(since)
    if now < due:
        return 0.0, Reason.FIRST_RUN_AHEAD if never else Reason.IN_TIME
    late = now - due - schedule.grace(due)
    if late <= 0:
        return 0.0, Reason.WITHIN_GRACE
    return late, Reason.NEVER_RAN if never else Reason.MISSED


def next_cron(cron: str, after: float, zone: tzinfo) -> float:
    """Return the first moment after `after` that an expression names; raises StopIteration.

    A time that a change of the clocks leaves out comes at its end, one that it brings twice
    counts once.
    """
    from cronsim import CronSim  # only where an expression is used

    moments = CronSim(cron, datetime.fromtimestamp(after, zone))
    # Within an hour that comes twice the library may begin with its first pass, which is over.
    while (found := next(moments).timestamp()) <= after:
        pass
    return found


def _check_cron(cron: str, zone: tzinfo, *, where: str) -> None:
    from cronsim import CronSimError

    cure = "write minute, hour, day, month and weekday: '0 3 * * *'"
    fields = str(cron).split()  # a number is a user's slip
    if len(fields) != CRON_FIELDS:
        raise ConfigurationError(
            f"{where}: '{cron!s:.40}' has {len(fields)} fields instead of {CRON_FIELDS}; {cure}"
        )
    if len(cron) > MAX_CRON_CHARS:
        raise ConfigurationError(f"{where}: more than {MAX_CRON_CHARS} characters; {cure}")
    try:
        next_cron(cron, _ANY_DAY, zone)
    except CronSimError as error:
        raise ConfigurationError(
            f"{where}: '{cron}' is not a cron expression ({error}); {cure}"
        ) from None
    except StopIteration:
        raise ConfigurationError(f"{where}: '{cron}' names no day that ever comes") from None


def zone_named(name: str, *, where: str) -> tzinfo:
    """Return a time zone by its name; raises ConfigurationError, naming `where`, for none."""
    if name == DEFAULT_TZ:
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise ConfigurationError(
            f"{where}: {name!r:.80} is no time zone known here; write one such as "
            "'Europe/Berlin', or install tzdata"
        ) from None
