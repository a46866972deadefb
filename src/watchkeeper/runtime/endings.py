"""Ending what no rule looks at any more, and forgetting what has long been over."""

from collections.abc import Collection, Iterator, MutableMapping, Sequence
from math import inf
from typing import Final

from watchkeeper.core.alerts import remove
from watchkeeper.core.instance import Instance, Reason, State, Transition
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Origin
from watchkeeper.runtime.incidents import (
    MEASURED_EVERY_S,
    ORIGIN_KEY,
    Incidents,
    Subject,
    is_forgettable,
)
from watchkeeper.runtime.subjects import Subjects
from watchkeeper.settings import UNREADABLE_FILE
from watchkeeper.storage.store import AlertRow, Store, Worker

LIVE_SLOTS: Final = 3  # a worker silent for longer does not hold back clearing
REMOVED_AFTER_S: Final = 60.0 + MEASURED_EVERY_S  # what nobody evaluates has lost its rule
UNKNOWN_AFTER_S: Final = 3_600.0  # the same, where other processes may have that rule
PRUNE_EVERY_S: Final = 600.0
MAX_PRUNED: Final = 500  # states that one evaluation forgets

Rows = MutableMapping[tuple[str, str], AlertRow]


class Endings:
    """Ends instances that nobody evaluates any more. Used by one thread."""

    def __init__(
        self,
        store: Store,
        subjects: Subjects,
        incidents: Incidents,
        *,
        slot_s: int,
        may_remove: bool,
    ) -> None:
        """Take what finds and what stores; without `may_remove`, nothing is ended here."""
        self._store = store
        self._subjects = subjects
        self._incidents = incidents
        self._patience_s = max(REMOVED_AFTER_S, LIVE_SLOTS * slot_s)
        self._may_remove = may_remove
        self._known: frozenset[str] = frozenset()
        self._unreadable: frozenset[str] = frozenset()
        self._measuring: dict[str, Rule] = {}
        self._cooldowns: dict[str, float] = {}
        self._live: Sequence[Worker] = ()
        self._pruned_at = -inf

    def set_rules(self, rules: Sequence[Rule], *, unreadable: Collection[str]) -> None:
        """Follow other rules from now on, those that are off among them."""
        self._known = frozenset(rule.name for rule in rules)
        self._unreadable = frozenset(unreadable)
        self._measuring = {one.name: one for one in rules if one.enabled and not one.is_event}
        self._cooldowns = {rule.name: rule.cooldown_s for rule in rules}

    def due(self, rows: Rows, live: Sequence[Worker], *, now: float) -> Iterator[AlertRow]:
        """Yield the instances that may have to end; `live` are the workers that write.

        Only those that nobody has evaluated for a while: during a deploy, workers with the new
        rules and workers with the old ones stand side by side.
        """
        self._live = live
        for row in list(rows.values()) if self._may_remove else ():
            evaluated_at = row.data.get("evaluated_at", 0.0)
            if row.state != State.OK and now - evaluated_at >= self._patience_s:
                yield row

    def end(self, row: AlertRow, rows: Rows, *, now: float) -> list[Transition]:
        """End an instance if no rule looks at it any more; `rows` are kept up to date."""
        before = Instance.from_data(row.data)
        rule = self._measuring.get(row.rule)
        labels = dict(row.data.get("labels", {}))
        if rule is not None:
            reason = self._subjects.lets_go(rule, labels)
        else:
            reason = Reason.RULE_REMOVED if self._is_gone(row, now=now) else None
        if reason is None:
            return []
        incident = self._store.incident(row.incident) if row.incident is not None else None
        subject = Subject(
            rule=None if reason is Reason.RULE_REMOVED else rule,
            name=row.rule,
            group=row.group,
            labels=labels,
            severity=incident.severity if incident else "warning",
        )
        transition = remove(row.rule, before, now=now, reason=reason)
        saved = self._incidents.save(subject, transition, row, now=now)
        if saved is None:
            return []
        rows[row.rule, row.group] = saved
        return [transition]

    def prune(self, rows: Rows, *, now: float) -> int:
        """Forget what has been at rest for long, now and then; return how many states went."""
        if self._pruned_at <= now < self._pruned_at + PRUNE_EVERY_S:
            return 0
        old = [row for row in rows.values() if self._is_forgettable(row, now=now)]
        if len(old) <= MAX_PRUNED:
            self._pruned_at = now  # else the next evaluation goes on
        gone = self._store.forget_alerts(old[:MAX_PRUNED]) if old else 0
        for row in old[:MAX_PRUNED]:
            del rows[row.rule, row.group]
        return gone

    def _is_forgettable(self, row: AlertRow, *, now: float) -> bool:
        return is_forgettable(row, now=now, cooldown_s=self._cooldowns.get(row.rule, 0.0))

    def _is_gone(self, row: AlertRow, *, now: float) -> bool:
        """Tell whether a rule that does not measure here is gone, and not another process's.

        Rules of the database are the same for all. Others may be those of processes with other
        code; they are gone when every process began since, or none has judged it for long.
        """
        origin, evaluated_at = row.data.get(ORIGIN_KEY), row.data.get("evaluated_at", 0.0)
        if row.rule in self._unreadable:
            return False
        if row.rule in self._known or origin == Origin.DATABASE:
            return True
        if origin in (None, Origin.FILE) and UNREADABLE_FILE in self._unreadable:
            return False
        is_later = self._live and all(one.started_at > evaluated_at for one in self._live)
        return bool(is_later) or now - evaluated_at >= UNKNOWN_AFTER_S
