"""`watchkeeper silence`: nobody is told of some alerts for a while."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.alerts_shown import silence_lines
from watchkeeper.cli.listing import NUMBER, Listing, as_json, opened, query
from watchkeeper.cli.source import Source, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.upkeep import read_moment
from watchkeeper.core.conditions import glob_matches
from watchkeeper.core.units import parse_duration
from watchkeeper.dashboard import api
from watchkeeper.dashboard.alerts import silences
from watchkeeper.exceptions import ConfigurationError, TriageError
from watchkeeper.runtime.configured import make_rules
from watchkeeper.runtime.rule_changes import unknown_rule
from watchkeeper.runtime.silences import Request, add, end
from watchkeeper.storage.store import Store


@click.group(cls=Listing)
def command() -> None:
    """Silence alerts: they are judged and shown, but nobody is told.

    What still fires when a silence ends is told then.
    """


@command.command("list")
@with_source
@as_json
def list_silences(source: Source, as_json: bool) -> None:
    """List the silences that are in force or to come, those of the settings among them."""
    with opened(source) as (store, now):
        view = silences(query(source, store, now), source.settings.silences)
    if as_json:
        echo(json.dumps(api.plain(asdict(view))))
        return
    for line in silence_lines(view.silences, view.at):
        echo(line)


@command.command("add")
@with_source
@click.option("--rule", "names", multiple=True, metavar="GLOB", help='Rules, such as "Slow*".')
@click.option("--severity", multiple=True, metavar="NAME", help="Alerts of this severity.")
@click.option("--label", "labels", multiple=True, metavar="NAME=GLOB", help='"route=/api/*".')
@click.option("--all", "every_alert", is_flag=True, help="Every alert.")
@click.option("--for", "for_", metavar="TIME", help="For a time, such as 2h.")
@click.option("--until", metavar="MOMENT", help="Until 2026-12-01T08:30 (UTC).")
@click.option("--from", "from_", metavar="MOMENT", help="From then on; now, unless given.")
@click.option("--every", default="", metavar="TIMES", help='"Sun 02:00-04:00 Europe/Berlin".')
@click.option("--comment", default="", metavar="TEXT", help="Say why.")
@as_json
def add_silence(
    source: Source,
    names: Sequence[str],
    severity: Sequence[str],
    labels: Sequence[str],
    every_alert: bool,
    for_: str | None,
    until: str | None,
    from_: str | None,
    every: str,
    comment: str,
    as_json: bool,
) -> None:
    """Set a silence: which alerts, and how long or at which times of the week.

    An option given again is another choice; all kinds that are given must fit an alert.
    """
    match = _match(names, severity, labels)
    if bool(match) is every_alert:
        raise ConfigurationError("silence: say which: --rule, --severity or --label; or --all")
    wanted = Request(
        match=match,
        author=actor().removeprefix("cli "),
        comment=comment,
        starts_at=None if from_ is None else read_moment(from_, "--from"),
        for_s=None if for_ is None else parse_duration(for_, where="--for"),
        until=None if until is None else read_moment(until, "--until"),
        every=every,
    )
    with opened(source) as (store, now):
        made = add(store, scope_of(source.settings), wanted, actor=actor(), at=now)
        view = silences(query(source, store, now), ())
        hints = _hints(source, store, names)
    shown = [one for one in view.silences if one.id == made.id]
    if as_json:
        told = [api.plain(asdict(one)) for one in shown]
        echo(json.dumps({"silences": told, "hints": hints}))
        return
    for hint in hints:
        echo(f"! {plain(hint, width=1_000)}", err=True)
    for line in silence_lines(shown, view.at):
        echo(line)


@command.command("end")
@click.argument("number", type=NUMBER, metavar="ID")
@with_source
@as_json
def end_silence(source: Source, number: int, as_json: bool) -> None:
    """End a silence now: what fires is told."""
    with opened(source) as (store, now):
        done = end(store, scope_of(source.settings), number, actor=actor(), at=now)
    if not done:
        raise TriageError(f"there is no silence {number} to end; watchkeeper silence lists them")
    echo(json.dumps({"ended": number}) if as_json else f"silence {number} has ended")


def _hints(source: Source, store: Store, globs: Sequence[str]) -> list[str]:
    """Say which names fit no rule that is known here, each with the nearest one."""
    rules = make_rules(source.loaded, [])
    rules.follow(store, scope_of(source.settings))
    known = [rule.name for rule in rules.rules]
    return [
        f"{unknown_rule(glob, rules)} Rules in the application's code are known with --app."
        for glob in globs
        if not any(glob_matches(glob, name) for name in known)
    ]


def _match(
    names: Sequence[str], severity: Sequence[str], labels: Sequence[str]
) -> dict[str, list[str]]:
    match: dict[str, list[str]] = {}
    for text in labels:
        key, separator, glob = text.partition("=")
        if not separator or not key:
            raise ConfigurationError(f"--label: {text!r} is no label; write route=/checkout")
        match.setdefault(key, []).append(glob)
    if names:
        match["rule"] = list(names)
    if severity:
        match["severity"] = list(severity)
    return match
