"""Rules that are kept in the database: the row, and what a store does with it."""

from dataclasses import dataclass
from typing import Protocol

from watchkeeper.storage.audits import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRule:
    """One rule as somebody set it, guarded by `version`."""

    service: str
    environment: str
    name: str  # at most MAX_NAME characters
    json: str  # the rule's canonical JSON
    hash: str  # of that JSON
    enabled: bool = True
    version: int = 0  # 0: not stored yet
    updated_at: float = 0.0  # set by the store
    updated_by: str = ""


class RuleStore(Protocol):
    """Rules in the database; their history is the audit, written with each change."""

    def stored_rules(self, *, service: str, environment: str) -> list[StoredRule]:
        """Read every rule of a scope, by name."""

    def save_rule(self, rule: StoredRule, *, at: float, audit: Audit) -> StoredRule | None:
        """Save a rule if its version is still the one that was read, and the audit entry with it.

        Returns the rule as it is now (next version), or None if somebody else was faster: then
        nothing was changed. Raises ValueError for a name that is too long.
        """

    def delete_rule(
        self, *, service: str, environment: str, name: str, version: int, audit: Audit
    ) -> bool:
        """Delete a rule if its version is still the one that was read; False: nothing changed."""

    def rules_version(self, *, service: str, environment: str) -> str:
        """Return a text that is another one after each change of a scope's rules; "" at first.

        Ask for it before the rules are read: what changes in between is then read again.
        """

    def last_good(self, *, service: str, environment: str) -> str:
        """Return what was last kept of a scope's settings file; "" if nothing was."""

    def keep_last_good(self, text: str, *, service: str, environment: str) -> bool:
        """Keep what a settings file says while it can be read; False if it was kept already.

        What is new counts as a change of the scope's rules.
        """
