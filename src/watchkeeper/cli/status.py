"""`watchkeeper status`: how the application is, on one screen and as an exit code."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from watchkeeper.cli.actor import scope_of
from watchkeeper.cli.alerts_shown import told_text
from watchkeeper.cli.listing import foreign, query
from watchkeeper.cli.source import Source, open_existing, slot_length, with_source
from watchkeeper.cli.terminal import echo, plain, sparkline
from watchkeeper.cli.verbs import CRITICAL, FINE, UNKNOWN, WARNING
from watchkeeper.core.catalogue import SELF_DROPPED, SELF_FLUSH
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.self_metrics import SELF_CLOCK_SKEW
from watchkeeper.core.skew import told_of
from watchkeeper.core.slot import Gauge
from watchkeeper.core.units import format_size
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.alerts import deliveries
from watchkeeper.dashboard.queries import overview
from watchkeeper.dashboard.status import Level
from watchkeeper.dashboard.views import Figures, IncidentRow, IssueRow, Overview
from watchkeeper.dashboard.views_alerts import Delivery
from watchkeeper.runtime.configured import make_rules
from watchkeeper.storage import Store

SPAN_S: Final = 3_600
SELF_SPAN_S: Final = 900
SPARK_WIDTH: Final = 24
MAX_INCIDENTS: Final = 8
MAX_ISSUES: Final = 3
MAX_PROBLEM: Final = 400  # characters of a sentence
NOBODY: Final = "nobody is told of what fires: no channel is set"
NO_CODE: Final = "those in the application's code are not known here, name it: --app MODULE"
CODES: Final[Mapping[Level, int]] = {
    Level.OK: FINE,
    Level.WARNING: WARNING,
    Level.CRITICAL: CRITICAL,
    Level.UNKNOWN: UNKNOWN,
}
COLOURS: Final[Mapping[Level, str]] = {
    Level.OK: "green",
    Level.WARNING: "yellow",
    Level.CRITICAL: "red",
    Level.UNKNOWN: "magenta",
}
SEVERITIES: Final[Mapping[str, tuple[str, str]]] = {
    "critical": ("CRIT", "red"),
    "warning": ("WARN", "yellow"),
    "info": ("INFO", "blue"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """How Watchkeeper itself does: the last quarter of an hour, and the database's size."""

    flush_p50_s: float | None
    dropped: int
    database_bytes: int


@click.command()
@with_source
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source,
    as_json: bool,
) -> int:
    """Show how the application is: what fires, key figures, newest issues.

    The exit code is 0 if all is well, 1 for a warning, 2 for a critical alert, 3 for unknown.
    """
    store = open_existing(source.settings)
    try:
        now = time.time()
        slot_s = slot_length(store, source.settings, now=now)
        view = overview(
            store,
            service=source.settings.service,
            environment=source.settings.environment,
            start=now - SPAN_S,
            end=now,
            now=now,
            slot_s=slot_s,
        )
        own = read_own(store, view, slot_s=slot_s)
        asked = query(source, store, now)
        told = {one.id: deliveries(asked, [one.id]) for one in view.incidents[:MAX_INCIDENTS]}
        problems = [
            *_problems(source, store, slot_s=slot_s),
            *_clocks_apart(store, view, slot_s=slot_s),
            *filter(None, [foreign(source, store)]),
        ]
        if view.incidents and not source.settings.channels and not any(told.values()):
            problems.append(NOBODY if source.loaded.code is not None else f"{NOBODY}; {NO_CODE}")
    finally:
        store.close()
    if as_json:
        echo(json.dumps({**to_json(view, own, source, told), "problems": problems}))
    else:
        for line in screen(view, own, source, told):
            echo(line)
        for problem in problems:
            echo(f"  watchkeeper: {plain(problem, width=MAX_PROBLEM)}")
    return CODES[view.status.level]


def _problems(source: Source, store: Store, *, slot_s: int) -> list[str]:
    """Return what is wrong with settings and rules, and what is in force instead."""
    problems = list(source.loaded.problems)
    rules = make_rules(source.loaded, problems, slot_s=slot_s)
    rules.follow(store, scope_of(source.settings))
    return [*problems, *rules.problems]


def _clocks_apart(store: Store, view: Overview, *, slot_s: int) -> list[str]:
    """Return a sentence for each host whose clock is far from the database's, as last measured."""
    frames = store.frames(
        slot_s,
        since=view.at - SELF_SPAN_S,
        until=view.at + SELF_SPAN_S,  # by a clock that is ahead
        service=view.service,
        environment=view.environment,
        metrics=(SELF_CLOCK_SKEW.name,),
    )
    last = {
        dict(series.labels)["host"]: value.last
        for frame in sorted(frames, key=lambda frame: frame.key.start)
        for series, value in frame.values.items()
        if isinstance(value, Gauge)
    }
    return [sentence for host, skew in sorted(last.items()) if (sentence := told_of(host, skew))]


