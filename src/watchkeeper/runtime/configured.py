"""What the settings describe in words: channels and upkeep, each made once.

What is wrong in code raises ConfigurationError; in the environment or a file it is off, and a
sentence in `problems` says so.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from watchkeeper.core.budget import Storing
from watchkeeper.core.conditions import CHECK_LABEL
from watchkeeper.core.fingerprint import Rule as GroupingRule
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.core.schedules import zone_named
from watchkeeper.core.silences import parse_quiet_hours, parse_silences
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import Notifier
from watchkeeper.runtime.channels import open_channel
from watchkeeper.runtime.heartbeat import Heartbeat
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.own_health import OwnHealth
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.resources import LOOK_EVERY_S, Resources
from watchkeeper.runtime.rules_in_force import RulesInForce
from watchkeeper.runtime.samples import Sampler
from watchkeeper.settings import Loaded, Origin, Settings, placed_check

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.audience import Audience, Links
    from watchkeeper.runtime.builtin.own import Own
    from watchkeeper.runtime.health import Health
    from watchkeeper.runtime.last_good import LastGood
    from watchkeeper.runtime.upkeep import Upkeep
    from watchkeeper.runtime.written_rules import Written
    from watchkeeper.storage.store import Incident, Store


def open_channels(loaded: Loaded, problems: list[str]) -> dict[str, Notifier]:
    """Open every channel."""
    opened: dict[str, Notifier] = {}
    for name in loaded.settings.channels:
        try:
            opened[name] = open_channel(loaded.settings, name)
        except ConfigurationError as error:
            if loaded.origins["channels"] is Origin.CODE:
                raise
            problems.append(f"{error}; this channel is off")
    return opened


def make_own_health(loaded: Loaded, recorder: Recorder, problems: list[str]) -> OwnHealth:
    """Build what tells of Watchkeeper itself, with the heartbeat if there is an address."""
    url, heartbeat = loaded.settings.heartbeat_url, None
    if url:
        try:
            heartbeat = Heartbeat(url, recorder=recorder)
        except ConfigurationError as error:
            if loaded.origins["heartbeat_url"] is Origin.CODE:
                raise
            problems.append(f"{error}; there is no heartbeat")
    return OwnHealth(recorder, heartbeat=heartbeat)


def make_health(
    loaded: Loaded,
    problems: list[str],
    *,
    clock: Callable[[], float] = time,
    on_change: Callable[[], None] | None = None,
    own: Own | None = None,
) -> Health:
    """Build what runs health checks; a wrong one of a file or the environment is off.

    `own` is this process' Watchkeeper, for the checks that look at it.
    """
    from watchkeeper.runtime.health import Health

    checks, origin = loaded.settings.health_checks, loaded.origins["health_checks"]
    if origin is Origin.CODE:
        return Health.declared(checks, clock=clock, on_change=on_change, own=own)
    found: list[str] = []
    made = Health.declared(checks, clock=clock, on_change=on_change, own=own, problems=found)
    known = loaded.places if origin is Origin.FILE else {}
    before = "WATCHKEEPER_HEALTH_CHECKS: " if origin is Origin.ENVIRONMENT else ""
    problems.extend(before + placed_check(one, known) for one in found)
    return made


def make_rules(
    loaded: Loaded,
    problems: list[str],
    *,
    recorder: Recorder | None = None,
    slot_s: float | None = None,
) -> RulesInForce:
    """Join the rules of pack, code and file; those of the database come with `follow`.

    Where code and file say none, nothing can be wrong, and they are joined once asked for.
    `slot_s` is the length of the slots that are written, if that is not what the settings say.
    """
    settings = loaded.settings
    slot_s = settings.slot_s if slot_s is None else slot_s

    def join() -> Written:
        from watchkeeper.runtime.written_rules import written_rules

        return written_rules(loaded, slot_s=slot_s)

    written: Written | None = None
    if settings.alerts or loaded.file_alerts:
        written = join()
        problems.extend(written.problems)
    return RulesInForce(
        written or join, slot_s=slot_s, channels=tuple(settings.channels), recorder=recorder
    )


def keep_to(
    rules: RulesInForce,
    engine: AlertEngine,
    recorder: Recorder,
    sampler: Sampler,
    wake: Callable[[], None],
) -> None:
    """Let an engine follow the rules, recorder and sampler what they call trouble."""

    def follow(changed: Sequence[Rule]) -> None:
        engine.set_rules(changed, unreadable=rules.unreadable)
        thresholds = engine.thresholds
        recorder.watch_for(
            error_rate=thresholds.error_rate, slow_s=thresholds.slow_s, on_trouble=wake
        )
        sampler.refresh()

    rules.forget()
    rules.on_change = follow
    follow(rules.rules)


def make_places(settings: Settings) -> Places:
    """Build what tells the application's code from that of libraries."""
    return Places(
        os.getcwd(),
        include=settings.in_app_include,
        exclude=settings.in_app_exclude,
        transparent=settings.fingerprint_transparent,
    )


