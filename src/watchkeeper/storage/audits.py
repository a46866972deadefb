"""What people did: the row, and what a store does with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One write on behalf of a person, through a page, the API or the command line.

    Never holds a secret: no token, no password, no address of a client.
    """

    service: str
    environment: str
    at: float
    actor: str  # "cli alice", "session 1f0c9a2b"
    action: str  # what was done: "link.make", "session.begin"
    target: str = ""  # what it was done to, where there are several
    data: Mapping[str, Any] = field(default_factory=dict)  # JSON values


class AuditStore(Protocol):
    """What people did through pages, API and command line."""

    def audit(self, entry: Audit) -> None:
        """Write down what somebody did."""

    def audits(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Audit]:
        """List what was done in a scope in [since, until), newest first."""

    def prune_audits(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` entries from before; return how many."""
