"""`watchkeeper ack`: somebody has an incident."""

import json
from typing import Any, Final

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.listing import as_json, opened
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.core.metrics import Scope
from watchkeeper.dashboard.texts import exact
from watchkeeper.exceptions import TriageError
from watchkeeper.runtime.acknowledging import Acknowledged, Outcome, acknowledge
from watchkeeper.runtime.issue_names import MAX_ID_DIGITS
from watchkeeper.storage import Store
from watchkeeper.storage.store import Incident

MAX_INCIDENTS: Final = 1_000  # of one rule


@click.command()
@click.argument("incident", metavar="INCIDENT|RULE")
@with_source
@click.option("--by", metavar="NAME", help="Who has it; you, unless you say otherwise.")
@click.option("--note", default="", metavar="TEXT", help="What others should know.")
@as_json
def command(source: Source, incident: str, by: str | None, note: str, as_json: bool) -> None:
    """Say that somebody has an incident: reminders and escalation stop.

    By its number, or by the name of its rule: all of it that fires. That it is over is told all
    the same. `watchkeeper alerts` shows numbers and names.
    """
    name = by or actor().removeprefix("cli ")
    with opened(source) as (store, now):
        scope = scope_of(source.settings)
        done = [
            acknowledge(store, scope, one, by=name, note=note, actor=actor(), at=now)
            for one in _numbers(store, scope, incident)
        ]
    if _is_number(incident):
        _complain(incident, done[0])
    taken = [(one.outcome, one.incident) for one in done if one.incident is not None]
    if as_json:
        shown = [_shown(outcome, found) for outcome, found in taken]
        echo(json.dumps(shown[0] if _is_number(incident) else shown))
        return
    for outcome, found in taken:
        echo(_told(outcome, found))


def _is_number(incident: str) -> bool:
    return incident.isascii() and incident.isdigit() and len(incident) <= MAX_ID_DIGITS


def _numbers(store: Store, scope: Scope, incident: str) -> list[int]:
    """Return the number that was said, or those of what fires of the rule."""
    if _is_number(incident):
        return [int(incident)]
    firing = store.incidents(
        service=scope.service,
        environment=scope.environment,
        states=["firing"],
        since=0.0,
        limit=MAX_INCIDENTS,
    )
    found = [one.id for one in firing if one.rule.casefold() == incident.casefold()]
    if not found:
        raise TriageError(
            f"no alert '{plain(incident)}' fires; watchkeeper alerts lists what does"
        )
    return found


def _complain(number: str, done: Acknowledged) -> None:
    if done.incident is None:
        raise TriageError(f"there is no incident {number}; watchkeeper alerts lists them")
    if done.outcome is Outcome.OVER:
        raise TriageError(f"incident {number} does not fire: there is nothing to acknowledge")


def _shown(outcome: Outcome, found: Incident) -> dict[str, Any]:
    return {
        "incident": found.id,
        "outcome": outcome.value,
        "by": found.acked_by,
        "at": found.acked_at,
        "note": found.ack_note,
    }


def _told(outcome: Outcome, found: Incident) -> str:
    if outcome is Outcome.OVER:  # a moment ago it fired
        return f"incident {found.id}, {plain(found.rule)}, is over"
    has = f"{plain(found.acked_by)} has incident {found.id}, {plain(found.rule)}"
    since = "" if found.acked_at is None else f", since {exact(found.acked_at)}"
    return f"{has}{since}" if outcome is Outcome.ALREADY else has