def make_resources(settings: Settings, recorder: Recorder, worker: Callable[[], str]) -> Resources:
    """Build what reads the figures of the process and of its host.

    The disks are those of the database's file, if it is one, of where a spool would go, of the
    working folder and of that for temporary files: where the application, or we, write unasked.
    """

    def spools() -> tuple[Path, ...]:
        from watchkeeper.storage.spool import folders

        return folders(
            "",
            database_url=settings.database_url,
            service=settings.service,
            environment=settings.environment,
            environ=os.environ,
            directory=os.getcwd(),
        )

    def deployment() -> str:
        # What names a spool tells this service and database from all others.
        return next((folder.name for folder in spools()), str(os.getpid()))

    return Resources(
        recorder,
        host=socket.gethostname(),
        worker=worker,
        folders=lambda: [*spools(), Path(os.getcwd())],
        deployment=deployment,
        every_s=min(LOOK_EVERY_S, settings.slot_s),
    )


def make_issues(
    settings: Settings,
    scope: Scope,
    places: Places,
    *,
    on_new: Callable[[], None] | None = None,
    clock: Callable[[], float] = time,
) -> Issues:
    """Build what captures errors, with the rule that groups them."""
    return Issues(
        scope,
        places=places,
        rule=GroupingRule(frames=settings.place_frames),
        own=settings.fingerprint,
        max_issues=settings.max_issues,
        on_new=on_new,
        clock=clock,
    )


def make_upkeep(
    settings: Settings,
    recorder: Recorder,
    clock: Callable[[], float],
    store: Store,
    apply: Callable[[Storing], None],
    pause: Callable[[], None],
) -> Upkeep:
    """Build what looks after the store, once it is open."""
    from watchkeeper.runtime.retention import Keep
    from watchkeeper.runtime.skew import Skew
    from watchkeeper.runtime.upkeep import Upkeep

    return Upkeep(
        store,
        recorder=recorder,
        keep=Keep.set_by(settings),
        budget_bytes=settings.storage_budget_bytes,
        apply=apply,
        pause=pause,
        now=clock(),
        skew=Skew(recorder, clock=clock),
    )


def make_engine(
    settings: Settings,
    rules: Sequence[Rule],
    notifiers: Mapping[str, object],
    store: Store,
    *,
    scope: Scope,
    now: float,
    slot_s: int | None = None,
    pause: Callable[[], None] | None = None,
    health: Health | None = None,
    lost: Callable[[], LastGood | None] = lambda: None,
) -> AlertEngine:
    """Build what evaluates the rules, once the store is open; `slot_s` if not the settings'.

    `lost` says which channels there are although the settings do not know them: see
    `RulesInForce.lost_channels`.

    Without `health`, the checks of a process that serves, it does not end what fires by a rule
    that is unknown here: the rules of the application's code may be.
    """
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.cluster_checks import meet

    slot_s = slot_s or settings.slot_s
    if health is not None:  # before a check is due here: another worker may have run it
        meet(health, store, scope, worker=None, slot_s=slot_s, now=now)
    return AlertEngine(
        store,
        scope=scope,
        rules=rules,
        audience=make_audience(settings, notifiers, store, lost=lost),
        slot_s=slot_s,
        installed_at=float(store.set_meta("installed_at", str(now), only_new=True)),
        pause=pause,
        zone=zone_named(settings.time_zone, where="time_zone"),
        intervals=health.intervals if health is not None else None,
        may_remove=health is not None,
    )


