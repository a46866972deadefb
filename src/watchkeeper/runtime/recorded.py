"""Which metrics with which labels and values were recorded lately."""

from typing import Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.slot import slot_start
from watchkeeper.core.unrecorded import Recorded, RecordedMetric
from watchkeeper.storage.store import Store

LOOK_BACK_S: Final = 31 * 24 * HOUR_S  # what comes once a month is there
UNSEALED_S: Final = 2 * HOUR_S
RECENT_S: Final = 300.0  # slots that are in no minute yet
MAX_VALUES: Final = 1_000  # of one label, looked at


def recorded(store: Store, scope: Scope, *, slot_s: int, now: float) -> Recorded:
    """Return the metrics of a scope with their kinds, labels and values. Raises StorageError.

    Three statements: hours of a month, minutes of the last ones, the newest slots.
    """
    place = {"service": scope.service, "environment": scope.environment}
    begin = slot_start(now - LOOK_BACK_S, HOUR_S)
    kinds: dict[str, set[Kind]] = {}
    found: dict[str, dict[str, set[str]]] = {}
    series: set[Series] = set(store.hour_totals(since=begin, until=now, metrics=None, **place))
    for resolution, back_s in ((MINUTE_S, UNSEALED_S), (slot_s, RECENT_S)):
        for frame in store.frames(
            resolution,
            since=now - back_s,
            until=now + slot_s,
            service=scope.service,
            environment=scope.environment,
        ):
            series.update(frame.values)
    for one in series:
        kinds.setdefault(one.metric, set()).add(one.kind)
        labels = found.setdefault(one.metric, {})
        for label, value in one.labels:
            values = labels.setdefault(label, set())
            if len(values) < MAX_VALUES:
                values.add(value)
    return {
        metric: RecordedMetric(kinds=kinds[metric], labels=labels)
        for metric, labels in found.items()
    }
