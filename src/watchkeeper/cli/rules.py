"""`watchkeeper rules`: what is watched, in plain words, and how it is changed."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click

from watchkeeper.cli import rules_test
from watchkeeper.cli.actor import actor, scope_of
from watchkeeper.cli.rule_files import checked, hints, read_rules, settings_of, show_hints, told
from watchkeeper.cli.source import Source, open_existing, slot_length, with_source
from watchkeeper.cli.terminal import echo, harmless, plain, show_table
from watchkeeper.cli.verbs import FAILED, FINE, USAGE
from watchkeeper.core.instance import State
from watchkeeper.core.rule import Rule
from watchkeeper.core.rule_text import rule_to_mapping, write_rules
from watchkeeper.exceptions import ConfigurationError, StorageError, WatchkeeperError
from watchkeeper.runtime import idle_rules
from watchkeeper.runtime.configured import make_rules
from watchkeeper.runtime.rule_changes import RuleChanges, unknown_rule
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.storage.store import Audit, Store

NO_CODE = "rules in the application's code are not known here; name it: --app MODULE"


@click.group()
def command() -> None:
    """List, check, explain and change the alert rules."""


def _as_json(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(verb)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """The rules in force, what is wrong of them, and the states of their instances."""

    in_force: RulesInForce
    problems: list[str]
    states: Mapping[str, list[str]] | None  # None: there is nothing to read them from
    hints: list[str]  # what rules read that was never recorded
    idle: Mapping[str, str]  # what cannot judge, and the word for it

    def state(self, rule: Rule) -> str:
        """Say in a word or two how a rule is."""
        if not rule.enabled:
            return "off"
        if self.states is None:
            return "unknown"
        states = self.states.get(rule.name, [])
        firing = sum(state in (State.FIRING, State.RECOVERING) for state in states)
        if firing:
            return "firing" if firing == 1 else f"firing ({firing})"
        if State.PENDING in states:
            return "pending"
        return self.idle.get(rule.name, "ok")

    def rule(self, name: str) -> Rule:
        """Return the rule of a name, in whatever case; ConfigurationError if there is none."""
        for rule in self.in_force.rules:
            if rule.name.casefold() == name.casefold():
                return rule
        raise ConfigurationError(unknown_rule(name, self.in_force))


@command.command("list")
@with_source
@_as_json
def list_rules(source: Source, as_json: bool) -> int:
    """List the rules in force, where each comes from and how it is now."""
    looked = _look(source)
    rules = looked.in_force.rules
    if as_json:
        shown = [_summary(rule, looked) for rule in rules]
        said = {"problems": looked.problems, "hints": looked.hints}
        click.echo(json.dumps({"rules": shown, **said}))
    else:
        _table(rules, looked)
        _tell(looked.problems)
        show_hints(looked.hints)
        if source.loaded.code is None:
            echo(NO_CODE, err=True)
    return FAILED if looked.problems else FINE


@command.command("explain")
@click.argument("name")
@with_source
@_as_json
def explain_rule(name: str, source: Source, as_json: bool) -> int:
    """Say in plain sentences what a rule does, who is told, and how it is now."""
    looked = _look(source)
    rule = looked.rule(name)
    sentences = [*told(rule, source.settings), *_origin(rule, looked)]
    if as_json:
        click.echo(json.dumps({**_summary(rule, looked), "sentences": sentences}))
        return FINE
    echo(f"{plain(rule.name)}: {looked.state(rule)}")
    for sentence in [rule.description, *sentences]:
        if sentence:
            echo(f"  {plain(sentence, width=1_000)}")
    return FINE


@command.command("check")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--db",
    "database_url",
    metavar="URL",
    help="Where recorded names are looked up: a file, or a URL.",
)
@click.option("--service", metavar="NAME", help="The application that recorded them.")
@click.option("--environment", metavar="NAME", help="The deployment that did.")
@_as_json
def check(file: str | None, as_json: bool, **place: str | None) -> int:
    """Read the rules of FILE, or of the settings, and say what they do, or what is wrong.

    What they read that was never recorded is a hint, if the settings' database, or --db, is there.
    """
    read = checked(file)
    rules, problems, name = read.rules, read.problems, read.place
    found = _hints_of(file, rules, place)
    if as_json:
        shown = [{"name": rule.name, "sentences": read.sentences(rule)} for rule in rules]
        said = {"problems": problems, "hints": found}
        click.echo(json.dumps({"file": name, "rules": shown, **said}))
        return USAGE if problems else FINE
    for rule in rules:
        echo(f"{'✘' if rule.name in read.wrong else '✔'} {plain(rule.name)}")
        for sentence in read.sentences(rule):
            echo(f"    {plain(sentence, width=1_000)}")
    _tell(problems)
    show_hints(found)
    if not rules and not problems:
        echo(f"there is no rule in {plain(name)}; write [[alert]] tables")
    return USAGE if problems else FINE


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@with_source
@click.option("--toml/--json", "as_toml", default=True, help="The form; TOML unless asked.")
def export(names: tuple[str, ...], source: Source, as_toml: bool) -> int:
    """Write rules in force, or those named, as a settings file would hold them."""
    looked = _look(source)
    rules = [looked.rule(name) for name in names] or list(looked.in_force.rules)
    if as_toml:
        click.echo(harmless(write_rules(rules), but="\n"), nl=False)
    else:
        click.echo(json.dumps([rule_to_mapping(rule) for rule in rules], indent=1))
    return FINE


@command.command("set")
@click.argument("file", type=click.File("rb"))
@with_source
@_as_json
def set_rules(file: Any, source: Source, as_json: bool) -> int:
    """Put the rules of FILE (- for standard input; TOML or JSON) into the database."""
    with _changing(source) as (changes, slot_s):
        done = changes.set_rules(read_rules(file, slot_s=slot_s))
    return _done(done, "is set", as_json=as_json)


@command.command()
@click.argument("name")
@with_source
@_as_json
def enable(name: str, source: Source, as_json: bool) -> int:
    """Switch a rule on again."""
    with _changing(source) as (changes, _):
        done = changes.enable(_spelt(changes, name))
    return _done([done], "is on", as_json=as_json)


@command.command()
@click.argument("name")
@with_source
@_as_json
def disable(name: str, source: Source, as_json: bool) -> int:
    """Switch a rule off, wherever it was written."""
    with _changing(source) as (changes, _):
        done = changes.disable(_spelt(changes, name))
    return _done([done], "is off", as_json=as_json)


@command.command()
@click.argument("name")
@with_source
@_as_json
def reset(name: str, source: Source, as_json: bool) -> int:
    """Take a rule out of the database; the file's, the code's or the pack's is in force again."""
    with _changing(source) as (changes, _):
        name = _spelt(changes, name)
        rule = changes.reset(name)
    if as_json:
        click.echo(json.dumps({"name": name, "origin": rule.origin if rule else None}))
    elif rule is None:
        echo(f"{plain(name)} is gone; it was in the database only")
    else:
        echo(f"{plain(name)} is that of the {rule.origin} again")
    return FINE


