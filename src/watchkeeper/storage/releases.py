"""Deploy marks: the row, and what a store does with it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from watchkeeper.core.metrics import Scope


class MarkKind(StrEnum):
    """What a deploy mark tells."""

    NEW = "new"
    RETURN = "return"  # it had been there before: the newer ones were withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A deploy mark: a release of a scope, and when it was first seen, or was back."""

    scope: Scope
    at: float
    by: str = ""  # who set it by hand; empty: the first worker that ran it
    kind: MarkKind = MarkKind.NEW


class ReleaseStore(Protocol):
    """What runs here, and its deploy marks: when each release was first seen.

    `register` makes marks, too.
    """

    def scopes(self) -> list[tuple[str, str]]:
        """List the services with their environments of which there are workers, by name."""

    def mark_release(self, release: Release) -> bool:
        """Mark a release of a scope; False if it is marked already: the first mark stays.

        Its return is a mark beside the first one, and another one at each other moment.
        """

    def releases(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Release]:
        """List the marks of a scope in [since, until), newest first."""

    def prune_releases(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` marks from before; return how many.

        The newest mark of a scope stays: its workers may start again at any time.
        """
