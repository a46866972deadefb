"""The rules in force: pack < code < file < database, joined by name, and what is wrong of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.self_metrics import SELF_UNREADABLE_RULES
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import UNREADABLE_FILE

if TYPE_CHECKING:  # loaded when the rules are asked for, so that the host's start does not wait
    from watchkeeper.core.rule import Rule
    from watchkeeper.runtime.last_good import LastGood
    from watchkeeper.runtime.written_rules import Written
    from watchkeeper.storage.store import Store, StoredRule

_GUARD: Final = guard("rules")
_log = logging.getLogger("watchkeeper")

NEVER_READ: Final = "never read"  # no version of the database's rules


class RulesInForce:
    """The rules that are evaluated now; follows the database, and outlives a bad rule in it.

    `follow` belongs to one thread; the rest may be read by any.
    """

    def __init__(
        self,
        written: Written | Callable[[], Written],
        *,
        slot_s: float,
        channels: Collection[str] = (),
        recorder: Recorder | None = None,
        on_change: Callable[[Sequence[Rule]], None] | None = None,
    ) -> None:
        """Begin with what code and file say, or with what says it once it is asked for.

        `on_change` gets the rules whenever they change.
        """
        self.problems: tuple[str, ...] = ()  # of the database's rules, and of a file that is lost
        self.on_change = on_change
        self._say = written
        self._slot_s = slot_s
        self._channels = channels
        self._recorder = recorder
        self._version = NEVER_READ
        self._good: dict[str, Rule] = {}  # the last form of each stored rule that could be read
        self._last_good: LastGood | None = None  # read where the file has a fault
        self._is_kept = False

    @cached_property
    def _written(self) -> Written:
        return self._say() if callable(self._say) else self._say

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are evaluated."""
        return self._written.rules

    @cached_property
    def unreadable(self) -> tuple[str, ...]:
        """The names of rules that cannot be read."""
        return self._written.unreadable

    @cached_property
    def _base(self) -> tuple[Rule, ...]:
        """The rules without those of the database."""
        return self._written.rules

    def rule(self, name: str) -> Rule | None:
        """Return the rule of this name that is in force."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def without_database(self, name: str) -> Rule | None:
        """Return the rule of this name that code, file or pack say."""
        return next((rule for rule in self._base if rule.name == name), None)

    @property
    def lost_channels(self) -> LastGood | None:
        """Whom to tell although they are not known here: channels of a file that has a fault."""
        return self._last_good if self._written.has_lost_channels else None

    def follow(self, store: Store, scope: Scope) -> bool:
        """Read the database's rules if they have changed since; tell whether they had.

        Raises StorageError; the rules stay as they are then.
        """
        place = {"service": scope.service, "environment": scope.environment}
        version = store.rules_version(**place)
        has_changed = version != self._version
        if has_changed:
            if self._written.unreadable:
                from watchkeeper.runtime.last_good import LastGood

                text = store.last_good(**place)
                self._last_good = LastGood.from_text(text, slot_s=self._slot_s)
            self._take(store.stored_rules(**place))
            self._version = version
        if self._recorder is not None:
            self._recorder.series(SELF_UNREADABLE_RULES).record(len(set(self.unreadable)))
        return has_changed

    def keep_up(self, store: Store, scope: Scope) -> None:
        """Follow the database; where that fails the rules stay as they are.

        What the file says is kept on the way, for those who evaluate when it cannot be read.
        """
        with _GUARD:
            self.follow(store, scope)
            if not self._is_kept:
                self._keep(store, scope)

    def _keep(self, store: Store, scope: Scope) -> None:
        """Keep what the file says, once, for processes that start when it has a fault."""
        keep = self._written.keep
        if keep is not None:
            # Where some of its rules cannot be read, their last form goes on.
            keep = replace(keep, rules=(*keep.rules, *self._standing_in()))
            store.keep_last_good(
                keep.to_text(), service=scope.service, environment=scope.environment
            )
        self._is_kept = True

    def _standing_in(self) -> tuple[Rule, ...]:
        from watchkeeper.runtime.last_good import standing_in

        kept, written = self._last_good, self._written
        if kept is None:
            return ()
        return standing_in(kept, unreadable=written.unreadable, written=written.of_file)

    def forget(self) -> None:
        """Read the database's rules again at the next look; for a forked child."""
        self._version = NEVER_READ

    def _take(self, stored: Sequence[StoredRule]) -> None:
        """Join the stored rules with the others, and tell who wants to know."""
        from watchkeeper.core.rules import (
            MAX_RULES,
            Origin,
            causes_first,
            merge_rules,
            wrong_references,
        )
        from watchkeeper.runtime.written_rules import read_stored

        problems, instead = self._of_file()
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
        self._base = causes_first(merge_rules(self._written.rules, instead))
        merged = causes_first(merge_rules(self._base, good.values()))
        channels = (*self._channels, *self._lost_names())
        for rule, sentence in wrong_references(merged, channels=channels):
            if rule.origin is Origin.DATABASE or UNREADABLE_FILE in self._written.unreadable:
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

    def _of_file(self) -> tuple[list[str], tuple[Rule, ...]]:
        """Return what to say of a file with a fault, and the rules that were last read from it."""
        if not self._written.unreadable:
            return [], ()
        from watchkeeper.runtime.last_good import told_of

        instead = self._standing_in()
        is_lost = self._written.is_file_lost
        waiting = [name for name in self._lost_names() if name not in self._channels]
        return list(told_of(instead, waiting, is_file_lost=is_lost)), instead

    def _lost_names(self) -> tuple[str, ...]:
        lost = self.lost_channels
        return lost.channels if lost is not None else ()
