"""Schedules of jobs that this process declares: in code, or read from a scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watchkeeper.exceptions import ConfigurationError

if TYPE_CHECKING:
    from watchkeeper.core.schedules import Schedule

MAX_JOBS: Final = 200
MAX_NAME_CHARS: Final = 200


class Declared:
    """The jobs with a schedule, by name; safe for several threads.

    Without a lock, which a forked child could find held for ever: each step is one that the
    dictionaries take at once.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._schedules: dict[str, Schedule] = {}
        self._offered: dict[str, Schedule | None] = {}

    def add(self, name: str, schedule: Schedule) -> None:
        """Remember a job's schedule; the same one again is no matter.

        Raises ConfigurationError if the job has another one, or if there are too many.
        """
        if name not in self._schedules and len(self._schedules) >= MAX_JOBS:
            raise ConfigurationError(
                f"job {name!r}: {MAX_JOBS} jobs with a schedule are declared already; "
                "what varies belongs into a tag"
            )
        if self._schedules.setdefault(name, schedule) != schedule:
            raise ConfigurationError(
                f"job {name!r}: declared twice, with different schedules; "
                "write the schedule at one place, and job(name) at the others"
            )

    def offer(self, name: str, schedule: Schedule | None) -> None:
        """Remember the schedule that a scheduler has for a job; None: it has none any more.

        What code declares wins. Of more jobs than there may be, the rest is left out.
        """
        if name in self._offered or len(self._offered) < MAX_JOBS:
            self._offered[name] = schedule

    def schedules(self) -> dict[str, Schedule | None]:
        """Return a copy, in the order of declaration; None: a schedule that was taken back."""
        return {**self._offered, **self._schedules}


DECLARED: Final = Declared()  # by `job`, in whatever module, before or after watch()
