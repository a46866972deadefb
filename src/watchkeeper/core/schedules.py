"""Schedules: when a job is to run, and whether it is late.

Times are seconds since the epoch, durations seconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Final

from watchkeeper.core.units import format_duration, parse_duration
from watchkeeper.exceptions import ConfigurationError

DEFAULT_TZ: Final = "UTC"
GRACE_SHARE: Final = 0.1  # of the time between two runs, where no grace is given
EARLY_SHARE: Final = 0.1  # of it, at most a minute: how early a run may end by our clock
LEAST_GRACE_S: Final = 60.0  # where no grace is given
LEAST_EVERY_S: Final = 1.0
CRON_FIELDS: Final = 5
MAX_CRON_CHARS: Final = 200
CLOCKS_DIFFER_S: Final = 60.0  # clocks of several hosts may differ so much without a word
MAX_REMEMBERED: Final = 1_000  # moments at which runs are due

_ANY_DAY: Final = 946_684_800.0  # 2000-01-01: where the search for a first run begins


class Reason(StrEnum):
    """Why a job is late, or is not."""

    IN_TIME = "in_time"
    FIRST_RUN_AHEAD = "first_run_ahead"
    WITHIN_GRACE = "within_grace"
    MISSED = "missed"
    NEVER_RAN = "never_ran"
    NO_END = "no_end"  # a start was announced, and no end within the grace
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

    def due(self, after: float, *, is_success: bool = False) -> float:
        """Return when the first run after a moment is due; `is_success`: one that ended then.

        A success just before a moment that the expression names is the run of that moment: clocks
        of hosts differ. Raises ConfigurationError for what `parse_schedule` would refuse here:
        another host, which knows the time zone, may have written it.
        """
        if not self.cron:
            return after + self.every_s
        due = _due(self, after)
        if is_success and due - after <= CLOCKS_DIFFER_S:
            following = _due(self, due)
            if due - after <= min(self.grace(due), EARLY_SHARE * (following - due)):
                return following
        return due

    def due_before(self, at: float) -> float | None:
        """Return the last moment up to `at` that the expression names; None without one."""
        if not self.cron:
            return None
        return previous_cron(self.cron, at, zone_named(self.tz, where="tz"))

    @property
    def text(self) -> str:
        """The schedule in a few words: "every 1 d", "0 3 * * * Europe/Berlin"."""
        return f"{self.cron} {self.tz}" if self.cron else f"every {format_duration(self.every_s)}"

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
    due = schedule.due(since, is_success=not never)
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


@lru_cache(maxsize=MAX_REMEMBERED)
def _due(schedule: Schedule, after: float) -> float:
    """Return when a run of an expression is due; it is asked for each slot, and takes a while."""
    from cronsim import CronSimError

    zone = zone_named(schedule.tz, where="tz")
    try:
        return next_cron(schedule.cron, after, zone)
    except (CronSimError, StopIteration, OverflowError):
        raise ConfigurationError(f"cron: {schedule.cron!r:.80} names no time") from None


def previous_cron(cron: str, at: float, zone: tzinfo) -> float | None:
    """Return the last moment up to `at` that an expression names; None if there was none."""
    from cronsim import CronSim  # only where an expression is used

    # A second ahead: the library begins before the moment that it is given.
    moments = CronSim(cron, datetime.fromtimestamp(int(at) + 1, zone), reverse=True)
    found = next(moments, None)
    return min(found.timestamp(), at) if found is not None else None


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
