"""Moments as people write them, with the name of the time zone."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Writes moments as seen from `now` (seconds since the epoch), in one time zone."""

    now: float
    zone: tzinfo

    def moment(self, at: float) -> str:
        """Write "14:02:10 UTC", with the day where it is another one."""
        return f"{self._clock(at)} {self._local(at).tzname()}"

    def full(self, at: float) -> str:
        """Write "28 Nov 2026 14:02:10 UTC": a message may be read days later."""
        moment = self._local(at)
        return f"{moment.day} {_MONTHS[moment.month - 1]} {moment:%Y %H:%M:%S %Z}"

    def span(self, start: float, end: float) -> str:
        """Write "12:00:05–12:04:10 UTC", with the day where it is another one."""
        if self._local(start).date() == self._local(end).date():
            return f"{self._clock(start)}–{self._local(end):%H:%M:%S %Z}"
        return f"{self._clock(start)}–{self.moment(end)}"

    def _clock(self, at: float) -> str:
        moment, today = self._local(at), self._local(self.now)
        if moment.date() == today.date():
            return f"{moment:%H:%M:%S}"
        year = f" {moment:%Y}" if moment.year != today.year else ""
        return f"{moment.day} {_MONTHS[moment.month - 1]}{year} {moment:%H:%M:%S}"

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, tz=self.zone)