@command.command()
@click.argument("name")
@with_source
@_as_json
def history(name: str, source: Source, as_json: bool) -> int:
    """List who changed a rule in the database, when, and what."""
    with _changing(source) as (changes, _):
        name = _spelt(changes, name)
        entries = changes.history(name)
    if as_json:
        shown = [
            {"at": one.at, "by": one.actor, "action": one.action, **one.data} for one in entries
        ]
        click.echo(json.dumps(shown))
        return FINE
    for one in entries:
        moment = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        echo(f"{moment}  {one.action:<12}  {plain(one.actor)}")
        for line in _differences(one):
            echo(f"    {plain(line)}")
    if not entries:
        echo(f"nobody has changed {plain(name)} in the database")
    return FINE


command.add_command(rules_test.command, "test")


def _look(source: Source) -> _Looked:
    """Join the rules of all sources; the database's only if there is one yet."""
    problems = list(source.loaded.problems)
    in_force = make_rules(source.loaded, problems)
    scope, states = scope_of(source.settings), dict[str, list[str]]()
    try:
        store = open_existing(source.settings)
    except StorageError as error:
        problems.append(f"rules in the database are not known: {error}")
        return _Looked(in_force=in_force, problems=problems, states=None, idle={}, hints=[])
    try:
        in_force.follow(store, scope)
        for row in store.alerts(service=scope.service, environment=scope.environment):
            states.setdefault(row.rule, []).append(row.state)
        idle = idle_rules.read(store, service=scope.service, environment=scope.environment)
        found = hints(store, source.settings, in_force.rules)
    finally:
        store.close()
    problems.extend(in_force.problems)
    return _Looked(in_force=in_force, problems=problems, states=states, idle=idle, hints=found)


