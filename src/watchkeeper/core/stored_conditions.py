"""Conditions as JSON: what the database stores and what a rule's hash is taken of."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    WORD_OF,
    WORDS,
    And,
    CheckFailing,
    Comparison,
    Condition,
    Filter,
    Measure,
    Operator,
    Or,
    Past,
    Selector,
    Term,
    WorkerMissing,
    read_quantile,
    write_quantile,
)


def condition_to_data(condition: Condition) -> list[Any]:
    """Return the JSON form: `[">", ["error_rate", {}], 0.05]`, `["and", […], […]]`."""
    if isinstance(condition, And | Or):
        word = "and" if isinstance(condition, And) else "or"
        return [word, *(condition_to_data(part) for part in condition.parts)]
    if isinstance(condition, CheckFailing | WorkerMissing):
        word = "failing" if isinstance(condition, CheckFailing) else "missing"
        return [word, _filters_to_data(condition.filters)]
    selector = condition.selector
    name = (
        write_quantile(selector.quantile)
        if selector.measure is Measure.QUANTILE
        else WORD_OF.get((selector.measure, selector.metric), selector.measure.value)
    )
    parts: list[Any] = [name, _filters_to_data(selector.filters)]
    if name not in WORDS and selector.metric != HTTP_DURATION.name:
        parts.append(selector.metric)
    if selector.past is not Past.NONE:
        parts.append({"past": selector.past.value})
    against = [condition.against.value] if condition.against is not Past.NONE else []
    return [condition.operator.value, parts, condition.threshold, *against]


def condition_from_data(data: Sequence[Any]) -> Condition:
    """Read the JSON form back. Raises ValueError, KeyError, TypeError or IndexError if damaged."""
    if data[0] == "and":
        return And(tuple(_term_from_data(part) for part in data[1:]))
    if data[0] == "or":
        return Or(tuple(_alternative_from_data(part) for part in data[1:]))
    return _term_from_data(data)


def _alternative_from_data(data: Sequence[Any]) -> Term | And:
    if data[0] == "and":
        return And(tuple(_term_from_data(part) for part in data[1:]))
    return _term_from_data(data)


def _term_from_data(data: Sequence[Any]) -> Term:
    if data[0] == "failing":
        return CheckFailing(_filters_from_data(data[1]))
    if data[0] == "missing":
        return WorkerMissing(_filters_from_data(data[1]))
    operator, (name, filters, *rest), threshold, *against = data
    past = Past(rest.pop()["past"]) if rest and isinstance(rest[-1], dict) else Past.NONE
    metric = rest
    base = WORDS.get(name)
    if base is None and name[0] == "p" and name[1].isdigit():
        base = Selector(
            measure=Measure.QUANTILE,
            metric=metric[0] if metric else HTTP_DURATION.name,
            quantile=read_quantile(name),
        )
    elif base is None:
        base = Selector(measure=Measure(name), metric=metric[0] if metric else HTTP_DURATION.name)
    selector = Selector(
        measure=base.measure,
        metric=base.metric,
        quantile=base.quantile,
        filters=_filters_from_data(filters),
        past=past,
    )
    return Comparison(
        selector, Operator(operator), float(threshold), Past(against[0]) if against else Past.NONE
    )


def _filters_to_data(filters: Sequence[Filter]) -> dict[str, list[list[str]]]:
    data: dict[str, list[list[str]]] = {}
    for part in filters:
        data.setdefault(part.label, []).append([part.operator, part.value])
    return data


def _filters_from_data(data: Mapping[str, Sequence[Sequence[str]]]) -> tuple[Filter, ...]:
    return tuple(
        Filter(label, operator, value)
        for label, parts in data.items()
        for operator, value in parts
    )
