"""An alert rule: what a user writes (`Alert`) and what is evaluated (`Rule`)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from watchkeeper.core.conditions import Condition, glob_matches, write_condition
from watchkeeper.core.stored_conditions import condition_from_data, condition_to_data
from watchkeeper.exceptions import ConfigurationError

FORMAT: Final = 1  # version of the canonical JSON
ISSUE_NEW: Final = "issue.new"
ISSUE_CAME_BACK: Final = "issue.came_back"
EVENTS: Final = (ISSUE_NEW, ISSUE_CAME_BACK)
ALSO_CALLED: Final = {"issue.returned": ISSUE_CAME_BACK}
SURE_AT_LEAST: Final = 3.0  # bad ones that certainty takes besides (simulated in the alert spec)
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
SEVERITIES: Final = ("info", "warning", "critical")


class Origin(StrEnum):
    """Where a rule was written; a later one overrides an earlier one of the same name."""

    PACK = "pack"
    CODE = "code"
    FILE = "file"
    DATABASE = "database"


class NoData(StrEnum):
    """What a rule makes of data that stay away for longer than `no_data_after_s`."""

    KEEP = "keep"
    OK = "ok"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule as a user writes it; the same words and strings as in TOML.

    Either `when` holds a condition ("error_rate > 5%"), or `on` names events ("issue.new"), or
    `slo` an objective ({"target": "99.9%", "good": "status < 500", "period": "30d"}).

    name      what messages and pages call it; a rule of the same name is replaced
    when      the condition that fires, clear the one that ends it (default: 80 % of the threshold)
    only_if   a condition without which nothing is known: the state stays as it is
    over      one window or several ("1m", "5m"), any of which fires; every_window: all must
    hold      how long it must be true before it fires, keep how long false before it ends
              (default: 2m, and at once for a check)
    tolerate  how many slots in a row may miss while it is pending
    by        labels: one instance per combination of their values, max_groups of them at most
    skip      label → globs: series left out
    sure      wait until the share is statistically certain (default: for shares with >)
    at_least  how many bad ones it takes at least
    warmup    workers younger than this are left out of latency and memory
    no_data   "keep", "ok" or "alert", once nothing was known for `no_data_after`
    after     consecutive failures of a health check
    on        events; level the lowest level of an issue; digest how long followers are collected
    quiet     how long after the first installation events are recorded without a message
    worse     a second level: {"when": "p95 > 3s", "severity": "critical"}; with a "hold" of
              its own it fires sooner than the first, or not at once where that fires
    severity  "info", "warning" or "critical"; of an objective also {"fast": …, "slow": …}
    channels  whom to tell instead of those that the severity is routed to
    repeat    how often a reminder is sent, cooldown how long a new incident continues the last
    group_wait      how long followers of a first message are collected
    quiet_while     rules whose firing explains this one: nobody is told meanwhile
    escalate_after  not acknowledged for so long, the channels `escalate_to` are told
    shadow    judge and record, but tell nobody
    description, runbook  a sentence and an address that messages carry
    """

    name: str
    when: str | None = None
    clear: str | None = None
    only_if: str | None = None
    slo: Mapping[str, str] | None = None
    over: str | Sequence[str] | None = None
    every_window: bool = False
    hold: str = "0s"
    keep: str | None = None
    tolerate: int = 1
    by: str | Sequence[str] = ()
    skip: Mapping[str, str | Sequence[str]] | None = None
    max_groups: int = 100
    severity: str | Mapping[str, str] = "warning"
    sure: bool | None = None
    at_least: float | None = None
    warmup: str = "30s"
    no_data: str = "keep"
    no_data_after: str = "5m"
    after: int = 3
    on: str | Sequence[str] = ()
    level: str = "error"
    digest: str = "5m"
    quiet: str = "0s"
    worse: Mapping[str, str] | None = None
    repeat: str = "4h"
    cooldown: str = "10m"
    group_wait: str = "30s"
    quiet_while: str | Sequence[str] = ()
    escalate_after: str | None = None
    escalate_to: str | Sequence[str] = ()
    channels: str | Sequence[str] = ()
    shadow: bool = False
    description: str = ""
    runbook: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Worse:
    """The second level of a rule: where it begins, and for how long it must be true.

    Without a hold of its own it waits with the rule, and for nothing once that fires. An incident
    that has reached it keeps it until it ends.
    """

    when: Condition
    severity: str
    hold_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert rule, compiled: units resolved, defaults explicit, contradictions ruled out.

    Every field but `origin` is part of the canonical JSON and so of the hash.
    """

    name: str
    origin: Origin
    enabled: bool = True
    severity: str
    when: Condition | None = None  # None: an event rule
    clear: Condition | None = None  # None: an event rule or a health check
    over_s: tuple[float, ...]
    hold_s: float = 0.0
    keep_s: float
    tolerate: int = 1
    by: tuple[str, ...] = ()
    skip: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sure: bool
    at_least: float
    no_data: NoData = NoData.KEEP
    no_data_after_s: float = 300.0
    after: int = 3
    on: tuple[str, ...] = ()
    level: str = "error"
    digest_s: float = 300.0
    quiet_s: float = 0.0
    worse: Worse | None = None
    repeat_s: float = 14_400.0  # between reminders; 0: none
    cooldown_s: float = 600.0
    only_if: Condition | None = None  # judged plainly; while it is not true nothing is known
    every_window: bool = False  # all of `over` must be true (burn rates), not any
    quiet_while: tuple[str, ...] = ()  # rules whose firing explains this one
    escalate_after_s: float = 0.0  # not acknowledged for so long; 0: never
    escalate_to: tuple[str, ...] = ()  # channels
    channels: tuple[str, ...] = ()  # instead of those routed by severity
    group_wait_s: float = 30.0  # how long followers of a first message wait for each other
    warmup_s: float = 30.0  # workers younger than this are left out of latency and memory
    max_groups: int = 100  # instances; the rest is judged together
    shadow: bool = False  # judged and recorded, but nobody is told
    description: str = ""  # for people, in messages
    runbook: str = ""  # an address, in messages

    @property
    def is_event(self) -> bool:
        """Whether it tells of single events instead of watching a condition."""
        return self.when is None

    @property
    def condition(self) -> str:
        """The condition, or the events, as a user would write it."""
        return write_condition(self.when) if self.when is not None else " or ".join(self.on)

    @property
    def hash(self) -> str:
        """A digest of all that the rule says."""
        return _digest(self.to_json())

    @property
    def deciding(self) -> str:
        """A digest of what decides when it fires and ends: no texts, nor who is told what.

        What has its default is left out, so that a field of a later version changes nothing.
        """
        data = {
            field.name: _to_data(getattr(self, field.name))
            for field in fields(self)
            if field.name in _DECIDING and getattr(self, field.name) != field.default
        }
        data["by"] = sorted(self.by)
        return _digest(json.dumps(data, sort_keys=True))

    def is_reached_by(self, level: str) -> bool:
        """Tell whether an issue's level is high enough for an event rule; an unknown one is."""
        return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)

    def skips(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series of these labels is left out."""
        return any(
            glob_matches(pattern, labels.get(label, ""))
            for label, patterns in self.skip
            for pattern in patterns
        )

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, times in seconds."""
        data: dict[str, Any] = {"v": FORMAT}
        for field in fields(self):
            if field.name != "origin":
                data[field.name.removesuffix("_s")] = _to_data(getattr(self, field.name))
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, *, origin: Origin) -> "Rule":
        """Read the canonical JSON back; raises ConfigurationError if it is none.

        What is absent has its default, so that a rule of an earlier version reads on; but what
        it fires and ends by (`when` with `clear`, or `on`; `over`, `keep`, `sure`) must be there.
        """
        try:
            data = json.loads(text)
            if data.pop("v") != FORMAT:
                raise ConfigurationError("the stored rule is of a newer version; upgrade")
            names = {field.name.removesuffix("_s"): field.name for field in fields(cls)}
            values = {names[key]: _from_data(key, value) for key, value in data.items()}
            values.setdefault("at_least", SURE_AT_LEAST if values["sure"] else 0.0)
            if not ({"when", "clear"} <= values.keys() or values.get("on")):
                raise ConfigurationError("the stored rule says neither when nor on what")
            return cls(origin=origin, **values)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigurationError(f"the stored rule cannot be read: {error}") from None


_DECIDING: Final = frozenset(
    (
        "when",
        "clear",
        "only_if",
        "over_s",
        "every_window",
        "hold_s",
        "keep_s",
        "tolerate",
        "skip",
        "max_groups",
        "sure",
        "at_least",
        "warmup_s",
        "no_data",
        "no_data_after_s",
        "after",
        "worse",
    )
)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_data(value: object) -> object:
    if isinstance(value, Worse):
        hold = {} if value.hold_s is None else {"hold": value.hold_s}
        return {"when": condition_to_data(value.when), "severity": value.severity, **hold}
    if isinstance(value, Condition):
        return condition_to_data(value)
    if isinstance(value, tuple):
        return [_to_data(part) for part in value]
    return value


def _from_data(key: str, value: Any) -> Any:
    if value is None:
        return None
    if key in ("when", "clear", "only_if"):
        return condition_from_data(value)
    if key == "worse":
        return Worse(
            when=condition_from_data(value["when"]),
            severity=value["severity"],
            hold_s=value.get("hold"),
        )
    if key == "skip":
        return tuple((label, tuple(patterns)) for label, patterns in value)
    if key == "no_data":
        return NoData(value)
    return tuple(value) if isinstance(value, list) else value