def _hints_of(
    file: str | None, rules: Sequence[Rule], place: Mapping[str, str | None]
) -> list[str]:
    """Say so of the rules of a file, if there is a database that can be read."""
    given: dict[str, Any] = {key: value for key, value in place.items() if value is not None}
    settings = replace(settings_of(file), **given)
    try:
        store = open_existing(settings)
    except WatchkeeperError:
        return []
    try:
        return hints(store, settings, rules)
    except StorageError:
        return []
    finally:
        store.close()


@contextmanager
def _changing(source: Source) -> Iterator[tuple[RuleChanges, int]]:
    """Open the database for a change, with the length of its slots."""
    store: Store = open_existing(source.settings)
    try:
        slot_s = slot_length(store, source.settings, now=time.time())
        yield (
            RuleChanges(
                store=store,
                scope=scope_of(source.settings),
                in_force=make_rules(source.loaded, [], slot_s=slot_s),
                by=actor(),
                clock=time.time,
                channels=tuple(source.settings.channels),
            ),
            slot_s,
        )
    finally:
        store.close()


def _spelt(changes: RuleChanges, name: str) -> str:
    """Return the name of a rule as it is written, whatever its case."""
    changes.in_force.follow(changes.store, changes.scope)
    names = [rule.name for rule in changes.in_force.rules]
    return next((one for one in names if one.casefold() == name.casefold()), name)


def _origin(rule: Rule, looked: _Looked) -> Iterator[str]:
    below = looked.in_force.without_database(rule.name)
    if rule.origin == "database" and below is not None:
        yield f"It is of the database; reset brings back that of the {below.origin}."
    else:
        yield f"It is of the {rule.origin}."


def _summary(rule: Rule, looked: _Looked) -> dict[str, Any]:
    return {
        "name": rule.name,
        "origin": rule.origin,
        "enabled": rule.enabled,
        "shadow": rule.shadow,
        "severity": rule.severity,
        "condition": rule.condition,
        "state": looked.state(rule),
        "hash": rule.hash,
        "alert": rule_to_mapping(rule),
    }


def _table(rules: tuple[Rule, ...], looked: _Looked) -> None:
    rows = []
    for rule in rules:
        state = looked.state(rule) + (" (shadow)" if rule.shadow else "")
        rows.append(
            (plain(rule.name), plain(rule.condition), rule.severity, rule.origin.value, state)
        )
    show_table(("RULE", "WHEN", "SEVERITY", "FROM", "NOW"), rows)


def _tell(problems: list[str]) -> None:
    for problem in problems:
        echo(f"✘ {plain(problem, width=1_000)}", err=True)


def _done(rules: list[Rule], what: str, *, as_json: bool) -> int:
    if as_json:
        click.echo(
            json.dumps(
                [{"name": rule.name, "enabled": rule.enabled, "hash": rule.hash} for rule in rules]
            )
        )
        return FINE
    for rule in rules:
        echo(f"{plain(rule.name)} {what}; every worker follows with its next evaluation")
    return FINE


def _differences(entry: Audit) -> Iterator[str]:
    before, after = entry.data.get("before") or {}, entry.data.get("after") or {}
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield f"{key}: {_shown(before.get(key))} → {_shown(after.get(key))}"


def _shown(value: object) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
