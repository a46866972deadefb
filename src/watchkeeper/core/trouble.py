"""What a worker takes for trouble in its own open slot, by the rules that are enabled."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Final

from watchkeeper.core.capacity_metrics import EVENT_LOOP_LAG
from watchkeeper.core.catalogue import CATALOGUE, HTTP_DURATION
from watchkeeper.core.conditions import Comparison, Measure, comparisons
from watchkeeper.core.metrics import Kind
from watchkeeper.core.rule import Rule

_LOOKED_AT: Final = frozenset(
    metric.name
    for metric in CATALOGUE
    if metric.kind is Kind.GAUGE or metric.name.startswith("watchkeeper_")
) | {EVENT_LOOP_LAG.name}
"""Metrics of ours that are known anew once a slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The lowest thresholds of all rules, beyond which a worker sees trouble; `inf` if none.

    `error_rate` is the share of bad requests, failed or slower than `slow_s` seconds.
    """

    error_rate: float = inf
    slow_s: float = inf


def thresholds(rules: Iterable[Rule]) -> Thresholds:
    """Return what the conditions and second levels of the enabled rules begin at.

    p99 > 300ms begins at 1 % of requests slower than 300 ms. Counts do not hurry: few errors of
    many requests are no trouble, and of few requests their share is large.
    """
    error_rate = slow_s = inf
    for rule in rules:
        if not rule.enabled:
            continue
        for term in _terms(rule):
            selector = term.selector
            if not term.operator.is_upward:
                continue
            if selector.measure is Measure.ERROR_RATE:
                error_rate = min(error_rate, term.threshold)
            elif selector.measure is Measure.QUANTILE and selector.metric == HTTP_DURATION.name:
                slow_s = min(slow_s, term.threshold)
                error_rate = min(error_rate, round(1 - selector.quantile, 9))
    return Thresholds(error_rate=error_rate, slow_s=slow_s)


def is_urgent(rule: Rule) -> bool:
    """Tell whether what is counted within a slot may make a rule fire.

    The others wait for the slot's end or for news: those by what is looked at once a slot, such as
    memory, those that tell of too little, and those of events, checks and workers.
    """
    return any(
        term.operator.is_upward and term.selector.metric not in _LOOKED_AT for term in _terms(rule)
    )


def _terms(rule: Rule) -> tuple[Comparison, ...]:
    found = comparisons(rule.when) if rule.when is not None else ()
    return found + (comparisons(rule.worse.when) if rule.worse is not None else ())
