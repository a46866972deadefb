"""`watchkeeper rules test`: rules on what is stored, as they would have fired."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import click

from watchkeeper.cli.actor import scope_of
from watchkeeper.cli.rule_files import checked, hints, show_hints
from watchkeeper.cli.source import Source, open_existing, slot_length, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.upkeep import moment, progress
from watchkeeper.core.conditions import Comparison, Measure, Unit, format_value
from watchkeeper.core.replay import SHORT_S
from watchkeeper.core.replayed import Closest, Outcome, Short, Skipped, Spell, Unknown
from watchkeeper.core.rule import Rule
from watchkeeper.core.schedules import zone_named
from watchkeeper.core.silences import parse_quiet_hours, parse_silences
from watchkeeper.core.units import format_duration, parse_duration, write_duration
from watchkeeper.dashboard import api
from watchkeeper.dashboard.backtest import Backtest, backtest
from watchkeeper.dashboard.sums import Query
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.runtime.configured import channels_for, make_rules
from watchkeeper.settings import Settings
from watchkeeper.storage.store import Store
from watchkeeper.storage.turns import alone

MAX_SPAN_S: Final = 31 * 86_400.0
MIN_SPAN_S: Final = 60.0
MAX_SHOWN: Final = 5  # times of one rule
MAX_NAME_SHOWN: Final = 40
_BECAUSE: Final = {
    Unknown.NOTHING_STORED: "nothing is stored of that time",
    Unknown.COARSE: "only whole hours are kept",
    Unknown.NO_DATA: "nothing was recorded of what it reads",
    Unknown.NO_HISTORY: "no earlier week is kept to compare with",
    Unknown.WORKERS: "which workers there were is not kept",
    Unknown.EVENTS: "more happened than is read",
}
_SHORT_OF: Final = {
    Short.LIMIT: "",
    Short.HOLD: ", but for less than {hold}",
    Short.WINDOW: ", but not in all its windows",
    Short.FEW: ", but on too few to be sure",
    Short.ONLY_IF: ", but only_if was not true",
}
UNKNOWN: Final = "unknown"
ALL: Final = 0.999  # of the time: what is left then is one slot


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@with_source
@click.option("--last", default="7d", show_default=True, metavar="TIME", help="How far back.")
@click.option("--rule", "names", multiple=True, metavar="NAME", help="This rule only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    source: Source, file: str | None, last: str, names: Sequence[str], as_json: bool
) -> None:
    """Say when rules would have fired: those in force, or those of FILE.

    Stored data go through the engine's own judgement, slots where they are kept and minutes
    before that. Nothing is written and nobody is told.
    """
    span_s = parse_duration(last, where="--last")
    if not MIN_SPAN_S <= span_s <= MAX_SPAN_S:
        raise ConfigurationError(f"--last: {last!r} is not between 1m and 31d")
    store = open_existing(source.settings)
    try:
        now = time.time()
        slot_s = slot_length(store, source.settings, now=now)
        settings = source.settings
        if file:
            known, theirs = _of_file(file, slot_s)
            settings = theirs if theirs.channels else settings
        else:
            known = _in_force(source, store, slot_s)
        rules = _chosen(known, names)
        query = Query(
            store=store,
            service=source.settings.service,
            environment=source.settings.environment,
            start=now - span_s,
            end=now,
            now=now,
            slot_s=slot_s,
        )
        done = _replayed(query, rules, settings, source.settings.seconds("keep_slots"))
        said = hints(store, source.settings, rules)
        described = store.description()
    finally:
        store.close()
    if as_json:
        echo(json.dumps(to_json(done) | {"hints": said}))
        return
    for line in lines(done, rules):
        echo(line)
    show_hints(said)
    echo(f"{_replayed_text(done)}; {described} (from {source.database_from})", err=True)


def to_json(done: Backtest) -> dict[str, Any]:
    """Return what came of it as plain values; names say the units."""
    content: dict[str, Any] = api.plain(asdict(done))
    for shown, outcome in zip(content["rules"], done.rules, strict=True):
        shown["noisy"] = outcome.is_noisy
    return content


def lines(done: Backtest, rules: Sequence[Rule]) -> Iterator[str]:
    """Yield one line for each rule."""
    width = min(max((len(rule.name) for rule in rules), default=0), MAX_NAME_SHOWN)
    for rule, outcome in zip(rules, done.rules, strict=True):
        said = _said(rule, outcome, done)
        yield f"{plain(rule.name, width=MAX_NAME_SHOWN):<{width}}   {said}"


def _said(rule: Rule, outcome: Outcome, done: Backtest) -> str:
    if outcome.skipped is not Skipped.NO:
        return "switched off"
    unknown = _unknown_text(outcome, done)
    if not outcome.fired:
        if unknown.startswith(UNKNOWN):
            return unknown
        return f"never{_closest_text(rule, outcome.closest)}{unknown}"
    times = f"would fire {outcome.fired}×, {_count(outcome.messages)}"
    if rule.shadow:
        times += " (shadow: nobody is told)"
    if outcome.is_noisy:
        short = f"{outcome.short} of {outcome.fired} shorter than {format_duration(SHORT_S)}"
        calmer = outcome.calmer
        cure = (
            f'; with hold = "{write_duration(calmer.hold_s)}": {calmer.fired}×' if calmer else ""
        )
        return click.style(f"{times}  ! noisy: {short}{cure}{unknown}", fg="yellow")
    shown = [_spell_text(one, rule) for one in outcome.spells[:MAX_SHOWN]]
    more = outcome.fired - len(shown)
    listed = " · ".join([*shown, *([f"{more} more"] if more > 0 else [])])
    return f"{times}  {listed}{unknown}"


def _unknown_text(outcome: Outcome, done: Backtest) -> str:
    """Say for how long nobody can tell, and why; what is unknown is not what never fires."""
    if outcome.unknown is Unknown.NO or outcome.unknown_s < done.slot_s:
        return ""
    because = _BECAUSE[outcome.unknown]
    if not outcome.fired and outcome.unknown_s >= ALL * (done.judged_s + done.coarse_s):
        return f"{UNKNOWN}: {because}"
    return f"; unknown for {format_duration(outcome.unknown_s)} of it: {because}"


def _spell_text(spell: Spell, rule: Rule) -> str:
    at = datetime.fromtimestamp(spell.fired_at, UTC).strftime("%a %H:%M")
    group = f" {plain(spell.group, width=40)}" if spell.group else ""
    if rule.is_event:
        return f"{at}{group}"
    if spell.resolved_at is None:
        return f"{at}{group} and lasts"
    return f"{at}{group} {format_duration(round(spell.resolved_at - spell.started_at))}"


def _closest_text(rule: Rule, closest: Closest | None) -> str:
    when = rule.when
    if closest is None or not isinstance(when, Comparison):
        return ""
    unit, what = when.selector.unit, ""
    if when.selector.measure is Measure.QUANTILE:
        threshold = format_value(when.selector.unit, when.threshold)
        slower = "slower than" if when.selector.unit is Unit.SECONDS else "above"
        unit, what = Unit.SHARE, f" {slower} {threshold}"
    near, limit = (format_value(unit, one) for one in (closest.value, closest.limit))
    group = f" of {plain(closest.group, width=40)}" if closest.group else ""
    but = _SHORT_OF[closest.short_of].format(hold=format_duration(rule.hold_s))
    return f"; closest {near}{what} (limit {limit}){group}{but}, {moment(closest.at)}"


def _replayed_text(done: Backtest) -> str:
    """Say what was replayed, and what could not be."""
    if done.slots_from is None:
        finest = "by the minute"
    elif done.slots_from <= done.start:
        finest = f"in slots of {done.slot_s} s"
    else:
        finest = f"by the minute, from {moment(done.slots_from)} in slots of {done.slot_s} s"
    said = [f"from {moment(done.start)} (times are UTC)", finest]
    if not done.judged:
        said.append("nothing is stored of that time")
    if done.coarse_s:
        hours = done.coarse_s // 3_600
        said.append(f"{hours} h left out: only whole hours are kept of them")
    return ", ".join(said)


def _replayed(query: Query, rules: Sequence[Rule], settings: Settings, kept_s: float) -> Backtest:
    # Nobody is served here whom the work could keep waiting.
    with alone(), progress("replaying", int(query.end - query.begin)) as went:
        return backtest(
            query,
            rules,
            slots_kept_s=kept_s,
            on_read=went,
            audience=_audience(settings),
            zone=zone_named(settings.time_zone, where="time_zone"),
        )


def _audience(settings: Settings) -> Audience:
    """Return whom the settings tell, and when; where no channel is set, somebody is told."""
    channels = settings.channels or {"somebody": {}}
    routed = settings if settings.channels else replace(settings, routing={})
    return Audience(
        channels_for=partial(channels_for, routed, channels),
        known=lambda: settings.channels,
        links=lambda _: Links(),
        silences=parse_silences(settings.silences, where="silences"),
        quiet_hours=parse_quiet_hours(settings.quiet_hours, where="quiet_hours"),
    )


def _in_force(source: Source, store: Store, slot_s: int) -> Sequence[Rule]:
    """Return the rules in force, those of the database too."""
    rules = make_rules(source.loaded, [], slot_s=slot_s)
    rules.follow(store, scope_of(source.settings))
    return rules.rules


def _of_file(file: str, slot_s: int) -> tuple[Sequence[Rule], Settings]:
    """Return the rules of a file and what else it sets; ConfigurationError if one is wrong."""
    found = checked(file, slot_s=slot_s)
    if found.problems:
        raise ConfigurationError("\n".join(plain(one, width=1_000) for one in found.problems))
    if not found.rules:
        raise ConfigurationError(f"{found.place}: there is no rule in it; write [[alert]] tables")
    return found.rules, found.settings


def _chosen(rules: Sequence[Rule], names: Sequence[str]) -> list[Rule]:
    """Return the rules of these names, or all; a name may be written in any case."""
    if not names:
        return list(rules)
    known = {rule.name.casefold(): rule for rule in rules}
    for name in names:
        if name.casefold() not in known:
            others = ", ".join(repr(rule.name) for rule in rules)
            raise ConfigurationError(f"--rule: there is no rule {name!r}; there are {others}")
    return [known[name.casefold()] for name in dict.fromkeys(names)]


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"
