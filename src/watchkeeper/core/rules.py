"""Making rules of what users write, and joining those of all sources by name."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, Final

from watchkeeper.core.objectives import alerts_of
from watchkeeper.core.rule import Alert, NoData, Origin, Rule
from watchkeeper.core.rule_compiler import MIN_SLOT_S, MIN_WINDOW_SLOTS, Compiler
from watchkeeper.core.units import format_duration
from watchkeeper.exceptions import ConfigurationError

__all__ = [
    "MAX_RULES",
    "MIN_SLOT_S",
    "MIN_WINDOW_SLOTS",
    "Alert",
    "NoData",
    "Origin",
    "Rule",
    "alert_from_mapping",
    "causes_first",
    "compile_alert",
    "compile_alerts",
    "describe",
    "merge_rules",
    "that_exist",
    "without_unknown",
    "wrong_references",
]

MAX_RULES: Final = 500  # of one source: 200 on 500 routes are judged in 100 ms
MAX_DEPTH: Final = 5  # causes of causes that are put in order
_SLIPS: Final[Mapping[str, str]] = {
    "for": "hold",
    "hold_for": "hold",
    "group_by": "by",
    "labels": "by",
    "window": "over",
    "condition": "when",
    "expr": "when",
    "resolve": "clear",
    "inhibit": "quiet_while",
    "inhibited_by": "quiet_while",
    "remind": "repeat",
    "test": "shadow",
}
"""What other systems call it → our word."""


def compile_alert(
    alert: Alert, *, where: str, origin: Origin | str, slot_s: float = MIN_SLOT_S
) -> Rule:
    """Check an alert that makes one rule, and make every default explicit.

    `where` names the place in messages ("alert[2]"), `slot_s` is the length of a slot.
    Raises ConfigurationError for what cannot be read and for what contradicts itself.
    """
    if alert.slo is not None:
        raise ConfigurationError(f"{where}.slo: an objective makes three rules, not one")
    return Compiler(alert, where=where, slot_s=slot_s).rule(Origin(origin))


def compile_alerts(
    alert: Alert, *, where: str, origin: Origin | str, slot_s: float = MIN_SLOT_S
) -> tuple[Rule, ...]:
    """Check an alert and return its rules: one, or the three that an objective stands for.

    Raises ConfigurationError as `compile_alert` does.
    """
    alerts = (alert,) if alert.slo is None else alerts_of(alert, where=where)
    return tuple(compile_alert(one, where=where, origin=origin, slot_s=slot_s) for one in alerts)


def merge_rules(*sources: Iterable[Rule]) -> tuple[Rule, ...]:
    """Join rules by name; a later source wins: `merge_rules(pack, code, file, database)`.

    A rule keeps the place of the one it overrides, and tells its own origin.
    """
    merged: dict[str, Rule] = {}
    for rules in sources:
        merged.update((rule.name, rule) for rule in rules)
    return tuple(merged.values())


def causes_first(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules so that one stands after those that quiet it.

    What begins in the same moment is then known to be the consequence before anybody is told.
    """
    depth = {rule.name: 0 for rule in rules}
    for _ in range(MAX_DEPTH):
        for rule in rules:
            causes = (depth[name] + 1 for name in rule.quiet_while if name in depth)
            depth[rule.name] = min(max(causes, default=0), MAX_DEPTH)
    return tuple(sorted(rules, key=lambda rule: depth[rule.name]))


def wrong_references(
    rules: Sequence[Rule], *, channels: Iterable[str]
) -> Iterator[tuple[Rule, str]]:
    """Yield each rule that names a rule or a channel that there is none of, and say so.

    And for rules that would quiet each other for ever: then nobody was told of either.
    """
    known = {rule.name: rule for rule in rules}
    channels = set(channels)
    for rule in rules:
        for name in rule.quiet_while:
            if name not in known:
                yield rule, _unknown(rule, "quiet_while", "rule", name, known)
            elif rule.name in known[name].quiet_while:
                sentence = f"it and '{name}' quiet each other; remove one of the two"
                yield rule, f"rule '{rule.name}': quiet_while: {sentence}"
        for key, names in (("channels", rule.channels), ("escalate_to", rule.escalate_to)):
            for name in names:
                if name not in channels:
                    yield rule, _unknown(rule, key, "channel", name, channels)


def that_exist(names: Sequence[str], channels: Collection[str]) -> tuple[str, ...]:
    """Return the channels of a rule that there are; where none is known at all, as it says."""
    return tuple(one for one in names if not channels or one in channels)


def without_unknown(rule: Rule, channels: Collection[str]) -> Rule:
    """Return a rule as people are told of it: without channels that there are not."""
    own, others = that_exist(rule.channels, channels), that_exist(rule.escalate_to, channels)
    return replace(rule, channels=own, escalate_to=others)


def _unknown(rule: Rule, key: str, what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    cure = f"did you mean '{near[0]}'?" if near else "remove it"
    return f"rule '{rule.name}': {key}: there is no {what} '{name}'; {cure}"


def alert_from_mapping(mapping: Mapping[str, object], *, where: str) -> Alert:
    """Return the Alert of a TOML table or JSON object; its values are checked when compiled.

    Raises ConfigurationError for an unknown key, with the nearest known one, or without a name.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigurationError(f"{where}: an alert is a table: [[alert]]")
    known = [field.name for field in fields(Alert)]
    for key in mapping:
        if key not in known:
            raise ConfigurationError(f"{where}.{key}: unknown key; {_cure(key, known)}")
    if "name" not in mapping:
        raise ConfigurationError(f'{where}: an alert needs a name: name = "High error rate"')
    values: dict[str, Any] = dict(mapping)
    return Alert(**values)


def _cure(key: str, known: Sequence[str]) -> str:
    if key in _SLIPS:
        return f"write '{_SLIPS[key]}'"
    near = get_close_matches(str(key), known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"


def describe(rule: Rule) -> str:
    """Say in one plain sentence when a rule fires."""
    if rule.is_event:
        return f"{rule.name}: on {' or '.join(rule.on)}, {rule.severity}."
    join = " and " if rule.every_window else " or "
    windows = join.join(format_duration(window) for window in rule.over_s)
    parts = [rule.condition]
    if windows:
        parts.append(f"over {windows}")
    if rule.sure:
        parts.append("if statistically sure")
    if rule.hold_s:
        parts.append(f"for {format_duration(rule.hold_s)}")
    return f"{rule.name}: {', '.join(parts)}, {rule.severity}."
