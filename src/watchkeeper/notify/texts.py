"""What a message says, in words for people; `layout` turns it into plain text and HTML."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import islice
from typing import Any, Final

from watchkeeper.core.units import format_duration
from watchkeeper.notify.harmless import line, link
from watchkeeper.notify.moments import Seen
from watchkeeper.notify.notifier import Notification

MAX_TITLE: Final = 150  # characters; a phone's lock screen shows about the first 40
MAX_GROUP: Final = 60
MAX_TEXT: Final = 300  # of one sentence or fact
MAX_LISTED: Final = 20  # alerts named one by one in a message
MAX_LABELS: Final = 8
MAX_STEPS: Final = 5
ISSUE_LABEL: Final = "issue"  # alerts that have it tell of an event, not of a measured state
TEST: Final = "test"  # the kind of message that `watchkeeper notify test` sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the table: what it is, and the value as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address of ours with the words to click on."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One of several alerts in a message."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """All that a message says. Every text is one harmless line; none is HTML or Markdown."""

    title: str
    lead: str
    resolved: bool
    severity: str
    facts: tuple[Fact, ...] = ()
    items: tuple[Item, ...] = ()
    more: int = 0  # alerts beyond `items`
    meaning: str = ""
    steps: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    source: str = ""  # "shop (production)"
    footer: str = ""


def compose(notification: Notification, *, zone: tzinfo = UTC) -> Message:
    """Return what a notification says. Any key of its payload may be missing.

    Moments are shown in `zone`, which is named with each of them.
    """
    payload = notification.payload
    alerts = [one for one in payload.get("alerts") or () if isinstance(one, Mapping)]
    told = _Told(
        kind=notification.kind,
        payload=payload,
        alerts=alerts,
        when=Seen(now=notification.at, zone=zone),
    )
    listed = alerts[:MAX_LISTED] if told.only is None else []
    return Message(
        title=line(_title(told), limit=MAX_TITLE),
        lead=line(_lead(told), limit=2 * MAX_TEXT),
        resolved=told.resolved,
        severity=line(payload.get("severity"), limit=MAX_GROUP),
        facts=tuple(_facts(told)),
        items=tuple(
            Item(text=line(_item(told, one), limit=MAX_TEXT), url=link(one.get("link")))
            for one in listed
        ),
        more=_count(payload.get("more")) + len(alerts[MAX_LISTED:]),
        meaning="" if told.resolved else line(payload.get("description"), limit=2 * MAX_TEXT),
        steps=_steps(told),
        links=_links(told),
        source=_source(payload),
        footer=_footer(told),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
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
        return bool(self.alerts) and all(ISSUE_LABEL in _labels(one) for one in self.alerts)

    @property
    def count(self) -> int:
        """How many alerts it is about."""
        return len(self.alerts) + _count(self.payload.get("more"))

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return line(self.payload.get("rule") or "Alert", limit=MAX_GROUP * 2)

    @property
    def started_at(self) -> float | None:
        """When it began, in seconds since the epoch."""
        return _moment(self.payload.get("started_at"))

    @property
    def ended_at(self) -> float | None:
        """When it ended, if it has."""
        return _moment(self.payload.get("ended_at")) if self.resolved else None

    @property
    def lasted_s(self) -> float | None:
        """For how long it has been going on, or went on."""
        if self.started_at is None:
            return None
        end = self.when.now if self.ended_at is None else self.ended_at
        return max(0.0, end - self.started_at)


def _title(told: _Told) -> str:
    """Say state, rule, group and value: what fits on a lock screen comes first."""
    if told.kind == TEST:
        return f"Test: this channel works, {_source(told.payload)}".rstrip(", ")
    summary = str(told.payload.get("summary") or "")
    if told.kind == "digest" and not told.payload.get("rule"):
        return f"{told.count} alerts: {summary}".rstrip(": ")
    if summary and (told.kind == "digest" or (told.is_event and not told.resolved)):
        return summary
    return f"{_state(told)}: {told.rule}{_about(told)}"


def _state(told: _Told) -> str:
    lasted = format_duration(told.lasted_s) if told.lasted_s is not None else ""
    if told.resolved:
        return "Resolved, told late" if told.payload.get("late") else "Resolved"
    severity = str(told.payload.get("severity") or "")
    words = {
        "firing": severity[:1].upper() + severity[1:] or "Firing",
        "worse": f"Worse, now {severity}",
        "reminder": f"Still firing after {lasted}" if lasted else "Still firing",
        "escalated": f"Nobody has reacted for {lasted}" if lasted else "Nobody has reacted",
        "again": "Again",
        "flapping": "Flapping",
        "changed": "Rule changed while firing",
    }
    return words.get(told.kind, words["firing"])


def _about(told: _Told) -> str:
    """Say which group, and the value or how long it lasted; of several alerts, how many."""
    if told.only is None:
        return f", {told.count} groups" if told.count else ""
    group = line(", ".join(_labels(told.only).values()), limit=MAX_GROUP)
    named = f", {group}" if group else ""
    if told.resolved:
        return f"{named}, after {format_duration(told.lasted_s)}" if told.lasted_s else named
    value = _value(told, told.only)
    return f"{named}, {value}" if value else named


def _lead(told: _Told) -> str:
    """Say the figures and since when: what a lock screen shows below the title."""
    if told.kind == TEST:
        return "Nothing is wrong. Somebody asked Watchkeeper to send this message."
    late = ", delivered late" if told.payload.get("late") else ""
    parts = [_EXPLAINED.get("resolved" if told.resolved else told.kind, ""), _what(told)]
    if told.resolved:
        if told.started_at is not None and told.ended_at is not None:
            parts.append(f"{told.when.span(told.started_at, told.ended_at)}{late}.")
    elif told.started_at is not None and told.kind != "digest":
        since = "Seen at" if told.is_event else "Since"
        parts.append(f"{since} {told.when.moment(told.started_at)}{late}.")
    return " ".join(part for part in parts if part)


_EXPLAINED: Final[Mapping[str, str]] = {
    "digest": "Several alerts, told together.",
    "escalated": "The channels before this one were told, and nobody has acknowledged it.",
    "again": "It had been resolved a short while ago and is back.",
    "flapping": "It comes and goes; until it has been calm for a while, only summaries are sent.",
    "changed": "The rule was changed; from now on it is judged by the new one.",
}


def _what(told: _Told) -> str:
    """Say the value with its counts and threshold, or the summary where there is no value."""
    alert = told.only
    if alert is not None and alert.get("value_text") and not told.resolved:
        return f"{_figures(told, alert)}."
    if told.kind == "digest":  # the title is the summary, the alerts are listed
        return ""
    summary = told.payload.get("summary")
    if alert is None and told.alerts and not told.resolved:
        return f"The first: {_without_rule(told, told.alerts[0])}."
    shown = _short(told, str(summary or (alert or {}).get("summary") or "")).rstrip(".")
    if told.resolved:
        shown = shown[:1].upper() + shown[1:]
    return f"{shown}." if shown else ""


def _short(told: _Told, summary: str) -> str:
    """Return a summary without the rule's name and its labels, which stand in the title."""
    about, colon, rest = summary.partition(": ")
    name = str(told.payload.get("rule") or "")
    is_named = about == name or (about.startswith(f"{name} (") and about.endswith(")"))
    return rest if name and colon and is_named else summary


