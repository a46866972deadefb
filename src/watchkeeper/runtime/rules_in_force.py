"""The rules in force: pack < code < file < database, joined by name, and what is wrong of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.pack import default_pack
from watchkeeper.core.rule_text import rule_to_mapping
from watchkeeper.core.rules import (
    MAX_RULES,
    Alert,
    Origin,
    Rule,
    alert_from_mapping,
    causes_first,
    compile_alert,
    compile_alerts,
    merge_rules,
    wrong_references,
)
from watchkeeper.core.self_metrics import SELF_UNREADABLE_RULES
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Loaded
from watchkeeper.settings import Origin as SettingOrigin

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.storage.store import Store, StoredRule

_GUARD: Final = guard("rules")
_log = logging.getLogger("watchkeeper")

NEVER_READ: Final = "never read"  # no version of the database's rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rules that code and file say, joined with the pack; and the names of those that are off.

    `problems` are sentences to be shown, each with place and cure.
    """

    rules: tuple[Rule, ...]
    problems: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def written_rules(loaded: Loaded, *, slot_s: float | None = None) -> Written:
    """Join the pack with the rules of code and file, for slots of a length (the settings').

    Raises ConfigurationError for what is wrong in code; in the file such a rule is off.
    """
    settings = loaded.settings
    slot_s = settings.slot_s if slot_s is None else slot_s
    problems: list[str] = []
    unreadable = list(loaded.unreadable)
    pack = default_pack(slot_s=slot_s) if settings.alert_pack else ()
    in_code: Sequence[Alert] = ()
    in_file: Sequence[Alert] = loaded.file_alerts
    if loaded.origins["alerts"] is SettingOrigin.CODE:
        in_code = settings.alerts
    code = [
        rule
        for alert, where in _placed(in_code)
        for rule in compile_alerts(alert, where=where, origin=Origin.CODE, slot_s=slot_s)
    ]
    _refuse_twins(code)
    file: list[Rule] = []
    for alert, where in _placed(in_file):
        try:
            rules = compile_alerts(alert, where=where, origin=Origin.FILE, slot_s=slot_s)
            _refuse_twins([*file, *rules])
            file += rules
        except ConfigurationError as error:
            problems.append(f"{str(error).rstrip('.')}; this rule is off")
            unreadable.append(str(alert.name))
    merged = causes_first(merge_rules(pack, code, file))
    for rule, sentence in wrong_references(merged, channels=settings.channels):
        if rule.origin is Origin.CODE:
            raise ConfigurationError(sentence)
        problems.append(sentence)
        unreadable.append(rule.name)
    return Written(rules=merged, problems=tuple(problems), unreadable=tuple(unreadable))


def _placed(alerts: Sequence[Alert]) -> Iterator[tuple[Alert, str]]:
    if len(alerts) > MAX_RULES:
        raise ConfigurationError(f"alerts: more than {MAX_RULES} rules; `by` makes one of many")
    for number, alert in enumerate(alerts):
        yield alert, f"alerts[{number}]"


def _refuse_twins(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise ConfigurationError(
                f"alert '{rule.name}': there are two of this name; give one another name"
            )
        seen.add(rule.name)


def read_stored(stored: StoredRule, *, slot_s: float) -> Rule:
    """Return the rule of a row, checked as if somebody had just written it.

    Raises ConfigurationError if it is damaged, of a newer version, or does not fit the slots.
    """
    rule = Rule.from_json(stored.json, origin=Origin.DATABASE)
    try:
        alert = alert_from_mapping(rule_to_mapping(rule), where=f"rule '{stored.name}'")
        again = compile_alert(
            alert, where=f"rule '{stored.name}'", origin=Origin.DATABASE, slot_s=slot_s
        )
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise ConfigurationError(f"the stored rule cannot be read: {error}") from None
    if again != rule or rule.name != stored.name:
        raise ConfigurationError("the stored rule cannot be read: it contradicts itself")
    return replace(rule, enabled=stored.enabled)


class RulesInForce:
    """The rules that are evaluated now; follows the database, and outlives a bad rule in it.

    `follow` belongs to one thread; the rest may be read by any.
    """

    def __init__(
        self,
        written: Written,
        *,
        slot_s: float,
        channels: Collection[str] = (),
        recorder: Recorder | None = None,
        on_change: Callable[[Sequence[Rule]], None] | None = None,
    ) -> None:
        """Begin with what code and file say; `on_change` gets the rules whenever they change."""
        self.rules = written.rules
        self.problems: tuple[str, ...] = ()  # of the database's rules
        self.unreadable = written.unreadable
        self.on_change = on_change
        self._written = written
        self._slot_s = slot_s
        self._channels = channels
        self._recorder = recorder
        self._version = NEVER_READ
        self._good: dict[str, Rule] = {}  # the last form of each stored rule that could be read

    def rule(self, name: str) -> Rule | None:
        """Return the rule of this name that is in force."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def without_database(self, name: str) -> Rule | None:
        """Return the rule of this name that code, file or pack say."""
        return next((rule for rule in self._written.rules if rule.name == name), None)

    def follow(self, store: Store, scope: Scope) -> bool:
        """Read the database's rules if they have changed since; tell whether they had.

        Raises StorageError; the rules stay as they are then.
        """
        place = {"service": scope.service, "environment": scope.environment}
        version = store.rules_version(**place)
        has_changed = version != self._version
        if has_changed:
            self._take(store.stored_rules(**place))
            self._version = version
        if self._recorder is not None:
            self._recorder.series(SELF_UNREADABLE_RULES).record(len(set(self.unreadable)))
        return has_changed

    def keep_up(self, store: Store, scope: Scope) -> None:
        """Follow the database; where that fails the rules stay as they are."""
        with _GUARD:
            self.follow(store, scope)

    def forget(self) -> None:
        """Read the database's rules again at the next look; for a forked child."""
        self._version = NEVER_READ

    def _take(self, stored: Sequence[StoredRule]) -> None:
        """Join the stored rules with the others, and tell who wants to know."""
        problems: list[str] = []
        unreadable: list[str] = []
        good: dict[str, Rule] = {}
        for row in stored[:MAX_RULES]:
            try:
                good[row.name] = read_stored(row, slot_s=self._slot_s)
            except ConfigurationError as error:
                last = self._good.get(row.name)
                if last is not None:
                    good[row.name] = last
                stays = "its last form stays in force" if last else "it is not in force"
                problems.append(f"rule '{row.name}' in the database: {error}; {stays}")
                unreadable.append(row.name)
        merged = causes_first(merge_rules(self._written.rules, good.values()))
        for rule, sentence in wrong_references(merged, channels=self._channels):
            if rule.origin is Origin.DATABASE:
                problems.append(sentence)
                unreadable.append(rule.name)
        for problem in problems:
            if problem not in self.problems:
                _log.warning("watchkeeper: %s", problem)
        self._good = good
        self.problems = tuple(problems)
        before, self.unreadable = self.unreadable, (*self._written.unreadable, *unreadable)
        if merged != self.rules or before != self.unreadable:
            self.rules = merged
            if self.on_change is not None:
                self.on_change(merged)
