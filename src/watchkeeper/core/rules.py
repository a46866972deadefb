"""Making rules of what users write: units, defaults and contradictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Final

from watchkeeper.core.conditions import (
    CHECK_LABEL,
    CheckFailing,
    Comparison,
    Condition,
    Operator,
    write_condition,
)
from watchkeeper.core.grammar import parse_condition
from watchkeeper.core.rule import (
    EVENTS,
    LEVELS,
    SEVERITIES,
    Alert,
    NoData,
    Origin,
    Rule,
    Worse,
    default_clear,
)
from watchkeeper.core.units import format_duration, parse_duration, write_duration
from watchkeeper.exceptions import ConfigurationError

__all__ = [
    "Alert",
    "NoData",
    "Origin",
    "Rule",
    "alert_from_mapping",
    "compile_alert",
    "describe",
    "merge_rules",
]

MAX_WINDOW_S: Final = 3_600.0  # windows are sums of slots held in memory, 360 of 10 s
MAX_WINDOWS: Final = 4
MAX_NAME: Final = 100  # characters
MAX_BY: Final = 5  # labels that part a rule into instances
MIN_WINDOW_SLOTS: Final = 2
MIN_SLOT_S: Final = 1.0  # assumed where the length of a slot is not known yet
DEFAULT_KEEP_S: Final = 120.0
DEFAULT_GROUP_WAIT_S: Final = 30.0
DEFAULT_WARMUP_S: Final = 30.0
DEFAULT_MAX_GROUPS: Final = 100
LATER: Final = ("slo", "only_if", "quiet_while", "escalate_after", "for")  # not in this version
SURE_AT_LEAST: Final = 3.0  # bad ones that certainty takes besides (simulated in the alert spec)


def compile_alert(
    alert: Alert, *, where: str, origin: Origin | str, slot_s: float = MIN_SLOT_S
) -> Rule:
    """Check an alert and make every default explicit.

    `where` names the place in messages ("alert[2]"), `slot_s` is the length of a slot.
    Raises ConfigurationError for what cannot be read and for what contradicts itself.
    """
    return _Compiler(alert, where, slot_s).rule(Origin(origin))


def merge_rules(*sources: Iterable[Rule]) -> tuple[Rule, ...]:
    """Join rules by name; a later source wins: `merge_rules(pack, code, file)`.

    A rule keeps the place of the one it overrides, and tells its own origin.
    """
    merged: dict[str, Rule] = {}
    for rules in sources:
        merged.update((rule.name, rule) for rule in rules)
    return tuple(merged.values())


def alert_from_mapping(mapping: Mapping[str, object], *, where: str) -> Alert:
    """Return the Alert of a TOML table or JSON object; its values are checked when compiled.

    Raises ConfigurationError for an unknown key, with the nearest known one, or without a name.
    """
    known = [field.name for field in fields(Alert)]
    for key in mapping:
        if key in LATER:
            raise ConfigurationError(f"{where}.{key}: is not known by this version; remove it")
        if key not in known:
            near = get_close_matches(key, known, n=1)
            cure = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            raise ConfigurationError(f"{where}.{key}: unknown key; {cure}")
    if "name" not in mapping:
        raise ConfigurationError(f'{where}: an alert needs a name: name = "High error rate"')
    values: dict[str, Any] = dict(mapping)
    return Alert(**values)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """The checks of one alert, each of which names its key."""

    alert: Alert
    where: str
    slot_s: float

    def rule(self, origin: Origin) -> Rule:
        alert = self.alert
        name = self.name()
        on = self.events()
        when = self.when(on)
        by = self.by(when)
        sure = self.sure(when)
        return Rule(
            name=name,
            origin=origin,
            enabled=self.flag("enabled", alert.enabled),
            severity=self.choice("severity", alert.severity, SEVERITIES),
            when=when,
            clear=self.clear(when),
            over_s=self.windows(when, sure=sure),
            hold_s=self.duration("hold", alert.hold),
            keep_s=self.keep(when),
            tolerate=self.whole("tolerate", alert.tolerate, least=0, most=100),
            by=by,
            skip=self.skip(),
            sure=sure,
            at_least=self.at_least(sure=sure),
            no_data=NoData(self.choice("no_data", alert.no_data, tuple(NoData))),
            no_data_after_s=self.duration("no_data_after", alert.no_data_after),
            after=self.whole("after", alert.after, least=1, most=1_000),
            on=on,
            level=self.choice("level", alert.level, LEVELS),
            digest_s=self.duration("digest", alert.digest),
            quiet_s=self.duration("quiet", alert.quiet),
            worse=self.worse(when),
            repeat_s=self.duration("repeat", alert.repeat),
            cooldown_s=self.duration("cooldown", alert.cooldown),
            only_if=None,
            every_window=False,
            quiet_while=(),
            escalate_after_s=0.0,
            escalate_to=(),
            channels=(),
            group_wait_s=DEFAULT_GROUP_WAIT_S,
            warmup_s=DEFAULT_WARMUP_S,
            max_groups=DEFAULT_MAX_GROUPS,
            shadow=False,
            description="",
            runbook="",
        )

    def name(self) -> str:
        name: object = self.alert.name
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            raise self.error("name", f"an alert's name has 1 to {MAX_NAME} characters")
        return name.strip()

    def events(self) -> tuple[str, ...]:
        on = self.texts("on", self.alert.on)
        for event in on:
            self.choice("on", event, EVENTS)
        return tuple(sorted(set(on)))

    def when(self, on: tuple[str, ...]) -> Condition | None:
        text = self.alert.when
        if text is None and on:
            return None
        if text is None or on:
            raise self.error("when", 'an alert has either when = "error_rate > 5%" or on = …')
        when = self.condition("when", text)
        if (
            isinstance(when, Comparison)
            and when.selector.is_share
            and not (when.operator.is_upward or when.operator.is_downward)
        ):
            raise self.error("when", "a share or percentile is compared with >, >=, < or <=")
        return when

    def clear(self, when: Condition | None) -> Condition | None:
        text = self.alert.clear
        if when is None or not isinstance(when, Comparison):
            if text is not None:
                raise self.error("clear", "only a condition on a metric can have one; remove it")
            return None
        if text is None:
            return default_clear(when)
        clear = self.condition("clear", text)
        if not isinstance(clear, Comparison):
            raise self.error("clear", f"measures something else than {write_condition(when)}")
        if not clear.selector.filters:
            clear = _same_filters(clear, when)
        if clear.selector != when.selector:
            raise self.error("clear", f"measures something else than {write_condition(when)}")
        if not _is_beyond(when, clear):
            raise self.error(
                "clear", f"{write_condition(clear)} contradicts {write_condition(when)}"
            )
        return clear

    def worse(self, when: Condition | None) -> Worse | None:
        worse: object = self.alert.worse
        if worse is None:
            return None
        if not isinstance(worse, Mapping) or set(worse) != {"when", "severity"}:
            raise self.error("worse", 'write { when = "p95 > 3s", severity = "critical" }')
        condition = self.condition("worse.when", worse["when"])
        if not isinstance(condition, Comparison) or not isinstance(when, Comparison):
            raise self.error("worse", "only a condition on a metric can have a second level")
        if not condition.selector.filters:
            condition = _same_filters(condition, when)
        if condition.selector != when.selector or condition.operator != when.operator:
            raise self.error("worse.when", f"must compare like {write_condition(when)}")
        severity = self.choice("worse.severity", worse["severity"], SEVERITIES)
        return Worse(when=condition, severity=severity)

    def windows(self, when: Condition | None, *, sure: bool) -> tuple[float, ...]:
        if not isinstance(when, Comparison):
            if self.alert.over is not None:
                raise self.error("over", "only a condition on a metric looks at a window")
            return ()
        shortest = MIN_WINDOW_SLOTS * self.slot_s
        if self.alert.over is None:
            # A default follows the slots; a window that was asked for must fit them.
            defaults = (60.0, 300.0) if sure else (300.0,)
            return tuple(sorted({max(window, shortest) for window in defaults}))
        texts = self.texts("over", self.alert.over)
        windows = sorted({self.duration("over", text) for text in texts})
        if not 1 <= len(windows) <= MAX_WINDOWS:
            raise self.error("over", f"1 to {MAX_WINDOWS} windows")
        if windows[0] < shortest:
            raise self.error(
                "over",
                f"a window of {write_duration(windows[0])} is shorter than two slots; "
                f"write at least {write_duration(shortest)}",
            )
        if windows[-1] > MAX_WINDOW_S:
            raise self.error("over", f"a window is at most {write_duration(MAX_WINDOW_S)} long")
        return tuple(windows)

    def keep(self, when: Condition | None) -> float:
        if self.alert.keep is None:
            # A check says by itself when it is good again, after two good runs.
            return DEFAULT_KEEP_S if isinstance(when, Comparison) else 0.0
        return self.duration("keep", self.alert.keep)

    def sure(self, when: Condition | None) -> bool:
        fits = isinstance(when, Comparison) and when.selector.is_share and when.operator.is_upward
        if self.alert.sure is None:
            return fits
        if self.flag("sure", self.alert.sure) and not fits:
            raise self.error("sure", "works for error_rate and percentiles above a threshold only")
        return self.alert.sure

    def at_least(self, *, sure: bool) -> float:
        value: object = self.alert.at_least
        if value is None:
            return SURE_AT_LEAST if sure else 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            raise self.error("at_least", f"{value!r} is not a count; write 20")
        return float(value)

    def by(self, when: Condition | None) -> tuple[str, ...]:
        labels = self.texts("by", self.alert.by)
        if isinstance(when, CheckFailing):
            if labels not in ((), (CHECK_LABEL,)):
                raise self.error("by", 'health checks are told apart by = "check" only')
            return (CHECK_LABEL,)
        if len(labels) > MAX_BY or len(set(labels)) < len(labels):
            raise self.error("by", f"at most {MAX_BY} labels, each once")
        if labels and when is None:
            raise self.error("by", "an event rule has one instance; remove it")
        return labels

    def skip(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        skip: object = self.alert.skip or {}
        if not isinstance(skip, Mapping):
            raise self.error("skip", 'write { route = ["/reports/*"] }')
        return tuple(
            (str(label), self.texts(f"skip.{label}", patterns))
            for label, patterns in sorted(skip.items())
        )

    def condition(self, key: str, text: object) -> Condition:
        if not isinstance(text, str):
            raise self.error(key, f"{text!r} is not a condition; write 'error_rate > 5%'")
        return parse_condition(text, where=f"{self.where}.{key}")

    def texts(self, key: str, value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            return (value,)
        if isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise self.error(key, f"{value!r} is neither a text nor a list of texts")

    def duration(self, key: str, value: object) -> float:
        return parse_duration(str(value), where=f"{self.where}.{key}")

    def choice(self, key: str, value: object, among: Sequence[str]) -> str:
        if isinstance(value, str) and value in among:
            return value
        near = get_close_matches(str(value), among, n=1)
        cure = f"did you mean '{near[0]}'?" if near else f"choose {', '.join(among)}"
        raise self.error(key, f"'{value}' is not known; {cure}")

    def whole(self, key: str, value: object, *, least: int, most: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise self.error(key, f"{value!r} is not a whole number from {least} to {most}")

    def flag(self, key: str, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise self.error(key, f"{value!r} is neither true nor false")

    def error(self, key: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self.where}.{key}: {problem}")


def describe(rule: Rule) -> str:
    """Say in one plain sentence when a rule fires."""
    if rule.is_event:
        return f"{rule.name}: on {' or '.join(rule.on)}, {rule.severity}."
    windows = " or ".join(format_duration(window) for window in rule.over_s)
    parts = [rule.condition]
    if windows:
        parts.append(f"over {windows}")
    if rule.sure:
        parts.append("if statistically sure")
    if rule.hold_s:
        parts.append(f"for {format_duration(rule.hold_s)}")
    return f"{rule.name}: {', '.join(parts)}, {rule.severity}."


def _same_filters(condition: Comparison, other: Comparison) -> Comparison:
    selector = replace(condition.selector, filters=other.selector.filters)
    return replace(condition, selector=selector)


def _is_beyond(when: Comparison, clear: Comparison) -> bool:
    """Tell whether `clear` lies on the far side of `when`, so that both never hold at once."""
    if when.operator.is_upward:
        return clear.operator.is_downward and clear.threshold <= when.threshold
    if when.operator.is_downward:
        return clear.operator.is_upward and clear.threshold >= when.threshold
    opposite = {Operator.EQUAL: Operator.UNEQUAL, Operator.UNEQUAL: Operator.EQUAL}
    return clear == Comparison(when.selector, opposite[when.operator], when.threshold)