def _without_rule(told: _Told, alert: Mapping[str, Any]) -> str:
    """Say one of several alerts by its group: "/checkout: p95 1.2 s > 1 s"."""
    group = ", ".join(_labels(alert).values())
    summary = str(alert.get("summary") or "")
    short = _short(told, summary)
    if short == summary:
        return summary or group or told.rule
    return f"{group}: {short}" if group else short


def _figures(told: _Told, alert: Mapping[str, Any]) -> str:
    """Write "p95 1.98 s (300 of 2000 slower in 5 min), threshold 1 s", as of now.

    The summary, of when it began, tells what the value is of and whether it has counts: of a
    gauge, `bad` and `total` are no counts of anything.
    """
    bad, total = _number(alert.get("bad")), _number(alert.get("total"))
    window_s = _number(alert.get("window_s"))
    said = _short(told, str(alert.get("summary") or ""))
    counted = _COUNTED.match(said)
    window = format_duration(window_s) if window_s else ""
    text = _value(told, alert)
    if bad is not None and total and (counted or not said):
        how = (counted["how"] or "") if counted else ""
        text += f" ({bad:.0f} of {total:.0f}{how}{f' in {window}' if window else ''})"
    elif window:
        text += f" (over {window})"
    if alert.get("threshold_text"):
        text += f", threshold {alert['threshold_text']}"
    return text