def start_line(settings: Settings, notifiers: Mapping[str, object]) -> str:
    """Return the one line that is printed at start."""
    parts = [
        "watchkeeper: on",
        settings.database_place,
        f'dashboard {settings.dashboard_prefix} (run "watchkeeper open")'
        if settings.dashboard
        else "no dashboard",
        f"tells {', '.join(notifiers)}" if notifiers else "nobody is told: no channel set",
    ]
    return " · ".join(parts)


def channels_for(
    settings: Settings,
    notifiers: Mapping[str, object],
    severity: str,
    lost: Callable[[], LastGood | None] = lambda: None,
) -> tuple[str, ...]:
    """Return the channels of a severity: those routed, or all where nothing is routed.

    Those of a settings file that cannot be read, too: what they are to be told waits.
    """
    kept = lost()
    routing = (kept.routing if kept is not None else None) or settings.routing
    if not routing:
        return tuple(dict.fromkeys((*notifiers, *(kept.channels if kept is not None else ()))))
    return tuple(routing.get(severity, ()))


def make_audience(
    settings: Settings,
    notifiers: Mapping[str, object],
    store: Store,
    clock: Callable[[], float] = time,
    *,
    lost: Callable[[], LastGood | None] = lambda: None,
) -> Audience:
    """Return whom to tell of alerts, once the store is open: it keeps the key of the links."""
    from watchkeeper.runtime.audience import Audience
    from watchkeeper.runtime.signed_links import signing_key

    return Audience(
        channels_for=partial(channels_for, settings, notifiers, lost=lost),
        known=partial(_known_channels, settings, lost),
        links=partial(links, settings, signing_key(store, settings.secret_key), clock),
        silences=parse_silences(settings.silences, where="silences"),
        quiet_hours=parse_quiet_hours(settings.quiet_hours, where="quiet_hours"),
    )


def _known_channels(settings: Settings, lost: Callable[[], LastGood | None]) -> Collection[str]:
    kept = lost()
    return (*settings.channels, *(kept.channels if kept is not None else ()))


def links(
    settings: Settings, key: str, clock: Callable[[], float], incidents: Sequence[Incident]
) -> Links:
    """Return the addresses of a message's incidents: a page, and what a reader can do.

    The page is of the first one, or of all there are. Those that act are for all of them, and
    need the address of the application (`public_url`), and stored incidents.
    """
    from watchkeeper.runtime.audience import Links
    from watchkeeper.runtime.signed_links import Purpose, sign

    incident, *others = incidents
    page = link(settings, incident, has_others=bool(others))
    if not settings.public_url or not incident.id:
        return Links(page=page)
    root = _root(settings)
    at, further = clock(), [one.id for one in others]
    acknowledge, silence = (
        f"{root}/{purpose.value}?t={sign(key, incident.id, purpose, at=at, others=further)}"
        for purpose in (Purpose.ACKNOWLEDGE, Purpose.SILENCE)
    )
    is_event = incident.state == "event"  # it has no end: there is nothing to take on
    return Links(page=page, acknowledge="" if is_event else acknowledge, silence=silence)


def link(settings: Settings, incident: Incident, *, has_others: bool = False) -> str:
    """Return the address of the issue or the health page, else the dashboard of that time.

    With others of the same message an issue's own page would hide them.
    """
    root, issue = _root(settings), incident.data.get("issue")
    if issue is not None and not has_others:
        return f"{root}/errors/{issue}"
    if CHECK_LABEL in incident.data.get("labels", {}) and "threshold_text" not in incident.data:
        return f"{root}/health"
    end = incident.resolved_at or incident.fired_at or incident.started_at
    return f"{root}/?range=1h&end={int(end) + 300}"


def _root(settings: Settings) -> str:
    return f"{settings.public_url.rstrip('/')}{settings.dashboard_prefix}"