def to_json(
    view: Overview, own: Own, source: Source, told: Mapping[int, Sequence[Delivery]]
) -> dict[str, Any]:
    """Return what the screen shows as plain values; None is unknown."""
    return {
        "level": view.status.level.value,
        "reason": view.status.reason.value,
        "sentence": view.status.sentence,
        "service": view.service,
        "environment": view.environment,
        "database": view.storage,
        "database_from": source.database_from,
        "processes": view.workers,
        "hosts": view.hosts,
        "data_age_s": view.data_age_s,
        "figures": asdict(view.figures),
        "before": None if view.before is None else asdict(view.before),
        "incidents": [
            {**asdict(one), "told": [asdict(each) for each in told.get(one.id, ())]}
            for one in view.incidents
        ],
        "more_incidents": view.more_incidents,
        "issues": [asdict(one) for one in view.issues],
        "self": asdict(own),
    }


def screen(
    view: Overview, own: Own, source: Source, told: Mapping[int, Sequence[Delivery]]
) -> Iterator[str]:
    """Yield the lines of the screen."""
    level = view.status.level
    head = click.style(f"{texts.SYMBOLS[level]} {level.upper()}", fg=COLOURS[level], bold=True)
    yield "   ".join(
        [
            head,
            click.style(plain(view.service), bold=True) + f" ({plain(view.environment)})",
            f"{_count(view.workers, 'process', 'processes')} on {_count(view.hosts, 'host')}",
            f"data {texts.span(view.data_age_s)} old"
            if view.data_age_s is not None
            else "no data",
            f"{plain(view.storage)} (from {source.database_from})",
        ]
    )
    yield f"  {plain(view.status.sentence)}"
    for incident in view.incidents[:MAX_INCIDENTS]:
        yield _incident(incident)
        if told.get(incident.id):
            yield f"        {told_text(told[incident.id], view.at)}"
    more = view.more_incidents + len(view.incidents[MAX_INCIDENTS:])
    if more:
        yield f"  and {more} more"
    yield _figures(view.figures, view.before)
    if view.figures.requests:
        yield _sparklines(view)
    for issue in view.issues[:MAX_ISSUES]:
        yield _issue(issue, now=view.at)
    yield (
        f"  self  flush {texts.seconds(own.flush_p50_s)}   dropped {own.dropped}   "
        f"{format_size(own.database_bytes)}"
    )


def read_own(store: Store, view: Overview, *, slot_s: int) -> Own:
    """Read how Watchkeeper itself does from the newest slots."""
    flushes, dropped = Histogram(), 0.0
    for frame in store.frames(
        slot_s,
        since=view.at - SELF_SPAN_S,
        until=view.at,
        service=view.service,
        environment=view.environment,
        metrics=(SELF_FLUSH.name, SELF_DROPPED.name),
    ):
        for value in frame.values.values():
            if isinstance(value, Histogram):
                flushes.merge(value)
            elif isinstance(value, int | float):
                dropped += value
    return Own(
        flush_p50_s=flushes.quantile(0.5) if flushes.count else None,
        dropped=int(dropped),
        database_bytes=store.size_bytes(),
    )


def _incident(one: IncidentRow) -> str:
    word, colour = SEVERITIES.get(one.severity, (plain(one.severity, width=4).upper(), "blue"))
    group = f"   {plain(one.group, width=60)}" if one.group else ""
    styled = click.style(word, fg=colour, bold=True)
    return (
        f"  {styled}  {plain(one.rule)}{group}   {plain(one.summary)}"
        f"   for {texts.span(one.lasted_s)}"
    )


def _figures(now: Figures, before: Figures | None) -> str:
    rate = texts.relative(now.requests_per_s, before.requests_per_s if before else None)
    errors = texts.points(now.error_rate, before.error_rate if before else None)
    return (
        f"  1 h   {texts.number(now.requests_per_s)} req/s{f' ({rate.text})' if rate else ''}"
        f"   errors {texts.share(now.error_rate)}{f' ({errors.text})' if errors else ''}"
        f"   p50 {texts.seconds(now.p50_s)}  p95 {texts.seconds(now.p95_s)}"
        f"  p99 {texts.seconds(now.p99_s)}"
    )


def _sparklines(view: Overview) -> str:
    figures = [point.figures for point in view.points]
    drawn = [
        sparkline([getattr(one, name) if one else None for one in figures], width=SPARK_WIDTH)
        for name in ("requests_per_s", "error_rate", "p95_s")
    ]
    return ("        " + "   ".join(drawn)).rstrip()


def _issue(issue: IssueRow, *, now: float) -> str:
    word = "new  " if issue.is_new else "back " if issue.state == "came_back" else "again"
    return (
        f"  {word} {plain(issue.type, width=60)} ×{issue.count}   {plain(issue.culprit, width=60)}"
        f"   first {texts.clock(issue.first_at, now)} UTC"
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