def _value(told: _Told, alert: Mapping[str, Any]) -> str:
    """Write "p95 1.98 s", or "12.4 %"; "" if the alert has no value."""
    text = str(alert.get("value_text") or "")
    of = _QUANTILE.match(_short(told, str(alert.get("summary") or "")))
    return f"{of[0]}{text}" if of and text and not text.startswith(of[0]) else text


_QUANTILE: Final = re.compile(r"p\d[\d.]{0,6} ")
_COUNTED: Final = re.compile(r"[^(]{0,60}\(\d+ of \d+(?P<how> slower| above)?")


def _facts(told: _Told) -> list[Fact]:
    """Return the table: peak, labels, times, release, whose it is. The lead has the value."""
    found: list[tuple[str, object]] = []
    payload, alert = told.payload, told.only
    if alert is not None:
        if alert.get("peak_text") != alert.get("value_text"):
            found.append(("Peak", alert.get("peak_text")))
        found += [(name[:1].upper() + name[1:], text) for name, text in _labels(alert).items()]
    if told.started_at is not None and told.kind != TEST:
        found.append(("Seen" if told.is_event else "Since", told.when.moment(told.started_at)))
    if told.ended_at is not None:
        found.append(("Ended", told.when.moment(told.ended_at)))
    if told.kind != "digest":  # of several rules, each has its own
        found.append(("Release", _release(payload.get("release"))))
    found.append(("Severity", payload.get("severity")))
    found.append(("Service", _source(payload)))
    return [
        Fact(name=line(name, limit=MAX_GROUP), text=line(value, limit=MAX_TEXT))
        for name, value in found
        if value
    ]


def _release(release: object) -> str:
    """Write "started 40 s after release v42"."""
    if not isinstance(release, Mapping):
        return ""
    name = line(release.get("name"), limit=MAX_GROUP)
    after_s = _number(release.get("after_s"))
    if after_s is None or after_s < 0:
        return name
    return f"started {format_duration(round(after_s))} after release {name}".rstrip()


def _item(told: _Told, alert: Mapping[str, Any]) -> str:
    """Say one of several alerts in a line, and that it is over if it is."""
    text = _without_rule(told, alert)
    ended_at = _moment(alert.get("ended_at"))
    if ended_at is None:
        return text
    started_at = _moment(alert.get("started_at"))
    if started_at is None:
        return f"{text} (over since {told.when.moment(ended_at)})"
    return f"{text} (over: {told.when.span(started_at, ended_at)})"


def _steps(told: _Told) -> tuple[str, ...]:
    given = told.payload.get("next_steps")
    if told.resolved or not isinstance(given, list | tuple):
        return ()
    runbook = link(told.payload.get("runbook"))
    linked = (step for step in given if step and not (runbook and runbook in str(step)))
    return tuple(line(step, limit=MAX_TEXT) for step in islice(linked, MAX_STEPS))


def _footer(told: _Told) -> str:
    numbers = [str(one["incident"]) for one in told.alerts[:MAX_LISTED] if one.get("incident")]
    word = "incident" if len(numbers) == 1 else "incidents"
    named = f"{word} {', '.join(numbers)}" if numbers else ""
    parts = ("Watchkeeper", _source(told.payload), line(named, limit=2 * MAX_GROUP))
    return " · ".join(part for part in parts if part)


def _links(told: _Told) -> tuple[Link, ...]:
    given = [("Dashboard", "link"), ("Runbook", "runbook")]
    if not told.resolved:
        which = " the first" if len(told.alerts) > 1 else ""  # that is what the links are of
        given += [(f"Acknowledge{which}", "ack_link"), (f"Silence{which}", "silence_link")]
    found = [Link(name=name, url=link(told.payload.get(key))) for name, key in given]
    return tuple(one for one in found if one.url)


def _source(payload: Mapping[str, Any]) -> str:
    service = line(payload.get("service"), limit=MAX_GROUP)
    environment = line(payload.get("environment"), limit=MAX_GROUP)
    return f"{service} ({environment})" if service and environment else service or environment


def _labels(alert: Mapping[str, Any]) -> dict[str, str]:
    given = alert.get("labels")
    labels = given if isinstance(given, Mapping) else {}
    return {
        str(name): line(value, limit=MAX_TEXT)
        for name, value in list(labels.items())[:MAX_LABELS]
        if value
    }


def _count(value: object) -> int:
    number = _number(value)
    return int(number) if number is not None and number > 0 else 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _moment(value: object) -> float | None:
    """Return a moment that the calendar knows."""
    number = _number(value)
    return number if number is not None and 0 <= number < 2e11 else None
