"""From an alert to its rule: units resolved, defaults made explicit, contradictions refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from watchkeeper.core.clearing import contradictions, default_clear, strangers
from watchkeeper.core.conditions import (
    CHECK_LABEL,
    WORKER_LABELS,
    And,
    CheckFailing,
    Comparison,
    Condition,
    Or,
    Past,
    WorkerMissing,
    comparisons,
    terms,
    write_condition,
)
from watchkeeper.core.rule import (
    ALSO_CALLED,
    EVENTS,
    LEVELS,
    SEVERITIES,
    SURE_AT_LEAST,
    Alert,
    NoData,
    Origin,
    Rule,
    Worse,
)
from watchkeeper.core.rule_values import Values
from watchkeeper.core.units import write_duration
from watchkeeper.exceptions import ConfigurationError

MAX_WINDOW_S: Final = 3_600.0  # windows are sums of slots held in memory, 360 of 10 s
MAX_BUDGET_WINDOW_S: Final = 3 * 86_400.0  # of burn rates, summed up from stored minutes and hours
MAX_WINDOWS: Final = 4
MAX_NAME: Final = 100  # characters
MAX_BY: Final = 5  # labels that part a rule into instances
MAX_GROUPS: Final = 1_000  # instances of one rule
MIN_WINDOW_SLOTS: Final = 2
MIN_SLOT_S: Final = 1.0  # assumed where the length of a slot is not known yet
DEFAULT_KEEP_S: Final = 120.0
BASELINE_AT_LEAST: Final = 20.0  # below so many, three times as many as usual means nothing


class Compiler:
    """The checks of one alert, each of which names its key."""

    def __init__(self, alert: Alert, *, where: str, slot_s: float) -> None:
        """Take the alert, its place for messages, and the length of a slot."""
        self.alert = alert
        self.values = Values(where)
        self.slot_s = slot_s

    def rule(self, origin: Origin) -> Rule:
        """Return the rule; raises ConfigurationError for the first thing that is wrong."""
        alert, values = self.alert, self.values
        name = self._name()
        on = self._events()
        when = self._when(on)
        sure = self._sure(when)
        severity = values.choice("severity", alert.severity, SEVERITIES)
        escalate_after_s, escalate_to = self._escalation()
        return Rule(
            name=name,
            origin=origin,
            enabled=values.flag("enabled", alert.enabled),
            severity=severity,
            when=when,
            clear=self._clear(when),
            over_s=self._windows(when, sure=sure),
            hold_s=values.duration("hold", alert.hold),
            keep_s=self._keep(when),
            tolerate=values.whole("tolerate", alert.tolerate, least=0, most=100),
            by=self._by(when),
            skip=values.patterns("skip", alert.skip if alert.skip is not None else {}),
            sure=sure,
            at_least=self._at_least(when, sure=sure),
            no_data=NoData(values.choice("no_data", alert.no_data, tuple(NoData))),
            no_data_after_s=values.duration("no_data_after", alert.no_data_after),
            after=values.whole("after", alert.after, least=1, most=1_000),
            on=on,
            level=values.choice("level", alert.level, LEVELS),
            digest_s=values.duration("digest", alert.digest),
            quiet_s=values.duration("quiet", alert.quiet),
            worse=self._worse(when, severity),
            repeat_s=values.duration("repeat", alert.repeat),
            cooldown_s=values.duration("cooldown", alert.cooldown),
            only_if=self._only_if(when),
            every_window=values.flag("every_window", alert.every_window),
            quiet_while=self._quiet_while(name),
            escalate_after_s=escalate_after_s,
            escalate_to=escalate_to,
            channels=values.names("channels", alert.channels),
            group_wait_s=values.duration("group_wait", alert.group_wait),
            warmup_s=values.duration("warmup", alert.warmup),
            max_groups=values.whole("max_groups", alert.max_groups, least=1, most=MAX_GROUPS),
            shadow=values.flag("shadow", alert.shadow),
            description=values.text("description", alert.description),
            runbook=self._runbook(),
        )

    def _name(self) -> str:
        name: object = self.alert.name
        if isinstance(name, str) and 0 < len(name.strip()) <= MAX_NAME:
            return self.values.text("name", name)
        raise self._error("name", f"an alert's name has 1 to {MAX_NAME} characters")

    def _events(self) -> tuple[str, ...]:
        given = self.values.texts("on", self.alert.on)
        on = [ALSO_CALLED.get(event, event) for event in given]
        for event in on:
            self.values.choice("on", event, EVENTS)
        return tuple(sorted(set(on)))

    def _when(self, on: tuple[str, ...]) -> Condition | None:
        text = self.alert.when
        if text is None and on:
            return None
        if text is None or on:
            raise self._error("when", 'an alert has either when = "error_rate > 5%" or on = …')
        when = self.values.condition("when", text)
        if isinstance(when, And | Or) and len(comparisons(when)) < len(terms(when)):
            raise self._error(
                "when",
                "check failing and worker missing stand alone; write a rule of their own, "
                "and quiet_while where one explains the other",
            )
        for one in comparisons(when):
            self._check_comparison("when", one)
            if one.selector.past is not Past.NONE:
                raise self._error(
                    "when", f"{write_condition(one)} does not change; only_if has it"
                )
        return when

    def _check_comparison(self, key: str, one: Comparison) -> None:
        is_ordered = one.operator.is_upward or one.operator.is_downward
        if not is_ordered and one.selector.is_share:
            raise self._error(key, "a share or percentile is compared with >, >=, < or <=")
        if not is_ordered and one.against is not Past.NONE:
            raise self._error(key, f"{one.against} is compared with >, >=, < or <=")

    def _clear(self, when: Condition | None) -> Condition | None:
        text = self.alert.clear
        if when is None or not comparisons(when):
            if text is not None:
                raise self._error("clear", "only a condition on a metric can have one; remove it")
            return None
        if text is None:
            return default_clear(when)
        return self._ending("clear", self.values.condition("clear", text), when)

    def _ending(self, key: str, clear: Condition, when: Condition) -> Condition:
        """Return what ends `when`, if it can: it measures the same, and lies on the far side."""
        if len(comparisons(clear)) < len(terms(clear)):
            raise self._error(key, f"measures something else than {write_condition(when)}")
        if isinstance(clear, Comparison) and isinstance(when, Comparison):
            clear = _with_filters_of(when, clear)
        for one in comparisons(clear):
            self._check_comparison(key, one)
        if next(strangers(when, clear), None) is not None:
            raise self._error(key, f"measures something else than {write_condition(when)}")
        wrong = next(contradictions(when, clear), None)
        if wrong is not None:
            raise self._error(key, f"{write_condition(wrong)} contradicts {write_condition(when)}")
        return clear

    def _worse(self, when: Condition | None, severity: str) -> Worse | None:
        worse: object = self.alert.worse
        if worse is None:
            return None
        needed, known = {"when", "severity"}, {"when", "severity", "hold"}
        if isinstance(worse, Mapping) and "clear" in worse:
            raise self._error(
                "worse.clear", "the second level lasts until the alert ends; remove it"
            )
        if not isinstance(worse, Mapping) or not needed <= set(worse) <= known:
            raise self._error("worse", 'write { when = "p95 > 3s", severity = "critical" }')
        condition = self.values.condition("worse.when", worse["when"])
        if not isinstance(condition, Comparison) or not isinstance(when, Comparison):
            raise self._error("worse", "only a single condition on a metric has a second level")
        condition = _with_filters_of(when, condition)
        if replace(condition, threshold=when.threshold) != when:
            raise self._error("worse.when", f"must compare like {write_condition(when)}")
        if not _is_further(when, condition):
            raise self._error(
                "worse.when",
                f"{write_condition(condition)} is not worse than {write_condition(when)}",
            )
        level = self.values.choice("worse.severity", worse["severity"], SEVERITIES)
        if SEVERITIES.index(level) <= SEVERITIES.index(severity):
            raise self._error("worse.severity", f"{level} is not above {severity}")
        hold = worse.get("hold")
        hold_s = None if hold is None else self.values.duration("worse.hold", hold)
        return Worse(when=condition, severity=level, hold_s=hold_s)

    def _only_if(self, when: Condition | None) -> Condition | None:
        text = self.alert.only_if
        if text is None:
            return None
        if when is None or not comparisons(when):
            raise self._error("only_if", "only a condition on a metric can have one; remove it")
        only_if = self.values.condition("only_if", text)
        if len(comparisons(only_if)) < len(terms(only_if)):
            raise self._error("only_if", "compares metrics: requests{same_time_last_week} > 50")
        for one in comparisons(only_if):
            self._check_comparison("only_if", one)
        return only_if

    def _windows(self, when: Condition | None, *, sure: bool) -> tuple[float, ...]:
        if when is None or not comparisons(when):
            if self.alert.over is not None:
                raise self._error("over", "only a condition on a metric looks at a window")
            return ()
        shortest = MIN_WINDOW_SLOTS * self.slot_s
        if self.alert.over is None:
            # A default follows the slots; a window that was asked for must fit them.
            defaults = (60.0, 300.0) if sure else (300.0,)
            return tuple(sorted({max(window, shortest) for window in defaults}))
        texts = self.values.texts("over", self.alert.over)
        windows = sorted({self.values.duration("over", text) for text in texts})
        if not 1 <= len(windows) <= MAX_WINDOWS:
            raise self._error("over", f"1 to {MAX_WINDOWS} windows")
        if windows[0] < shortest:
            raise self._error(
                "over",
                f"a window of {write_duration(windows[0])} is shorter than two slots; "
                f"write at least {write_duration(shortest)}",
            )
        longest = MAX_BUDGET_WINDOW_S if self.alert.every_window is True else MAX_WINDOW_S
        if windows[-1] > longest:
            raise self._error("over", f"a window is at most {write_duration(longest)} long")
        return tuple(windows)

    def _keep(self, when: Condition | None) -> float:
        if self.alert.keep is None:
            # A check says by itself when it is good again, after two good runs; a worker is back.
            return DEFAULT_KEEP_S if when is not None and comparisons(when) else 0.0
        return self.values.duration("keep", self.alert.keep)

    def _sure(self, when: Condition | None) -> bool:
        fits = when is not None and any(
            one.selector.is_share and one.operator.is_upward for one in comparisons(when)
        )
        if self.alert.sure is None:
            return fits
        if self.values.flag("sure", self.alert.sure) and not fits:
            raise self._error(
                "sure", "works for error_rate, share and percentiles above a threshold only"
            )
        return self.alert.sure

    def _at_least(self, when: Condition | None, *, sure: bool) -> float:
        if self.alert.at_least is not None:
            return self.values.count("at_least", self.alert.at_least)
        if sure:
            return SURE_AT_LEAST
        is_spike = when is not None and any(
            one.against is not Past.NONE and one.operator.is_upward for one in comparisons(when)
        )
        return BASELINE_AT_LEAST if is_spike else 0.0

    def _by(self, when: Condition | None) -> tuple[str, ...]:
        labels = self.values.texts("by", self.alert.by)
        if isinstance(when, CheckFailing | WorkerMissing):
            own = (CHECK_LABEL,) if isinstance(when, CheckFailing) else WORKER_LABELS
            if labels not in ((), own):
                what = "health checks" if isinstance(when, CheckFailing) else "workers"
                raise self._error(
                    "by", f'{what} are told apart by = "{", ".join(own)}" only; remove it'
                )
            return own
        if len(labels) > MAX_BY or len(set(labels)) < len(labels) or not all(labels):
            raise self._error("by", f"at most {MAX_BY} labels, each once")
        if labels and when is None:
            raise self._error("by", "an event rule has one instance; remove it")
        return labels

    def _quiet_while(self, name: str) -> tuple[str, ...]:
        names = self.values.names("quiet_while", self.alert.quiet_while)
        if name in names:
            raise self._error("quiet_while", "a rule cannot quiet itself; remove it")
        return names

    def _escalation(self) -> tuple[float, tuple[str, ...]]:
        names = self.values.names("escalate_to", self.alert.escalate_to)
        if self.alert.escalate_after is None:
            if names:
                raise self._error("escalate_to", 'needs when: escalate_after = "15m"')
            return 0.0, ()
        after_s = self.values.duration("escalate_after", self.alert.escalate_after)
        if after_s and not names:
            raise self._error("escalate_after", 'needs whom: escalate_to = ["oncall"]')
        return after_s, names

    def _runbook(self) -> str:
        runbook = self.values.text("runbook", self.alert.runbook)
        if runbook and not runbook.startswith(("https://", "http://")):
            raise self._error("runbook", "write an address that starts with https://")
        return runbook

    def _error(self, key: str, problem: str) -> ConfigurationError:
        return self.values.error(key, problem)


def _is_further(when: Comparison, worse: Comparison) -> bool:
    """Tell whether `worse` is true only where `when` is, too."""
    if when.operator.is_upward:
        return worse.threshold > when.threshold
    return when.operator.is_downward and worse.threshold < when.threshold


def _with_filters_of(other: Comparison, condition: Comparison) -> Comparison:
    """Let a condition without filters have those of the other: they need not be written twice."""
    if condition.selector.filters:
        return condition
    return replace(condition, selector=replace(condition.selector, filters=other.selector.filters))
