"""A rule in plain sentences: when it fires, when it ends, and who is told of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    WORD_OF,
    And,
    CheckFailing,
    Condition,
    Filter,
    Measure,
    Operator,
    Or,
    Past,
    Selector,
    WorkerMissing,
    format_value,
    write_quantile,
)
from watchkeeper.core.rule import ISSUE_CAME_BACK, ISSUE_NEW, NoData, Rule
from watchkeeper.core.units import format_duration

_OPERATORS: Final[Mapping[Operator, str]] = {
    Operator.ABOVE: "above",
    Operator.AT_LEAST: "at least",
    Operator.BELOW: "below",
    Operator.AT_MOST: "at most",
    Operator.EQUAL: "exactly",
    Operator.UNEQUAL: "anything but",
}
_FILTERS: Final = {"=": "is", "!=": "is not", "=~": "is like"}
_WORDS: Final = {
    "error_rate": "the share of failed requests",
    "requests": "the number of requests",
    "errors": "the number of failed requests",
    "apdex": "the Apdex",
    "memory_used": "the share of memory in use",
    "cpu_used": "the share of CPU in use",
    "disk_used": "the share of a disk in use",
}
_MEASURES: Final = {
    Measure.INCREASE: "the increase of",
    Measure.RATE: "the rate of",
    Measure.LAST: "the last value of",
    Measure.MIN: "the lowest value of",
    Measure.MAX: "the highest value of",
}
_EVENTS: Final = {
    ISSUE_NEW: "an error appears that was never seen before",
    ISSUE_CAME_BACK: "an error that was marked resolved happens again",
}


def explain(rule: Rule, *, channels: Sequence[str]) -> list[str]:
    """Return sentences on a rule; `channels` are those that its severity is routed to."""
    sentences = [_fires(rule), *_ends(rule), *_limits(rule), *_told(rule, channels)]
    if not rule.enabled:
        sentences.insert(0, "It is switched off.")
    return sentences


def say(condition: Condition) -> str:
    """Say a condition in words."""
    if isinstance(condition, And | Or):
        word = " and " if isinstance(condition, And) else ", or "
        return word.join(say(part) for part in condition.parts)
    if isinstance(condition, CheckFailing):
        return f"a health check fails{_where(condition.filters)}"
    if isinstance(condition, WorkerMissing):
        return f"a worker falls silent while others live{_where(condition.filters)}"
    selector = condition.selector
    past = " of the same time in weeks before" if selector.past is not Past.NONE else ""
    if condition.against is not Past.NONE:
        value = f"{condition.threshold:g} times that of the same time in weeks before"
    else:
        value = format_value(selector.unit, condition.threshold)
    measured = f"{_measure(selector)}{_where(selector.filters)}{past}"
    return f"{measured} is {_OPERATORS[condition.operator]} {value}"


def _measure(selector: Selector) -> str:
    word = WORD_OF.get((selector.measure, selector.metric))
    if word is not None:
        return _WORDS[word]
    if selector.measure is Measure.QUANTILE:
        is_http = selector.metric == HTTP_DURATION.name
        of = "the response time" if is_http else selector.metric
        return f"{write_quantile(selector.quantile)} of {of}"
    if selector.measure is Measure.SHARE:
        return f"the share of {selector.metric}"
    return f"{_MEASURES[selector.measure]} {selector.metric}"


def _where(filters: Sequence[Filter]) -> str:
    if not filters:
        return ""
    said = " and ".join(
        f"{one.label} {_FILTERS[one.operator]} {one.value or '(empty)'}" for one in filters
    )
    return f" where {said}"


def _fires(rule: Rule) -> str:
    if rule.when is None:
        events = " or ".join(_EVENTS[event] for event in rule.on)
        return f"Tells when {events}, of level {rule.level} or above ({rule.severity})."
    parts = [f"Fires when {say(rule.when)}"]
    if rule.over_s:
        both = " and also in the last " if rule.every_window else " or "
        parts.append(f"in the last {both.join(map(format_duration, rule.over_s))}")
    if isinstance(rule.when, CheckFailing):
        parts.append(f"{_times(rule.after)} in a row")
    text = " ".join(parts)
    if rule.sure:
        text += ", once that is statistically certain"
    if rule.at_least:
        text += f", from {rule.at_least:g} on"
    if rule.hold_s:
        text += f", for {format_duration(rule.hold_s)} of data"
        if rule.tolerate:
            text += f" ({_times(rule.tolerate, 'slot')} may miss)"
    if rule.by:
        text += f"; judged apart for each {' and '.join(rule.by)}"
        text += f", {rule.max_groups} of them at most"
    return f"{text} ({rule.severity})."


def _ends(rule: Rule) -> Iterator[str]:
    if rule.clear is not None:
        kept = f" for {format_duration(rule.keep_s)}" if rule.keep_s else ""
        yield f"Ends when {say(rule.clear)}{kept}."
    elif isinstance(rule.when, CheckFailing):
        yield "Ends when the check has passed twice in a row."
    elif isinstance(rule.when, WorkerMissing):
        yield "Ends when the worker is back or replaced."
    if rule.worse is not None:
        held = f" for {format_duration(rule.worse.hold_s)}" if rule.worse.hold_s else ""
        yield f"Becomes {rule.worse.severity} when {say(rule.worse.when)}{held}."


def _limits(rule: Rule) -> Iterator[str]:
    if rule.only_if is not None:
        yield f"Judged only while {say(rule.only_if)}."
    for label, patterns in rule.skip:
        yield f"Leaves out what has a {label} like {' or '.join(patterns)}."
    if rule.no_data is not NoData.KEEP:
        then = "fires" if rule.no_data is NoData.ALERT else "ends"
        yield f"With no data for {format_duration(rule.no_data_after_s)} it {then}."
    if rule.quiet_s:
        yield f"Silent for {format_duration(rule.quiet_s)} after the first installation."


def _told(rule: Rule, channels: Sequence[str]) -> Iterator[str]:
    channels = rule.channels or channels
    if rule.shadow:
        yield "Nobody is told: it is being tried (shadow)."
    elif not channels:
        yield "Nobody is told: there is no channel for it."
    else:
        repeat = f", again every {format_duration(rule.repeat_s)}" if rule.repeat_s else ""
        yield f"Tells {', '.join(channels)}{'' if rule.is_event else repeat}."
    if rule.is_event:
        yield f"What follows within {format_duration(rule.digest_s)} comes in one message."
    if rule.escalate_to:
        yield (
            f"Not acknowledged for {format_duration(rule.escalate_after_s)}, "
            f"it tells {', '.join(rule.escalate_to)}."
        )
    if rule.quiet_while:
        yield f"Nobody is told while {' or '.join(rule.quiet_while)} fires."


def _times(count: int, what: str = "time") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
