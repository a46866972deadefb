"""What ends a condition: the default with a fifth to spare, and whether thresholds contradict."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from watchkeeper.core.conditions import (
    And,
    Comparison,
    Condition,
    Measure,
    Operator,
    Or,
    comparisons,
)


def default_clear(when: Condition) -> Condition | None:
    """Return what ends a condition unless the user says otherwise: with a fifth to spare.

    Of several comparisons joined it is the opposite of the whole: what `and` joins is over as
    soon as one part is, what `or` joins when all are. How many it takes beside a share ends
    nothing: no traffic is not recovery. None where a check or a worker is asked.
    """
    ends: list[list[Comparison]] = []
    for part in when.parts if isinstance(when, Or) else (when,):
        joined = part.parts if isinstance(part, And) else (part,)
        compared = [term for term in joined if isinstance(term, Comparison)]
        if len(compared) < len(joined):
            return None
        is_share = any(_is_share(term) for term in compared)
        ends.append([_clear(term) for term in compared if not (is_share and _is_volume(term))])
    # The grammar has no brackets: (a or b) and c is written a and c or b and c.
    choices = dict.fromkeys(tuple(dict.fromkeys(choice)) for choice in product(*ends))
    parts = [And(choice) if len(choice) > 1 else choice[0] for choice in choices]
    return Or(tuple(parts)) if len(parts) > 1 else parts[0]


def strangers(when: Condition, clear: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of `clear` whose measure `when` does not look at."""
    for end in comparisons(clear):
        if not any(_measures_same(one, end) for one in comparisons(when)):
            yield end


def contradictions(when: Condition, clear: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of `clear` that may hold while that of the same measure does.

    Where `when` has several of one measure, a range, being beyond one of them is enough.
    """
    for end in comparisons(clear):
        same = [one for one in comparisons(when) if _measures_same(one, end)]
        if same and not any(is_beyond(one, end) for one in same):
            yield end


def is_beyond(when: Comparison, clear: Comparison) -> bool:
    """Tell whether `clear` lies on the far side of `when`, so that both never hold at once."""
    if clear.operator is Operator.EQUAL:
        return not when.operator.holds(clear.threshold, when.threshold)
    if when.operator is Operator.EQUAL:
        return not clear.operator.holds(when.threshold, clear.threshold)
    if when.operator.is_upward and clear.operator.is_downward:
        gap = when.threshold - clear.threshold
    elif when.operator.is_downward and clear.operator.is_upward:
        gap = clear.threshold - when.threshold
    else:
        return False
    both = {when.operator, clear.operator}
    return gap > 0 or (gap == 0 and both != {Operator.AT_LEAST, Operator.AT_MOST})


def _is_share(term: Comparison) -> bool:
    return term.selector.is_share or term.selector.measure is Measure.APDEX


def _is_volume(term: Comparison) -> bool:
    """Tell whether a comparison asks for at least so many."""
    is_count = term.selector.is_count or term.selector.measure is Measure.RATE
    return is_count and term.operator.is_upward


def _measures_same(one: Comparison, other: Comparison) -> bool:
    return (one.selector, one.against) == (other.selector, other.against)


def _clear(when: Comparison) -> Comparison:
    operator, threshold = when.operator, when.threshold
    if not threshold or not (operator.is_upward or operator.is_downward):
        return replace(when, operator=operator.inverse)  # a fifth of nothing is nothing to spare
    if operator.is_upward:
        threshold *= 0.8 if threshold > 0 else 1.25
    else:
        threshold *= 1.25 if threshold > 0 else 0.8
        if when.selector.measure in _AT_MOST_ONE:
            threshold = min(threshold, (1 + when.threshold) / 2)
    return replace(
        when,
        operator=Operator.BELOW if operator.is_upward else Operator.ABOVE,
        threshold=float(f"{threshold:.12g}"),  # 4 % is 0.04, not 0.04000000000000001
    )


_AT_MOST_ONE = (Measure.APDEX, Measure.ERROR_RATE, Measure.SHARE)
