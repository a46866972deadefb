"""Silences and planned windows: the row, and what a store does with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.storage.audits import Audit

Matchers = Mapping[str, str | Sequence[str]]
"""Key → glob, or list of globs of which one must match. Keys: rule, severity, any label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A time in which some incidents are recorded, but nobody is told. `id` 0: not stored yet."""

    id: int = 0
    service: str
    environment: str
    matchers: Matchers  # comes back as JSON has it: lists, no tuples
    starts_at: float
    ends_at: float | None = None  # None: until it is ended
    schedule: str = ""  # "Sun 02:00-04:00 Europe/Berlin": only then, within start and end
    author: str
    comment: str = ""
    created_at: float
    ended_at: float | None = None  # when somebody ended it early


class SilenceStore(Protocol):
    """Silences and planned windows that people set; each change is in the audit with it."""

    def add_silence(self, silence: Silence, *, audit: Audit) -> Silence:
        """Store a new silence and who set it, in one transaction; return it with its id.

        The id becomes the audit entry's target.
        """

    def silences(
        self, *, service: str, environment: str, at: float | None = None, limit: int
    ) -> list[Silence]:
        """List silences of a scope, newest first.

        With `at`, only those that may be in force then or later.
        """

    def silence(self, silence_id: int) -> Silence | None:
        """Read one silence."""

    def end_silence(self, silence_id: int, *, at: float, audit: Audit) -> bool:
        """End a silence and write down who did, in one transaction.

        False, and nothing is changed, if there is none or it has been ended already. The id
        becomes the audit entry's target.
        """

    def prune_silences(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` silences that ended before; return how many."""
