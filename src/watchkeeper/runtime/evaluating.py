"""Which worker evaluates the rules after a flush, and how much of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from watchkeeper.core.metrics import Scope
from watchkeeper.core.pace import Reason
from watchkeeper.runtime.own_health import OwnHealth
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.writer import Writer

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.storage.store import Store


class Evaluating:
    """Lets the engine evaluate after a flush, if it is this worker's turn."""

    def __init__(
        self,
        *,
        writer: Writer,
        rules: RulesInForce,
        own_health: OwnHealth,
        clock: Callable[[], float],
        slot_s: int,
    ) -> None:
        """Connect to the parts that take part; `engine` is given once the store is open."""
        self.engine: AlertEngine | None = None
        self.done_at = 0.0  # when this worker last evaluated
        # Whether messages wait: those of before this worker began may be of what is over by now.
        self.holds_messages = False
        self._writer = writer
        self._rules = rules
        self._own_health = own_health
        self._clock = clock
        self._slot_s = slot_s
        self._seen_at = 0.0  # when anybody last evaluated, as last looked at
        self._met: int | None = None  # the worker that this process was at the last look

    @property
    def error_rate(self) -> float:
        """The share of bad requests from which on a worker sees trouble."""
        return self.engine.thresholds.error_rate if self.engine is not None else 0.0

    def run(self, store: Store, reason: Reason | None) -> None:
        """Evaluate if the lease is ours, or at once in trouble unless somebody just did.

        As trouble goes on only the urgent rules are looked at, by whom it was known to lead.
        A new worker whose turn it is not lets messages wait for its next flush: it may have begun
        with others after a while without any, and who leads is just judging what is over.
        """
        writer, clock, engine = self._writer, self._clock, self.engine
        written_at, fresh = clock(), writer.take_fresh()
        scope, worker, is_quick = writer.scope, writer.worker, reason is Reason.TROUBLE
        if engine is None or worker is None:
            return
        is_new, self._met = worker.id != self._met, worker.id
        self.holds_messages = False
        if not is_quick:  # the lease outlasts three slots
            name, owner = lease_name(scope), str(worker.id)
            lease = store.acquire(name, owner=owner, ttl_s=3 * self._slot_s)
            writer.leads = lease is not None
        seen_at = store.evaluated_at(service=scope.service, environment=scope.environment)
        self._own_health.looked(seen_at, now=clock())
        # By another's clock, which may be ahead: what was seen before is not since this flush.
        is_done, self._seen_at = written_at < seen_at != self._seen_at, seen_at
        if not writer.leads and (reason is Reason.SLOT_ENDS or is_done):
            self.holds_messages = is_new and not is_done
            return
        now = clock()
        if not is_quick:
            self._rules.keep_up(store, scope)
        engine.evaluate(now=now, fresh=fresh, is_quick=is_quick)
        self.done_at = now
        if not is_quick:
            self._own_health.rules_failed(engine.failing)
            beats = writer.leads is True and engine.is_telling
            self._own_health.evaluated(store, scope, now=now, leads=beats)


def lease_name(scope: Scope) -> str:
    """Return the name of the lease for evaluating the rules of a scope."""
    return f"alerts:{scope.service}:{scope.environment}"
