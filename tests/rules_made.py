"""Hypothesis' conditions and alerts of every shape that can be written."""

from hypothesis import strategies as st

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    WORDS,
    And,
    CheckFailing,
    Comparison,
    Filter,
    Measure,
    Operator,
    Or,
    Past,
    Selector,
    Unit,
    WorkerMissing,
    write_condition,
)
from watchkeeper.core.rule import EVENTS, LEVELS, SEVERITIES, Alert
from watchkeeper.core.units import write_duration

ORDERED = [Operator.ABOVE, Operator.AT_LEAST, Operator.BELOW, Operator.AT_MOST]
LABELS = st.sampled_from(["a", "route", "plan_2", "same_time_last_week", "and"])
FILTERS = st.lists(
    st.builds(Filter, LABELS, st.sampled_from(["=", "!=", "=~"]), st.text(max_size=6)),
    max_size=2,
    unique=True,
).map(lambda parts: tuple(sorted(parts, key=lambda part: (part.label, part.operator, part.value))))
METRICS = st.sampled_from(
    ["queue", "or", "errors", "heap_bytes", "render_seconds", "used_ratio", "orders_total"]
)


def quantile(q: float, metric: str = HTTP_DURATION.name, *filters: Filter) -> Selector:
    """What "p95" stands for."""
    return Selector(measure=Measure.QUANTILE, metric=metric, quantile=q, filters=filters)


def _selector(measure, metric, filters, past=Past.NONE) -> Selector:
    return Selector(measure=measure, metric=metric, filters=filters, past=past)


SELECTORS = st.one_of(
    st.builds(
        lambda word, filters: _selector(word.measure, word.metric, filters),
        st.sampled_from(list(WORDS.values())),
        FILTERS,
    ),
    st.builds(
        _selector,
        st.sampled_from([Measure.RATE, Measure.LAST, Measure.MIN, Measure.MAX, Measure.INCREASE]),
        METRICS,
        FILTERS,
    ),
    st.builds(_selector, st.just(Measure.SHARE), METRICS, FILTERS.filter(len)),
    st.builds(
        lambda millionth, metric, filters: quantile(float(f"{millionth}e-8"), metric, *filters),
        st.integers(1, 99_999_999),
        st.one_of(st.just(HTTP_DURATION.name), METRICS),
        FILTERS,
    ),
)
COUNTS = st.one_of(
    st.builds(
        _selector, st.sampled_from([Measure.REQUESTS, Measure.ERRORS]), st.just(""), FILTERS
    ),
    st.builds(_selector, st.just(Measure.INCREASE), METRICS, FILTERS),
)
THRESHOLDS = {
    Unit.SHARE: st.floats(0, 1, exclude_max=True),
    Unit.SECONDS: st.floats(0, 1e6),
    Unit.BYTES: st.integers(0, 2**50).map(float),
    Unit.RATE: st.floats(0, 1e6),
    Unit.NUMBER: st.floats(-1e12, 1e12),
}


def _compared(selectors, operators):
    return selectors.flatmap(
        lambda selector: st.builds(
            Comparison, st.just(selector), operators, THRESHOLDS[selector.unit]
        )
    )


OPERATORS = st.sampled_from(list(Operator))
BASELINES = st.builds(
    Comparison,
    COUNTS,
    st.sampled_from(ORDERED),
    st.floats(0.001, 1e6),
    st.just(Past.SAME_TIME_LAST_WEEK),
)
PASTS = _compared(
    st.builds(
        lambda selector: _selector(
            selector.measure, selector.metric, selector.filters, Past.SAME_TIME_LAST_WEEK
        ),
        COUNTS,
    ),
    OPERATORS,
)
COMPARISONS = st.one_of(_compared(SELECTORS, OPERATORS), BASELINES, PASTS)
TERMS = st.one_of(COMPARISONS, st.builds(CheckFailing, FILTERS), st.builds(WorkerMissing, FILTERS))


def joined(terms):
    """Conditions of up to four such terms."""
    both = st.lists(terms, min_size=2, max_size=2).map(lambda parts: And(tuple(parts)))
    either = st.lists(st.one_of(terms, both), min_size=2, max_size=2).map(
        lambda parts: Or(tuple(parts))
    )
    return st.one_of(terms, both, either)


CONDITIONS = joined(TERMS)
ORDERED_COMPARISONS = st.one_of(_compared(SELECTORS, st.sampled_from(ORDERED)), BASELINES)

NAMES = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12
)
DURATIONS = st.integers(0, 10_000).map(lambda seconds: write_duration(float(seconds)))
_OPTIONS = {
    "hold": DURATIONS,
    "keep": st.none() | DURATIONS,
    "tolerate": st.integers(0, 100),
    "skip": st.none() | st.dictionaries(NAMES, st.lists(NAMES, max_size=2), max_size=2),
    "max_groups": st.integers(1, 1_000),
    "severity": st.sampled_from(SEVERITIES),
    "at_least": st.none() | st.integers(0, 10**6) | st.floats(0, 1e6),
    "warmup": DURATIONS,
    "no_data": st.sampled_from(["keep", "ok", "alert"]),
    "no_data_after": DURATIONS,
    "after": st.integers(1, 1_000),
    "level": st.sampled_from(LEVELS),
    "digest": DURATIONS,
    "quiet": DURATIONS,
    "repeat": DURATIONS,
    "cooldown": DURATIONS,
    "group_wait": DURATIONS,
    "channels": st.lists(NAMES, max_size=2),
    "shadow": st.booleans(),
    "description": NAMES,
    "runbook": st.just("https://wiki.example/run"),
    "enabled": st.booleans(),
}
_WHENS = joined(ORDERED_COMPARISONS).map(write_condition)
_WINDOWS = st.none() | st.lists(st.sampled_from(["20s", "1m", "5m", "1h"]), min_size=1, max_size=3)
_COMPARING = st.fixed_dictionaries(
    {"when": _WHENS},
    optional={
        "over": _WINDOWS,
        "by": st.lists(LABELS, max_size=2, unique=True),
        "only_if": st.none() | _WHENS,
        "every_window": st.booleans(),
        "sure": st.sampled_from([None, False]),
    },
)
_STANDING = st.sampled_from(["check failing", "worker missing"]).map(lambda when: {"when": when})
_EVENTS = st.lists(st.sampled_from(EVENTS), min_size=1).map(lambda on: {"on": on})
ALERTS = st.builds(
    lambda name, what, options: Alert(name, **what, **options),
    NAMES,
    st.one_of(_COMPARING, _STANDING, _EVENTS),
    st.fixed_dictionaries({}, optional=_OPTIONS),
)
