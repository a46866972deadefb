"""Rules that are kept in memory."""

from dataclasses import replace
from uuid import uuid4

from watchkeeper.storage import rows
from watchkeeper.storage.memory.silences import MemorySilences
from watchkeeper.storage.store import Audit, StoredRule


class MemoryRules(MemorySilences):
    """Rules in memory, over the audit that they write to."""

    __slots__ = ()

    def stored_rules(self, *, service: str, environment: str) -> list[StoredRule]:
        """Read every rule of a scope, by name."""
        with self._lock:
            return [
                rule
                for key, rule in sorted(self._rules.items(), key=lambda item: item[0])
                if key[:2] == (service, environment)
            ]

    def save_rule(self, rule: StoredRule, *, at: float, audit: Audit) -> StoredRule | None:
        """Save a rule if its version is still the one that was read, and the audit with it."""
        rows.require_name(rule)
        with self._lock:
            if not self._is_version(rule.service, rule.environment, rule.name, rule.version):
                return None
            saved = replace(
                rule,
                version=rule.version + 1,
                updated_at=at,
                updated_by=rows.cut(rule.updated_by, rows.MAX_NAME),
            )
            self._rules[rule.service, rule.environment, rule.name] = saved
            self._rules_changed[rule.service, rule.environment] = uuid4().hex
            self.audit(audit)
            return saved

    def delete_rule(
        self, *, service: str, environment: str, name: str, version: int, audit: Audit
    ) -> bool:
        """Delete a rule if its version is still the one that was read; False: nothing changed."""
        with self._lock:
            if not version or not self._is_version(service, environment, name, version):
                return False
            del self._rules[service, environment, name]
            self._rules_changed[service, environment] = uuid4().hex
            self.audit(audit)
            return True

    def rules_version(self, *, service: str, environment: str) -> str:
        """Return a text that is another one after each change of a scope's rules; "" at first."""
        with self._lock:
            return self._rules_changed.get((service, environment), "")

    def last_good(self, *, service: str, environment: str) -> str:
        """Return what was last kept of a scope's settings file; "" if nothing was."""
        with self._lock:
            return self._last_good.get((service, environment), "")

    def keep_last_good(self, text: str, *, service: str, environment: str) -> bool:
        """Keep what a settings file says while it can be read; False if it was kept already."""
        with self._lock:
            if self._last_good.get((service, environment), "") == text:
                return False
            self._last_good[service, environment] = text
            self._rules_changed[service, environment] = uuid4().hex
            return True

    def _is_version(self, service: str, environment: str, name: str, version: int) -> bool:
        stored = self._rules.get((service, environment, name))
        return version == (stored.version if stored else 0)
