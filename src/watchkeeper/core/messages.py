"""What a notification says: plain sentences with the counts that led to it."""

from collections.abc import Mapping, Sequence
from typing import Final

from watchkeeper.core.conditions import (
    CHECK_LABEL,
    And,
    CheckFailing,
    Comparison,
    Measure,
    Or,
    Past,
    Term,
    Unit,
    WorkerMissing,
    format_value,
    write_quantile,
)
from watchkeeper.core.missing import ALL
from watchkeeper.core.rule import Rule
from watchkeeper.core.units import format_duration, format_number

MAX_SUMMARY: Final = 300  # characters
MAX_LINKED: Final = 50  # incidents that one link of a message acts on; a silence names as many


def firing_summary(
    rule: Rule,
    labels: Mapping[str, str],
    *,
    value: float | None,
    bad: float,
    total: float,
    window_s: float,
    term: Term | None = None,
    more: int = 0,
) -> str:
    """Say what is wrong: "High error rate: 12.4 % (31 of 250 in 1 min) > 5 %".

    `term` is the part of the condition that decided, where there are several; `more` are further
    groups of which this one is the largest.
    """
    if term is None and not isinstance(rule.when, And | Or):
        term = rule.when
    others = f", and {more} more" if more else ""
    if isinstance(term, CheckFailing):
        name = labels.get(CHECK_LABEL, "")
        said = f"{name} has failed {value:.0f} times in a row" if value else f"{name} is silent"
        return _cut(f"{rule.name}: {said.strip()}{others}")
    if isinstance(term, WorkerMissing):
        return _sentence(*_silent(rule, labels, value), others)
    if not isinstance(term, Comparison):
        return _cut(rule.name)
    named = _named(rule.name, labels)
    if value is None:
        return _sentence(named, f"no data, {rule.condition} cannot be judged", others)
    shown = format_value(term.selector.unit, value)
    if term.selector.measure is Measure.QUANTILE:
        shown = f"{write_quantile(term.selector.quantile)} {shown}"
    counts = _counts(term, bad=bad, total=total, window_s=window_s)
    return _sentence(named, f"{shown} ({counts}) {term.operator} {threshold_text(term)}", others)


def resolved_summary(
    rule: Rule,
    labels: Mapping[str, str],
    *,
    value: float | None,
    lasted_s: float,
    because: str = "",
    term: Term | None = None,
) -> str:
    """Say what is over: "High error rate: resolved after 4 min, now 0.4 %"."""
    name = _named(rule.name, labels)
    if isinstance(rule.when, CheckFailing):
        name = f"{rule.name}: {labels.get(CHECK_LABEL, '')}".removesuffix(": ")
        value = None
    elif isinstance(rule.when, WorkerMissing):
        name, _ = _silent(rule, labels, None)
    parts = [f"resolved after {format_duration(max(lasted_s, 0.0))}"]
    measured = term or rule.when
    if value is not None and isinstance(measured, Comparison):
        parts.append(f"now {format_value(measured.selector.unit, value)}")
    if because:
        parts.append(because)
    return _sentence(name, ", ".join(parts))


def removed_summary(name: str, *, lasted_s: float) -> str:
    """Say that an alert is over because its rule is gone."""
    return _cut(f"{name}: resolved after {format_duration(max(lasted_s, 0.0))}, rule removed")


def digest_summary(rule: Rule, summaries: list[str], *, more: int = 0) -> str:
    """Say which events happened: the one itself, or how many with the first of them."""
    if len(summaries) + more == 1:
        return _cut(f"{rule.name}: {summaries[0]}")
    return several_summary(rule.name, summaries, more=more)


def several_summary(name: str, summaries: Sequence[str], *, more: int = 0) -> str:
    """Say what one alert says, or how many there are with the first of them.

    Each summary may begin with the rule's name, which is said once.
    """
    first = summaries[0] if summaries else name
    if len(summaries) + more <= 1:
        return _cut(first)
    first = first.removeprefix(name).removeprefix(":").strip()
    return _cut(f"{name}: {len(summaries) + more} of them, the first {first}")


def without_name(summary: str, name: str, labels: Mapping[str, str]) -> str:
    """Return a summary without the name of its rule and group, where these are shown beside it."""
    named, summary = _one_line(_named(name, labels)), _one_line(summary)
    alike = next(
        (at for at, pair in enumerate(zip(named, summary, strict=False)) if pair[0] != pair[1]),
        min(len(named), len(summary)),
    )
    rest = summary[alike:]
    if rest.startswith("…: "):  # the group was too long for the sentence
        return rest[3:]
    is_whole = alike in (len(named), len(_one_line(name)))
    return rest[2:] if is_whole and rest.startswith(": ") else summary


def _named(name: str, labels: Mapping[str, str]) -> str:
    group = ", ".join(f"{label} {value}" for label, value in labels.items() if value)
    return f"{name} ({group})" if group else name


def _silent(rule: Rule, labels: Mapping[str, str], silent_s: float | None) -> tuple[str, str]:
    """Say which worker is silent, or that all are: then nobody serves any more."""
    lasts = f" for {format_duration(silent_s)}" if silent_s else ""
    if ALL in labels.values():
        return rule.name, f"no worker has written{lasts or ' any more'}"
    return _named(rule.name, labels), f"silent{lasts}"


def threshold_text(term: Comparison) -> str:
    """Say what a value was compared with: "5 %", "3 × the same time in earlier weeks"."""
    if term.against is Past.NONE:
        return format_value(term.selector.unit, term.threshold)
    return f"{format_number(term.threshold)} × the same time in earlier weeks"


def _counts(when: Comparison, *, bad: float, total: float, window_s: float) -> str:
    window = format_duration(window_s)
    selector = when.selector
    if when.against is not Past.NONE:
        usual = f", usually {format_number(total)}" if total else ""
        return f"in {window}{usual}"
    if selector.measure in (Measure.ERROR_RATE, Measure.SHARE):
        return f"{bad:.0f} of {total:.0f} in {window}"
    if selector.measure is Measure.QUANTILE:
        compared = "slower" if selector.unit is Unit.SECONDS else "above"
        return f"{bad:.0f} of {total:.0f} {compared} in {window}"
    return f"over {window}"


def _sentence(named: str, said: str, others: str = "") -> str:
    """Say it of a rule and its group; if that is too long, the group is cut and no figure."""
    said = f": {_one_line(said)}{others}"
    named, left = _one_line(named), max(1, MAX_SUMMARY - len(said))
    return _cut(f"{named if len(named) <= left else f'{named[: left - 1]}…'}{said}")


def _cut(text: str) -> str:
    """Put on one line and cut: it becomes a subject, too."""
    line = _one_line(text)
    return line if len(line) <= MAX_SUMMARY else f"{line[: MAX_SUMMARY - 1]}…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
