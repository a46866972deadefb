"""What people do with rules in the database: set, switch off and on, take out again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule_text import rule_to_mapping
from watchkeeper.core.rules import MAX_RULES, Origin, Rule, merge_rules, wrong_references
from watchkeeper.exceptions import ConfigurationError, RuleChangedError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.audit import Action, entry
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.storage.store import Audit, StoredRule

if TYPE_CHECKING:
    from watchkeeper.storage.store import Store

MAX_HISTORY: Final = 1_000  # entries of the audit that are looked through
CHANGES: Final = frozenset(
    {Action.RULE_SET, Action.RULE_RESET, Action.RULE_ENABLE, Action.RULE_DISABLE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChanges:
    """Changes the rules of one scope in the database, for one person.

    Each change is checked first, is a compare-and-set on the row, and stands in the audit with
    what was before and after, in one transaction. `in_force` follows at once. Every method raises
    RuleChangedError if somebody else was faster, StorageError if the database fails.
    """

    store: Store
    scope: Scope
    in_force: RulesInForce
    by: str
    clock: Callable[[], float]
    channels: tuple[str, ...] = ()

    def set_rules(self, rules: Sequence[Rule]) -> list[Rule]:
        """Put rules into the database, over those of the same name in code, file and pack.

        Raises ConfigurationError, before any is stored, if one names a rule or a channel that
        there is none of, or if there would be too many.
        """
        self._look()
        merged = merge_rules(self.in_force.rules, rules)
        names = {rule.name for rule in rules}
        for wrong, sentence in wrong_references(merged, channels=self.channels):
            if wrong.name in names:
                raise ConfigurationError(sentence)
        stored = {rule.name for rule in merged if rule.origin is Origin.DATABASE} | names
        if len(stored) > MAX_RULES:
            raise ConfigurationError(f"the database holds at most {MAX_RULES} rules")
        return [self._save(rule, Action.RULE_SET) for rule in rules]

    def disable(self, name: str) -> Rule:
        """Switch a rule off, wherever it was written; ConfigurationError if there is none."""
        return self._switch(name, enabled=False)

    def enable(self, name: str) -> Rule:
        """Switch a rule on again; ConfigurationError if there is none."""
        return self._switch(name, enabled=True)

    def reset(self, name: str) -> Rule | None:
        """Take a rule out of the database; return the one in force now, None if there is none.

        Raises ConfigurationError if the database has no rule of this name.
        """
        self._look()
        row = self._row(name)
        if row is None:
            rule = self._known(name)
            raise ConfigurationError(
                f"rule '{name}' is not in the database; it is of the {rule.origin}"
            )
        self._delete(row)
        return self.in_force.rule(name)

    def history(self, name: str) -> list[Audit]:
        """Return what was done with a rule, newest first."""
        target = scrubbing.name(name)
        entries = self.store.audits(
            service=self.scope.service,
            environment=self.scope.environment,
            since=0.0,
            until=self.clock() + 1.0,
            limit=MAX_HISTORY,
        )
        return [one for one in entries if one.action in CHANGES and one.target == target]

    def _switch(self, name: str, *, enabled: bool) -> Rule:
        self._look()
        rule = self._known(name)
        if rule.enabled is enabled:
            return rule
        row, written = self._row(name), self.in_force.without_database(name)
        switched = replace(rule, enabled=enabled)
        is_as_written = written is not None and written == replace(switched, origin=written.origin)
        if row is not None and is_as_written:
            self._delete(row, Action.RULE_ENABLE if enabled else Action.RULE_DISABLE)
            return self._known(name)  # as it was written: later changes there count again
        return self._save(switched, Action.RULE_ENABLE if enabled else Action.RULE_DISABLE)

    def _look(self) -> None:
        self.in_force.follow(self.store, self.scope)

    def _known(self, name: str) -> Rule:
        rule = self.in_force.rule(name)
        if rule is None:
            raise ConfigurationError(unknown_rule(name, self.in_force))
        return rule

    def _row(self, name: str) -> StoredRule | None:
        rows = self.store.stored_rules(
            service=self.scope.service, environment=self.scope.environment
        )
        return next((row for row in rows if row.name == name), None)

    def _save(self, rule: Rule, action: Action) -> Rule:
        rule = replace(rule, origin=Origin.DATABASE)
        row, before = self._row(rule.name), self.in_force.rule(rule.name)
        saved = self.store.save_rule(
            StoredRule(
                service=self.scope.service,
                environment=self.scope.environment,
                name=rule.name,
                json=rule.to_json(),
                hash=rule.hash,
                enabled=rule.enabled,
                version=row.version if row is not None else 0,
                updated_by=self.by,
            ),
            at=self.clock(),
            audit=self._audit(action, rule.name, before=before, after=rule),
        )
        if saved is None:
            raise RuleChangedError
        self._look()
        return rule

    def _delete(self, row: StoredRule, action: Action = Action.RULE_RESET) -> None:
        after = self.in_force.without_database(row.name)
        before = self.in_force.rule(row.name)
        is_deleted = self.store.delete_rule(
            service=self.scope.service,
            environment=self.scope.environment,
            name=row.name,
            version=row.version,
            audit=self._audit(action, row.name, before=before, after=after),
        )
        if not is_deleted:
            raise RuleChangedError
        self._look()

    def _audit(
        self, action: Action, name: str, *, before: Rule | None, after: Rule | None
    ) -> Audit:
        data = {"before": _told(before), "after": _told(after)}
        return entry(self.scope, action, actor=self.by, at=self.clock(), target=name, data=data)


def unknown_rule(name: str, in_force: RulesInForce) -> str:
    """Say that there is no such rule, with the nearest name."""
    names = [rule.name for rule in in_force.rules]
    near = get_close_matches(name, names, n=1)
    folded = [one for one in names if one.casefold() == name.casefold()]
    cure = f"did you mean '{(folded or near)[0]}'?" if folded or near else "see: rules list"
    return f"there is no rule '{name}'; {cure}"


def _told(rule: Rule | None) -> dict[str, Any] | None:
    """Return a rule as its author wrote it, and where."""
    return None if rule is None else {**rule_to_mapping(rule), "origin": rule.origin.value}
