"""What a message says, in words for people; `layout` turns it into plain text and HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import islice
from typing import Any, Final

from watchkeeper.core.messages import MAX_LINKED
from watchkeeper.core.units import format_duration
from watchkeeper.notify.harmless import line, link
from watchkeeper.notify.moments import Seen
from watchkeeper.notify.notifier import Notification
from watchkeeper.notify.told import (
    MAX_GROUP,
    MAX_TEXT,
    Told,
    by_group,
    figures,
    is_downward,
    labels_of,
    read_count,
    read_moment,
    read_number,
    source_of,
    value_of,
    without_rule,
)

MAX_TITLE: Final = 150  # characters; a phone's lock screen shows about the first 40
MAX_LISTED: Final = 20  # alerts named one by one in a message
MAX_STEPS: Final = 5
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
    told = Told(
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
            Item(text=line(_item(told, one), limit=MAX_TEXT), url=_page_of(told, one))
            for one in listed
        ),
        more=read_count(payload.get("more")) + len(alerts[MAX_LISTED:]),
        meaning="" if told.resolved else line(payload.get("description"), limit=2 * MAX_TEXT),
        steps=_steps(told),
        links=_links(told),
        source=source_of(payload),
        footer=_footer(told),
    )


def _title(told: Told) -> str:
    """Say state, rule, group and value: what fits on a lock screen comes first."""
    if told.kind == TEST:
        return f"Test: this channel works, {source_of(told.payload)}".rstrip(", ")
    summary = line(told.payload.get("summary"), limit=MAX_TITLE)
    if told.kind == "digest" and not told.payload.get("rule"):
        return f"{told.count} alerts: {summary}".rstrip(": ")
    if summary and (told.kind == "digest" or (told.is_event and not told.resolved)):
        return summary
    return f"{_state(told)}: {told.rule}{_about(told)}"


def _state(told: Told) -> str:
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


def _about(told: Told) -> str:
    """Say which group, and the value or how long it lasted; of several alerts, how many."""
    if told.only is None:
        return f", {told.count} groups" if told.count else ""
    group = line(", ".join(labels_of(told.only).values()), limit=MAX_GROUP)
    named = f", {group}" if group else ""
    if told.resolved:
        return f"{named}, after {format_duration(told.lasted_s)}" if told.lasted_s else named
    value = value_of(told, told.only)
    if not value and not group and told.only.get("summary"):  # nothing else says what is wrong
        value = without_rule(told, str(told.only["summary"]), told.only)
    return f"{named}, {value}" if value and value != told.rule else named


def _lead(told: Told) -> str:
    """Say the figures and since when: what a lock screen shows below the title."""
    if told.kind == TEST:
        return "Nothing is wrong. Somebody asked Watchkeeper to send this message."
    late = ", delivered late" if told.payload.get("late") else ""
    kind = "resolved" if told.resolved else told.kind
    explained = _EXPLAINED.get(kind, "") if told.is_list or kind != "digest" else ""
    parts = [explained, _what(told)]
    if told.resolved:
        if told.started_at is not None and told.ended_at is not None:
            parts.append(f"{told.when.span(told.started_at, told.ended_at)}{late}.")
    elif told.started_at is not None and not told.is_list:
        since = f"{_began(told)} at" if told.is_event or told.payload.get("noticed") else "Since"
        parts.append(f"{since} {told.when.moment(told.started_at)}{late}.")
    return " ".join(part for part in parts if part)


def _began(told: Told) -> str:
    """Say what the first moment is; what is silent was so before anybody could notice."""
    if told.is_event:
        return "Seen"
    return "Noticed" if told.payload.get("noticed") else "Since"


_EXPLAINED: Final[Mapping[str, str]] = {
    "digest": "Several alerts, told together.",
    "escalated": "The channels before this one were told, and nobody has acknowledged it.",
    "again": "It had been resolved a short while ago and is back.",
    "flapping": "It comes and goes; until it has been calm for a while, only summaries are sent.",
    "changed": "The rule was changed; from now on it is judged by the new one.",
}


def _what(told: Told) -> str:
    """Say the value with its counts and threshold, or the summary where there is no value."""
    alert = told.only
    if alert is not None and alert.get("value_text") and not told.resolved:
        return f"{figures(told, alert)}."
    if told.is_list:  # the title is the summary, the alerts are listed
        return ""
    summary = told.payload.get("summary")
    if alert is None and told.alerts and not told.resolved:
        return f"The first: {by_group(told, told.alerts[0])}."
    said = str(summary or (alert or {}).get("summary") or "")
    shown = without_rule(told, said, alert).rstrip(".")
    if not told.is_event and not shown.startswith(tuple(labels_of(alert or {}).values())):
        shown = shown[:1].upper() + shown[1:]  # a name begins as it is written
    return f"{shown}." if shown else ""


def _facts(told: Told) -> list[Fact]:
    """Return the table: peak, labels, times, release, whose it is. The lead has the value."""
    found: list[tuple[str, object]] = []
    payload, alert = told.payload, told.only
    if alert is not None:
        if alert.get("peak_text") != alert.get("value_text"):
            found.append(("Lowest" if is_downward(alert) else "Peak", alert.get("peak_text")))
        if alert.get("value_text"):  # else the lead has it
            found.append(("Said", alert.get("said")))
        found += [(name[:1].upper() + name[1:], text) for name, text in labels_of(alert).items()]
    if told.started_at is not None and told.kind != TEST:
        found.append((_began(told), told.when.full(told.started_at)))
    if told.ended_at is not None:
        found.append(("Ended", told.when.full(told.ended_at)))
    if told.kind != "digest":  # of several rules, each has its own
        found.append(("Release", _release(payload.get("release"))))
    found.append(("Severity", payload.get("severity")))
    found.append(("Service", source_of(payload)))
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
    after_s = read_number(release.get("after_s"))
    if after_s is None or after_s < 0:
        return name
    what = "the return of release" if release.get("kind") == "return" else "release"
    return f"started {format_duration(round(after_s))} after {what} {name}".rstrip()


def _item(told: Told, alert: Mapping[str, Any]) -> str:
    """Say one of several alerts in a line, and that it is over if it is."""
    text = by_group(told, alert)
    ended_at = read_moment(alert.get("ended_at"))
    if ended_at is None:
        return text
    started_at = read_moment(alert.get("started_at"))
    if started_at is None:
        return f"{text} (over since {told.when.moment(ended_at)})"
    return f"{text} (over: {told.when.span(started_at, ended_at)})"


def _steps(told: Told) -> tuple[str, ...]:
    given = told.payload.get("next_steps")
    if told.resolved or not isinstance(given, list | tuple):
        return ()
    runbook = link(told.payload.get("runbook"))
    linked = (step for step in given if step and not (runbook and runbook in str(step)))
    return tuple(line(step, limit=MAX_TEXT) for step in islice(linked, MAX_STEPS))


def _footer(told: Told) -> str:
    numbers = [str(one["incident"]) for one in told.alerts[:MAX_LISTED] if one.get("incident")]
    word = "incident" if len(numbers) == 1 else "incidents"
    named = f"{word} {', '.join(numbers)}" if numbers else ""
    parts = ("Watchkeeper", source_of(told.payload), line(named, limit=2 * MAX_GROUP))
    return " · ".join(part for part in parts if part)


def _links(told: Told) -> tuple[Link, ...]:
    page = "Issue" if told.is_event and told.only is not None else "Dashboard"
    given = [("Health" if told.is_check else page, "link"), ("Runbook", "runbook")]
    if not told.resolved:
        of = _acted_on(told)
        given += [(f"Acknowledge{of}", "ack_link"), (f"Silence{of}", "silence_link")]
    found = [Link(name=name, url=link(told.payload.get(key))) for name, key in given]
    return tuple(one for one in found if one.url)


def _acted_on(told: Told) -> str:
    """Say which alerts a link acts on: all of the message, as far as a link can name them."""
    listed = told.payload.get("incidents")
    count = len(listed) if isinstance(listed, list | tuple) else told.count
    if count <= 1:
        return ""
    return f" all {count}" if count <= MAX_LINKED else f" the first {MAX_LINKED}"


def _page_of(told: Told, alert: Mapping[str, Any]) -> str:
    """Return the address of one of several alerts, if it has a page of its own.

    The dashboard of its time, which has a query, is that of all of them.
    """
    url = link(alert.get("link"))
    return url if "?" not in url and url != link(told.payload.get("link")) else ""
