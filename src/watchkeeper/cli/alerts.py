"""`watchkeeper alerts`: what fires, who was told, and what was."""

import json
from dataclasses import asdict

import click

from watchkeeper.cli.alerts_shown import list_lines, show_lines
from watchkeeper.cli.listing import NUMBER, Listing, as_json, opened, query
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo
from watchkeeper.core.units import parse_duration
from watchkeeper.dashboard import api
from watchkeeper.dashboard.alerts import MAX_ALERTS, alerts
from watchkeeper.dashboard.status import late_evaluation
from watchkeeper.exceptions import ConfigurationError, TriageError

MAX_HISTORY_S = 400 * 86_400.0  # incidents are kept no longer


@click.group(cls=Listing)
def command() -> None:
    """Show what fires and who was told; tell an incident from its beginning."""


@command.command("list")
@with_source
@click.option("--history", metavar="TIME", help="The incidents within a time as well, such as 7d.")
@as_json
def list_alerts(source: Source, history: str | None, as_json: bool) -> None:
    """List what is pending or fires, who was told, and what holds messages back."""
    span_s = None if history is None else parse_duration(history, where="--history")
    if span_s is not None and not 0 < span_s <= MAX_HISTORY_S:
        raise ConfigurationError(f"--history: {history!r} is not between 1s and 400d")
    with opened(source) as (store, now):
        since = None if span_s is None else now - span_s
        view = alerts(query(source, store, now), since=since)
    if as_json:
        echo(json.dumps(api.plain(asdict(view))))
        return
    for line in list_lines(view, history=history is not None):
        echo(line)
    if view.more:
        echo(f"there are more; at most {MAX_ALERTS} are shown", err=True)
    doubt = late_evaluation(view.evaluated_at or 0.0, slot_s=source.settings.slot_s, now=view.at)
    if doubt is not None:
        echo(f"{doubt.sentence} Does the application run?", err=True)


@command.command()
@click.argument("incident", type=NUMBER, metavar="INCIDENT")
@with_source
@as_json
def show(source: Source, incident: int, as_json: bool) -> None:
    """Tell an incident: breach, messages, who has it, end, each with its moment."""
    from watchkeeper.dashboard.incident import incident_view  # a list need not wait for it

    with opened(source) as (store, now):
        planned = source.settings.silences
        view = incident_view(query(source, store, now), incident, planned=planned)
    if view is None:
        raise TriageError(f"there is no incident {incident}; watchkeeper alerts --history 7d")
    if as_json:
        echo(json.dumps(api.plain(asdict(view))))
        return
    for line in show_lines(view):
        echo(line)
