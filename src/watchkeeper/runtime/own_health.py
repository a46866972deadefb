"""Whether Watchkeeper itself does its work, recorded so that rules can tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from watchkeeper.core.catalogue import SELF_OUTBOX
from watchkeeper.core.delivery import WAITS_AT_MOST_S
from watchkeeper.core.metrics import Scope
from watchkeeper.core.self_metrics import SELF_EVALUATION_AGE, SELF_OUTBOX_AGE, SELF_RULE_ERRORS
from watchkeeper.runtime.heartbeat import Heartbeat
from watchkeeper.runtime.recorder import Recorder

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.storage.store import Store


MAX_STEP_S: Final = 60.0  # between two looks; a longer one is a clock that was set, or a pause


class OwnHealth:
    """Is told by the flusher what worked; a part of what it records tells what did not."""

    def __init__(self, recorder: Recorder, *, heartbeat: Heartbeat | None = None) -> None:
        """Record with a recorder, and let the heart beat, if there is one."""
        self._recorder = recorder
        self._heartbeat = heartbeat
        self._since: float | None = None
        self._looked_at = 0.0

    def looked(self, evaluated_at: float, *, now: float) -> None:
        """Note when the rules were last evaluated, by whomever, before that is done again.

        What was before the first look does not count: a service that was stopped for the night
        was not late, nor is one whose clock was set.
        """
        if self._since is None or not 0 <= now - self._looked_at <= MAX_STEP_S:
            self._since = now
        self._looked_at = now
        age_s = max(0.0, now - max(evaluated_at, self._since))
        self._recorder.series(SELF_EVALUATION_AGE).record(age_s)

    def evaluated(self, store: Store, scope: Scope, *, now: float, leads: bool) -> None:
        """Note how the outbox is, after this worker wrote its slot and evaluated the rules.

        Only the worker that leads lets the heart beat: one call a minute, however many workers.
        """
        place = {"service": scope.service, "environment": scope.environment}
        self._recorder.series(SELF_OUTBOX).record(store.outbox_waiting(**place))
        oldest = store.oldest_waiting(**place, since=now - WAITS_AT_MOST_S)
        age_s = 0.0 if oldest is None else max(0.0, now - oldest)
        self._recorder.series(SELF_OUTBOX_AGE).record(age_s)
        if leads and self._heartbeat is not None:
            self._heartbeat.beat(now)

    def rules_failed(self, failing: Mapping[str, int]) -> None:
        """Count the rules that could not be evaluated: by name, how often in a row by now."""
        for rule, times in failing.items():
            if times:
                self._recorder.series(SELF_RULE_ERRORS, {"rule": rule}).record(1)

    def reset(self) -> None:
        """Begin anew in a forked child."""
        self._since = None
        if self._heartbeat is not None:
            self._heartbeat.reset()
