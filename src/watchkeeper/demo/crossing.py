"""When a rule's own condition became true, by what the client saw: the start of an alert's lag."""

from collections.abc import Callable, Sequence
from typing import Final

from watchkeeper.core.conditions import Comparison, Measure
from watchkeeper.core.rule import Alert, Rule
from watchkeeper.core.rules import compile_alert
from watchkeeper.core.statistics import wilson_lower
from watchkeeper.demo.traffic import Seen

SLOT_S: Final = 1.0


def crossed_at(alert: Alert, seen: Sequence[Seen]) -> float | None:
    """Return when the alert's condition had been true for its hold time, or None if never.

    The condition is that of the rule with its guard: the share of bad requests within the sliding
    window is above the threshold with 99 % confidence, and there are enough of them. `seen` is
    what the client saw, in any order; times are those of its clock.
    Raises ValueError for a rule that does not come down to a share of bad requests.
    """
    rule = compile_alert(alert, where=alert.name, origin="code", slot_s=SLOT_S)
    is_bad, share = _meaning(rule)
    events = sorted((one.finished_at, is_bad(one)) for one in seen)
    found = [
        _first_sure(
            events, window_s=window_s, share=share, least=rule.at_least, hold_s=rule.hold_s
        )
        for window_s in rule.over_s
    ]
    return min((at for at in found if at is not None), default=None)


def _meaning(rule: Rule) -> tuple[Callable[[Seen], bool], float]:
    """Return what makes a request bad for a rule, and the share of them that is too much."""
    condition = rule.when
    if isinstance(condition, Comparison) and not condition.selector.filters:
        limit = condition.threshold
        if condition.selector.measure is Measure.ERROR_RATE:
            return (lambda one: one.failed), limit
        if condition.selector.measure is Measure.QUANTILE:
            return (lambda one: one.duration_s > limit), 1 - condition.selector.quantile
    raise ValueError(f"{rule.name} is not about a share of all requests")


def _first_sure(
    events: Sequence[tuple[float, bool]],
    *,
    window_s: float,
    share: float,
    least: float,
    hold_s: float,
) -> float | None:
    """Slide the window over the events; return when its share has been too large for `hold_s`."""
    bad = total = oldest = 0
    since: float | None = None
    for at, is_bad in events:
        total += 1
        bad += is_bad
        while events[oldest][0] <= at - window_s:
            total -= 1
            bad -= events[oldest][1]
            oldest += 1
        if bad < least or wilson_lower(bad, total) <= share:
            since = None
        elif since is None:
            since = at
        if since is not None and at >= since + hold_s:
            return since + hold_s
    return None
