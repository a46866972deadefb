"""`watchkeeper check`: a look from outside, which goes on when every worker is dead."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from watchkeeper.cli.actor import scope_of
from watchkeeper.cli.source import Source, open_existing, slot_length, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.verbs import CRITICAL, FINE, UNKNOWN, WARNING
from watchkeeper.core.delivery import WAITS_AT_MOST_S
from watchkeeper.core.instance import State
from watchkeeper.core.metrics import Scope
from watchkeeper.core.missing import Missing
from watchkeeper.core.units import format_duration
from watchkeeper.dashboard import texts
from watchkeeper.dashboard.status import late_evaluation, silent_after_s
from watchkeeper.runtime.channels import make_outbox
from watchkeeper.runtime.configured import make_engine, make_rules, open_channels
from watchkeeper.runtime.missing import missing_workers
from watchkeeper.runtime.queue import SENDING_S
from watchkeeper.storage.store import Incident, Store

RETRY_WITHIN_S: Final = 10.0  # what failed is tried again meanwhile, then left to the next run
ROUNDS_EVERY_S: Final = 0.5
UNDELIVERED_AFTER_S: Final = 300.0  # as with the fallback of a channel
MAX_FIRING: Final = 100
EVER: Final = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check found: who is missing, what fires, and what keeps that from being known."""

    at: float
    missing: Sequence[Missing]
    firing: Sequence[Incident]
    silent_s: float | None  # None: nobody ever wrote
    waiting: int  # messages that are not delivered yet
    is_judged: bool = True  # somebody evaluates the rules
    problems: Sequence[str] = ()

    @property
    def code(self) -> int:
        """The exit code: the worst of all."""
        if self.silent_s is None:
            return UNKNOWN
        severities = {one.severity for one in self.firing}
        if "critical" in severities or any(one.is_critical for one in self.missing):
            return CRITICAL
        if not self.is_judged:
            return UNKNOWN
        is_warned = self.missing or self.problems or "warning" in severities
        return WARNING if is_warned else FINE


@click.command()
@with_source
@click.option(
    "--alert", is_flag=True, help="Evaluate the rules and deliver messages, as a worker does."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: Source, alert: bool, as_json: bool) -> int:
    """Judge the application from outside: workers that are missing, incidents that last.

    Made for cron or a systemd timer, here or on another host: it needs no worker to be alive.
    The exit code is 0 if all is well, 1 for a warning, 2 for a critical alert, 3 for unknown.
    """
    store = open_existing(source.settings)
    try:
        slot_s = slot_length(store, source.settings, now=time.time())
        problems = _round(store, source, slot_s=slot_s) if alert else []
        found = look(store, scope_of(source.settings), slot_s=slot_s, problems=problems)
    finally:
        store.close()
    for problem in found.problems:
        echo(f"watchkeeper: {problem}", err=True)
    if as_json:
        echo(json.dumps(to_json(found)))
    else:
        for line in lines(found):
            echo(line)
    return found.code


def look(store: Store, scope: Scope, *, slot_s: float, problems: Sequence[str] = ()) -> Found:
    """Read who is missing and what fires now; changes nothing."""
    now = time.time()
    place = {"service": scope.service, "environment": scope.environment}
    newest = next(iter(store.workers(**place, seen_since=EVER)), None)
    firing = store.incidents(**place, states=(State.FIRING.value,), since=EVER, limit=MAX_FIRING)
    silent_s = None if newest is None else max(0.0, now - newest.seen_at)
    doubt = None
    if silent_s is not None and silent_s <= silent_after_s(slot_s):  # else: who is missing says it
        doubt = late_evaluation(store.evaluated_at(**place), slot_s=slot_s, now=now)
    waiting = store.outbox_waiting(**place)
    return Found(
        at=now,
        missing=missing_workers(store, scope, now=now, slot_s=slot_s),
        firing=firing,
        silent_s=silent_s,
        waiting=waiting,
        is_judged=doubt is None,
        problems=[
            *problems,
            *([doubt.sentence] if doubt else []),
            *_undelivered(
                store.oldest_waiting(**place, since=now - WAITS_AT_MOST_S), waiting, now=now
            ),
        ],
    )


def to_json(found: Found) -> dict[str, Any]:
    """Return what was found as plain values; None is unknown."""
    return {
        "at": found.at,
        "code": found.code,
        "silent_s": found.silent_s,
        "missing": [asdict(one) for one in found.missing],
        "firing": [
            {
                "id": one.id,
                "rule": one.rule,
                "group": one.group,
                "severity": one.severity,
                "fired_at": one.fired_at,
                "summary": one.data.get("summary", ""),
            }
            for one in found.firing
        ],
        "messages_waiting": found.waiting,
        "problems": list(found.problems),
    }


def lines(found: Found) -> Iterator[str]:
    """Yield what was found, a line each."""
    if found.silent_s is None:
        yield "? nobody has ever written here"
        return
    age = format_duration(round(found.silent_s))
    if found.code == FINE:
        yield f"✔ nothing fires, nobody is missing; written {age} ago"
    for one in found.missing:
        silent = format_duration(round(max(0.0, found.at - one.seen_at)))
        who = f"worker {one.worker} of {plain(one.host)}"
        yield (
            f"CRIT  nothing has written for {silent}"
            if one.is_critical
            else f"WARN  {who} has not written for {silent}"
        )
    for incident in found.firing:
        group = f"   {plain(incident.group, width=60)}" if incident.group else ""
        lasted = texts.span(max(0.0, found.at - (incident.fired_at or incident.started_at)))
        yield f"{incident.severity.upper()[:4]}  {plain(incident.rule)}{group}   for {lasted}"
    if found.waiting:
        yield f"      {found.waiting} messages are not delivered yet"


def _undelivered(oldest_at: float | None, waiting: int, *, now: float) -> Iterator[str]:
    """Yield a sentence if a message has waited for long."""
    if oldest_at is not None and now - oldest_at >= UNDELIVERED_AFTER_S:
        messages = "1 message is" if waiting == 1 else f"{waiting} messages are"
        age = format_duration(round(now - oldest_at))
        yield f"{messages} not delivered, the oldest for {age}; see watchkeeper notify list"


def _round(store: Store, source: Source, *, slot_s: int) -> list[str]:
    """Evaluate every rule once and deliver what is due; return what is wrong in the settings."""
    problems = list(source.loaded.problems)
    notifiers = open_channels(source.loaded, problems)
    rules = make_rules(source.loaded, problems, slot_s=slot_s)
    rules.follow(store, scope_of(source.settings))
    problems.extend(rules.problems)
    engine = make_engine(
        source.settings,
        rules.rules,
        notifiers,
        store,
        scope=scope_of(source.settings),
        now=time.time(),
        slot_s=slot_s,
        lost=lambda: rules.lost_channels,
    )
    engine.evaluate(now=time.time())
    outbox = make_outbox(source.settings, notifiers, store, follows=True)
    until = time.monotonic() + RETRY_WITHIN_S
    while time.monotonic() < until:
        outbox.deliver(now=time.time())
        if not outbox.wait(timeout_s=ROUNDS_EVERY_S):
            continue  # a channel that takes its time keeps no other from a second attempt
        soon_s = outbox.pending_soon()
        if soon_s is None or time.monotonic() + soon_s > until:
            break
        time.sleep(soon_s)
    outbox.stop(deadline_s=SENDING_S)  # what became of the last is recorded as well
    return problems
