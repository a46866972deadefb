"""A notification's payload, read with care: any key may be missing, and any text is hostile."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.core import messages
from watchkeeper.core.conditions import CHECK_LABEL, Operator
from watchkeeper.core.missing import ALL
from watchkeeper.core.units import format_duration
from watchkeeper.notify.harmless import line
from watchkeeper.notify.moments import Seen

MAX_GROUP: Final = 60
MAX_TEXT: Final = 300  # of one sentence or fact
MAX_LABELS: Final = 8
ISSUE_LABEL: Final = "issue"  # alerts that have it tell of an event, not of a measured state
MAX_NUMBER: Final = 1e15  # above it nothing is a count, a duration or a moment

_COMPARED: Final[Mapping[str, str]] = {
    Operator.BELOW: "below",
    Operator.AT_MOST: "at most",
    Operator.UNEQUAL: "not",
}
_QUANTILE: Final = re.compile(r"p\d[\d.]{0,6} ")
_COUNTED: Final = re.compile(r"[^(]{0,60}\(\d+ of \d+(?P<how> slower| above)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notification with what is asked of it again and again."""

    kind: str
    payload: Mapping[str, Any]
    alerts: Sequence[Mapping[str, Any]]
    when: Seen

    @property
    def resolved(self) -> bool:
        """Tell whether it is over."""
        return self.payload.get("status") == "resolved"

    @property
    def only(self) -> Mapping[str, Any] | None:
        """The alert, if there is just one."""
        return self.alerts[0] if len(self.alerts) == 1 and not self.payload.get("more") else None

    @property
    def is_event(self) -> bool:
        """Tell whether it is about something that happened, not about something that lasts."""
        return bool(self.alerts) and all(ISSUE_LABEL in labels_of(one) for one in self.alerts)

    @property
    def is_check(self) -> bool:
        """Tell whether it is about health checks, which have no value."""
        return bool(self.alerts) and all(
            CHECK_LABEL in labels_of(one) and not one.get("threshold_text") for one in self.alerts
        )

    @property
    def is_list(self) -> bool:
        """Tell whether it lists several alerts, maybe of several rules."""
        return self.kind == "digest" and self.only is None

    @property
    def count(self) -> int:
        """How many alerts it is about."""
        return len(self.alerts) + read_count(self.payload.get("more"))

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return line(self.payload.get("rule") or "Alert", limit=MAX_GROUP * 2)

    @property
    def started_at(self) -> float | None:
        """When it began, in seconds since the epoch."""
        return read_moment(self.payload.get("started_at"))

    @property
    def ended_at(self) -> float | None:
        """When it ended, if it has."""
        return read_moment(self.payload.get("ended_at")) if self.resolved else None

    @property
    def lasted_s(self) -> float | None:
        """For how long it has been going on, or went on."""
        if self.started_at is None:
            return None
        end = self.when.now if self.ended_at is None else self.ended_at
        return max(0.0, end - self.started_at)


def without_rule(told: Told, summary: str, alert: Mapping[str, Any] | None = None) -> str:
    """Return a summary without the rule's name and its labels, which stand beside it."""
    name = str((alert or {}).get("rule") or told.payload.get("rule") or "")
    given = (alert or {}).get("labels")
    labels = given if isinstance(given, Mapping) else {}
    return messages.without_name(summary, name, {str(key): labels[key] for key in labels})


def by_group(told: Told, alert: Mapping[str, Any]) -> str:
    """Say one of several alerts by its group: "/checkout: p95 1.2 s > 1 s"."""
    group = ", ".join(labels_of(alert).values())
    summary = str(alert.get("summary") or "")
    short = without_rule(told, summary, alert)
    if short == summary or (alert.get("rule") or told.rule) != told.rule:  # nothing else names it
        return summary or group or told.rule
    return f"{group}: {short}" if group else short


def is_downward(alert: Mapping[str, Any]) -> bool:
    """Tell whether it is small values that an alert fires for."""
    return str(alert.get("operator") or "") in (Operator.BELOW, Operator.AT_MOST)


def figures(told: Told, alert: Mapping[str, Any]) -> str:
    """Write "p95 1.98 s (300 of 2000 slower in 5 min), threshold 1 s", as of now.

    The summary, of when it began, tells what the value is of and whether it has counts: of a
    gauge, `bad` and `total` are no counts of anything.
    """
    bad, total = read_number(alert.get("bad")), read_number(alert.get("total"))
    window_s = read_number(alert.get("window_s"))
    said = without_rule(told, str(alert.get("summary") or ""), alert)
    counted = _COUNTED.match(said)
    window = format_duration(window_s) if window_s else ""
    text = value_of(told, alert)
    if bad is not None and total and (counted or not said):
        how = (counted["how"] or "") if counted else ""
        text += f" ({bad:.0f} of {total:.0f}{how}{f' in {window}' if window else ''})"
    elif window:
        text += f" (over {window})"
    if alert.get("threshold_text"):
        compared = _COMPARED.get(str(alert.get("operator") or ""), "threshold")
        text += f", {compared} {alert['threshold_text']}"
    return text


def value_of(told: Told, alert: Mapping[str, Any]) -> str:
    """Write "p95 1.98 s", or "12.4 %"; "" if the alert has no value."""
    text = str(alert.get("value_text") or "")
    of = _QUANTILE.match(without_rule(told, str(alert.get("summary") or ""), alert))
    return f"{of[0]}{text}" if of and text and not text.startswith(of[0]) else text


def source_of(payload: Mapping[str, Any]) -> str:
    """Write whose message it is: "shop (production)"."""
    service = line(payload.get("service"), limit=MAX_GROUP)
    environment = line(payload.get("environment"), limit=MAX_GROUP)
    return f"{service} ({environment})" if service and environment else service or environment


def labels_of(alert: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an alert that tell one from others, each a harmless line."""
    given = alert.get("labels")
    labels = given if isinstance(given, Mapping) else {}
    return {
        str(name): line(value, limit=MAX_TEXT)
        for name, value in list(labels.items())[:MAX_LABELS]
        if value and value != ALL
    }


def read_count(value: object) -> int:
    """Return a number of alerts; 0 for what is none."""
    number = read_number(value)
    return int(number) if number is not None and number > 0 else 0


def read_number(value: object) -> float | None:
    """Return a number of a size that means something, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_NUMBER else None


def read_moment(value: object) -> float | None:
    """Return a moment that the calendar knows."""
    number = read_number(value)
    return number if number is not None and 0 <= number < 2e11 else None
