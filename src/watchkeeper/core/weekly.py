"""Times of the week on a wall clock: "daily 22:00-06:00 Europe/Berlin", through clock changes.

A time begins when the clock on the wall first shows its start, and ends when it last shows its
end. What a change of the clocks leaves out begins at the end of the gap, and a time that lies
wholly in a gap keeps its length; what a change brings twice lasts until the second pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from watchkeeper.core.schedules import DEFAULT_TZ, zone_named
from watchkeeper.exceptions import ConfigurationError

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY: Final = "daily"
MINUTES_A_DAY: Final = 1_440
MAX_TEXT: Final = 200
SEARCHED_DAYS: Final = 9  # a time of the week comes again within eight days
_FORM = re.compile(r"(\S+)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?")
_CURE: Final = (
    "write 'Sun 02:00-04:00 Europe/Berlin', 'Mon-Fri 08:00-18:00' or 'daily 22:00-06:00'"
)


@dataclass(frozen=True, slots=True)
class Weekly:
    """A time on some days of the week, from and to minutes of the day, in a time zone.

    Where `to` is not after `start`, it ends on the next day. `days` are 0 (Monday) to 6.
    """

    days: frozenset[int]
    start: int
    to: int
    zone: tzinfo
    text: str  # as its author wrote it

    def until(self, at: float) -> float | None:
        """Return when the time ends that a moment is in; None if it is in none."""
        for begins_at, ends_at in self._times(at):
            if begins_at <= at < ends_at:
                return ends_at
        return None

    def next_start(self, at: float) -> float:
        """Return when the next time begins after a moment."""
        return next(begins_at for begins_at, _ in self._times(at) if begins_at > at)

    def _times(self, at: float) -> Iterator[tuple[float, float]]:
        """Yield begin and end of the times around a moment, from the day before it on."""
        today = datetime.fromtimestamp(at, self.zone).date()
        length = (self.to - self.start) % MINUTES_A_DAY or MINUTES_A_DAY
        # The day before the day before: a time of yesterday may last longer by a clock change.
        for number in range(-2, SEARCHED_DAYS):
            day = today + timedelta(days=number)
            if day.weekday() not in self.days:
                continue
            begins_at = _moment(day, self.start, self.zone, last=False)
            ends_at = _moment(day, self.start + length, self.zone, last=True)
            if ends_at <= begins_at:
                ends_at = begins_at + 60.0 * length
            yield begins_at, ends_at


def parse_weekly(text: str, *, where: str) -> Weekly:
    """Read "Sun 02:00-04:00 Europe/Berlin"; raises ConfigurationError naming `where`.

    Days are one ("Sun"), several ("Sat,Sun"), a range ("Mon-Fri") or "daily"; without a time
    zone it is UTC.
    """
    shown = str(text)[:MAX_TEXT]
    match = _FORM.fullmatch(shown.strip()) if len(str(text)) <= MAX_TEXT else None
    if match is None:
        raise ConfigurationError(f"{where}: {shown!r} is no time of the week; {_CURE}")
    days, *clock, zone = match.groups()
    hour, minute, to_hour, to_minute = (int(part) for part in clock)
    start, to = 60 * hour + minute, 60 * to_hour + to_minute
    if minute > 59 or to_minute > 59 or start >= MINUTES_A_DAY or to > MINUTES_A_DAY:
        raise ConfigurationError(f"{where}: {shown!r} has no such time of the day; {_CURE}")
    return Weekly(
        days=_days(days, where=where),
        start=start,
        to=to,
        zone=zone_named(zone or DEFAULT_TZ, where=where),
        text=shown.strip(),
    )


def _days(text: str, *, where: str) -> frozenset[int]:
    if text.casefold() == EVERY_DAY:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first, where=where)
        end = _day(last, where=where) if dash else begin
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(text: str, *, where: str) -> int:
    name = text[:1].upper() + text[1:].lower()
    if name not in DAYS:
        raise ConfigurationError(
            f"{where}: {text[:MAX_TEXT]!r} is no day; write one of {', '.join(DAYS)}, or daily"
        )
    return DAYS.index(name)


def _moment(day: date, minutes: int, zone: tzinfo, *, last: bool) -> float:
    """Return when a wall clock shows a time of a day; the `last` time where it does so twice."""
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    local = wall.replace(tzinfo=zone, fold=int(last))
    moment = local.timestamp()
    if datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    return _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: tzinfo) -> float:
    """Return when the clocks are put forward over a time that they therefore never show."""
    before, after = (
        wall.replace(tzinfo=zone, fold=fold).astimezone(UTC).timestamp() for fold in (1, 0)
    )
    offset = datetime.fromtimestamp(after, zone).utcoffset()
    while after - before > 1.0:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
