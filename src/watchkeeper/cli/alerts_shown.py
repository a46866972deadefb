"""Alerts and incidents on a terminal."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import click

from watchkeeper.cli.terminal import plain
from watchkeeper.core.rule import SEVERITIES
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.alerts import delivery_text
from watchkeeper.dashboard.views_alerts import (
    Acknowledged,
    AlertsView,
    AlertView,
    Delivery,
    PastIncident,
    SilenceView,
)
from watchkeeper.dashboard.views_issues import IncidentView

WORDS: Final = {
    "pending": "PENDING",
    "firing": "FIRING",
    "recovering": "CALMING",
    "resolved": "OVER",
    "event": "EVENT",
}
COLOURS: Final = {"critical": "red", "warning": "yellow", "info": "blue"}
# Of what is decided, only what people would ask about: why was nobody told?
HELD: Final = {
    "silenced": "silenced",
    "inhibited": "explained",
    "quiet_hours": "waits for the end of the quiet hours",
    "collecting": "waits for others of its rule",
    "shadow": "nobody is told: the rule is being tried out",
    "nobody": "nobody is told: no channel is set for it",
}
MAX_TOLD: Final = 6  # deliveries of one alert in a list


def list_lines(view: AlertsView, *, history: bool) -> Iterator[str]:
    """Yield two lines or three for each alert, and one for each incident of the past."""
    for alert in view.alerts:
        yield from _alert(alert, view.at)
    if not view.alerts:
        yield "nothing fires"
    if history:
        yield ""
        yield click.style(f"{'ID':>6}  {'STARTED (UTC)':<16}  {'LASTED':<9}  INCIDENT", bold=True)
        for incident in view.incidents:
            yield _past(incident)


def told_text(told: Sequence[Delivery], at: float) -> str:
    """Say who was told and what became of the rest: "told ops 12:00:03; slack: tried 4 times"."""
    last: dict[str, Delivery] = {one.channel: one for one in told if one.status != "withdrawn"}
    shown = [
        f"{delivery_text(one)} {_clock(one.sent_at, at)}"
        if one.sent_at is not None
        else delivery_text(one)
        for one in last.values()
    ]
    more = [f"and {len(shown) - MAX_TOLD} more"] if len(shown) > MAX_TOLD else []
    return plain("; ".join([*shown[:MAX_TOLD], *more]), width=400)


def show_lines(view: IncidentView) -> Iterator[str]:
    """Yield the lines of one incident: what it is, then what happened when."""
    one = view.incident
    yield click.style(f"{plain(one.rule)} (incident {one.id})", bold=True)
    group = f"  {plain(one.group)}" if one.group else ""
    yield f"{_word(view.state, one.severity)}  {plain(one.severity)}{group}"
    yield f"{plain(one.summary, width=300)}"
    if view.acknowledged is not None:
        yield _acknowledged(view.acknowledged, view.at)
    if view.silenced is not None:
        yield f"silenced: {silence_text(view.silenced, view.at)}"
    elif held := _held(view.why, view.held_by):
        yield held
    yield ""
    for happened in view.timeline:
        at = datetime.fromtimestamp(happened.at, UTC)
        yield f"{at:%Y-%m-%d %H:%M:%S}  {happened.what:<12}  {plain(happened.text, width=300)}"
    for issue in view.issues:
        mark = "new" if issue.is_new else f"×{issue.count}"
        yield f"{'':19}  {'issue':<12}  {issue.id} {plain(issue.title, width=120)} ({mark})"


def silence_lines(silences: Sequence[SilenceView], at: float) -> Iterator[str]:
    """Yield one line for each silence."""
    if not silences:
        yield "there is no silence"
    for one in silences:
        name = "settings" if one.id is None else str(one.id)
        state = click.style("active", fg="yellow") if one.active else "waits "
        yield f"{name:>8}  {state}  {silence_text(one, at)}"


def silence_text(one: SilenceView, at: float) -> str:
    """Say what a silence is about, until when, by whom and why."""
    about = ", ".join(f"{key} {'|'.join(globs)}" for key, globs in one.matchers.items())
    parts = [about or "every alert"]
    if one.schedule:
        parts.append(f"every {one.schedule}")
    if one.starts_at is not None and one.starts_at > at:
        parts.append(f"from {texts.exact(one.starts_at)}")
    if one.ends_at is not None:
        parts.append(f"until {texts.exact(one.ends_at)}")
    if one.author:
        parts.append(f"by {one.author}")
    said = f": {one.comment}" if one.comment else ""
    return plain(f"{', '.join(parts)}{said}", width=300)


def _alert(alert: AlertView, at: float) -> Iterator[str]:
    group = f"   {plain(alert.group, width=60)}" if alert.group else ""
    name = f" [{alert.incident}]" if alert.incident is not None else ""
    flaps = "   comes and goes" if alert.flapping else ""
    yield (
        f"{_word(alert.state, alert.severity)}  {plain(alert.rule)}{name}{group}   "
        f"{plain(alert.summary)}   for {texts.span(alert.lasted_s)}{flaps}"
    )
    if alert.acknowledged is not None:
        yield f"{'':9}{_acknowledged(alert.acknowledged, at)}"
    if held := _held(alert.why, alert.held_by):
        yield f"{'':9}{held}"
    if alert.told:
        yield f"{'':9}{told_text(alert.told, at)}"


def _past(one: PastIncident) -> str:
    at = datetime.fromtimestamp(one.started_at, UTC)
    lasted = texts.span(one.lasted_s) if one.state != "event" else ""
    group = f"  {plain(one.group, width=60)}" if one.group else ""
    by = f"  (had by {plain(one.acknowledged.by, width=40)})" if one.acknowledged else ""
    open_ = "" if one.state in ("resolved", "event") else "  lasts"
    summary = plain(one.summary, width=160)
    return (
        f"{one.id:>6}  {at:%Y-%m-%d %H:%M}  {lasted:<9}  "
        f"{plain(one.rule)}{group}  {summary}{by}{open_}"
    )


def _word(state: str, severity: str) -> str:
    word = WORDS.get(state, plain(state).upper())
    known = severity if severity in SEVERITIES else "info"
    dim = state in ("pending", "resolved", "event")
    return click.style(f"{word:<7}", fg=None if dim else COLOURS[known], bold=not dim)


def _acknowledged(one: Acknowledged, at: float) -> str:
    note = f": {plain(one.note)}" if one.note else ""
    return f"{plain(one.by, width=60)} has it, since {_clock(one.at, at)}{note}"


def _held(why: str | None, held_by: str | None) -> str:
    said = HELD.get(why or "", "")
    return f"{said} by {plain(held_by)}" if said and held_by else said


def _clock(moment: float, at: float) -> str:
    """Show a moment to the second, with its day if it is another."""
    when, now = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(at, UTC)
    return f"{when:%H:%M:%S}" if when.date() == now.date() else f"{when:%d %b %H:%M:%S}"
