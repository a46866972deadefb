"""`watchkeeper ack`: somebody has an incident."""

import json

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.listing import as_json, opened
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.dashboard.texts import exact
from watchkeeper.exceptions import TriageError
from watchkeeper.runtime.acknowledging import Outcome, acknowledge


@click.command()
@click.argument("incident", type=click.IntRange(min=1), metavar="INCIDENT")
@with_source
@click.option("--by", metavar="NAME", help="Who has it; you, unless you say otherwise.")
@click.option("--note", default="", metavar="TEXT", help="What others should know.")
@as_json
def command(source: Source, incident: int, by: str | None, note: str, as_json: bool) -> None:
    """Say that somebody has an incident: reminders and escalation stop.

    That it is over is told all the same. `watchkeeper alerts` shows the numbers of incidents.
    """
    name = by or actor().removeprefix("cli ")
    with opened(source) as (store, now):
        scope = scope_of(source.settings)
        done = acknowledge(store, scope, incident, by=name, note=note, actor=actor(), at=now)
    found = done.incident
    if found is None:
        raise TriageError(f"there is no incident {incident}; watchkeeper alerts lists them")
    if done.outcome is Outcome.OVER:
        raise TriageError(f"incident {incident} does not fire: there is nothing to acknowledge")
    if as_json:
        shown = {
            "incident": found.id,
            "outcome": done.outcome.value,
            "by": found.acked_by,
            "at": found.acked_at,
            "note": found.ack_note,
        }
        echo(json.dumps(shown))
        return
    has = f"{plain(found.acked_by)} has incident {found.id}, {plain(found.rule)}"
    since = "" if found.acked_at is None else f", since {exact(found.acked_at)}"
    echo(f"{has}{since}" if done.outcome is Outcome.ALREADY else has)
