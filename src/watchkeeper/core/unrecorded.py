"""What a rule reads that was never recorded, or not so: most likely it is misspelt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from watchkeeper.core.catalogue import CATALOGUE, HTTP_DURATION
from watchkeeper.core.conditions import Comparison, Measure, Selector, terms
from watchkeeper.core.metrics import Kind
from watchkeeper.core.rule import Origin, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMetric:
    """A metric as it was recorded: its kind, two if it changed, and the values of its labels."""

    kinds: Collection[Kind]
    labels: Mapping[str, Collection[str]]


Recorded = Mapping[str, RecordedMetric]

_COUNTED: Final = frozenset((Kind.COUNTER, Kind.HISTOGRAM))
_READS: Final[Mapping[Measure, frozenset[Kind]]] = {
    Measure.QUANTILE: frozenset((Kind.HISTOGRAM,)),
    Measure.SHARE: _COUNTED,
    Measure.INCREASE: _COUNTED,
    Measure.RATE: _COUNTED,
    Measure.LAST: frozenset((Kind.GAUGE,)),
    Measure.MIN: frozenset((Kind.GAUGE,)),
    Measure.MAX: frozenset((Kind.GAUGE,)),
}
_INSTEAD: Final[Mapping[Kind, str]] = {
    Kind.COUNTER: "increase(…), rate(…) or share(…)",
    Kind.GAUGE: "last(…), min(…) or max(…)",
    Kind.HISTOGRAM: "p95(…), increase(…) or rate(…)",
}


def unrecorded(rule: Rule, recorded: Recorded) -> Iterator[str]:
    """Yield a sentence for each metric, label and value of a rule that was never recorded.

    Each with the nearest known name, if one is near; and for each metric of which another kind was
    recorded than the rule can read. Our own metrics are known, recorded or not; where nothing is
    recorded nothing is said, nor of the rules of the pack.
    """
    if not recorded or rule.origin is Origin.PACK:
        return
    conditions = [one for one in (rule.when, rule.only_if, rule.clear) if one is not None]
    selectors = {
        term.selector: None
        for condition in conditions
        for term in terms(condition)
        if isinstance(term, Comparison)
    }
    yield from dict.fromkeys(
        sentence for selector in selectors for sentence in _of_selector(rule, selector, recorded)
    )
    yield from _of_skip(rule, [recorded.get(_metric(one)) for one in selectors])


def _of_selector(rule: Rule, selector: Selector, recorded: Recorded) -> Iterator[str]:
    metric = _metric(selector)
    yield from _of_kind(selector, recorded)
    if metric not in recorded:
        ours = {one.name for one in CATALOGUE}
        if metric not in ours:
            yield f"{metric} was never recorded{_near(metric, {*recorded, *ours})}"
        return
    labels = recorded[metric].labels
    known = ", ".join(sorted(labels)) or "none"
    for label in dict.fromkeys((*(part.label for part in selector.filters), *rule.by)):
        if label not in labels:
            yield f"{metric} has no label {label!r}{_near(label, labels)} (it has {known})"
    for part in selector.filters:
        values = labels.get(part.label)
        if values and part.operator != "!=" and not any(map(part.accepts, values)):
            near = _near(part.value, values)
            yield f"{part.label} = {part.value!r} was never recorded of {metric}{near}"


def _of_kind(selector: Selector, recorded: Recorded) -> Iterator[str]:
    """Yield a sentence if what is taken of a metric can never be taken of its kind."""
    readable = _READS.get(selector.measure)
    found = recorded.get(selector.metric)
    ours = (one.kind for one in CATALOGUE if one.name == selector.metric)
    kinds = found.kinds if found is not None else tuple(ours)
    if readable is None or not kinds or readable & set(kinds):
        return
    kind = min(kinds)
    yield f"{selector.metric} is a {kind}: write {_INSTEAD[kind]}"


def _of_skip(rule: Rule, metrics: Sequence[RecordedMetric | None]) -> Iterator[str]:
    """Yield a sentence for each label of `skip` that nothing has which the rule reads."""
    known = {label for metric in metrics if metric is not None for label in metric.labels}
    for label, _ in rule.skip:
        if known and label not in known:
            there = ", ".join(sorted(known))
            yield f"skip: there is no label {label!r}{_near(label, known)} (there are {there})"


def _metric(selector: Selector) -> str:
    return selector.metric or HTTP_DURATION.name


def _near(name: str, known: Collection[str]) -> str:
    found = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
