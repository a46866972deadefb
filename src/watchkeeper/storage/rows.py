"""How rows are made, cut and chosen: what every store does alike."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from watchkeeper.core.hours import HOUR_S, MINUTE_S, Minutes
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Value, slot_start
from watchkeeper.storage.hours import Unsealed
from watchkeeper.storage.store import (
    ALL_WORKERS,
    AlertChange,
    Audit,
    CheckChange,
    CheckResult,
    Event,
    Incident,
    MarkKind,
    Outgoing,
    Release,
    Sample,
    Silence,
    Statement,
    StoredRule,
    Worker,
)

NEVER_RAN: Final = "unknown"  # the state of a check without a result
WRONG_LEASE: Final = 10.0  # times what is asked for: a lease with longer to run is a wrong clock's
WORKER_LIVE_S: Final = 90.0  # a worker silent for longer gives its number back
MAX_NAME: Final = 200  # label values, routes, releases, hosts, names of rules and checks
MAX_FINGERPRINT: Final = 64
MAX_REASON: Final = 32  # why a sample was stored: failed, slow, ordinary
MAX_TITLE: Final = 2_000  # characters of type and message (defaults.md: message 2 kB)
MAX_OUTPUT: Final = 2_000  # what a health check said
MAX_ERROR: Final = 1_000  # what a channel answered
MAX_STATEMENT: Final = 4_096  # characters of a statement's text (defaults.md: SQL 4 kB)
MAX_ACTION: Final = 64  # what somebody did
DIGEST_LENGTH: Final = 32  # hex digits of a 128-bit hash, where a key would be too long
SEEN_LAG_S: Final = 2 * 86_400  # a series' "last seen" is behind its last value by less
RETURN_SIGN: Final = "\x1e"  # no name holds it; after it stands when the release was back, in ms
RETURN_LENGTH: Final = 16
MAX_COMMENT: Final = 2_000  # what somebody wrote who set a silence or took an incident on
MAX_CALLERS: Final = 5  # places that execute a statement, the latest first


def cut(text: str, length: int) -> str:
    """Return a text of at most `length` characters that every database takes."""
    return text[:length].replace("\x00", "").encode(errors="replace").decode()


def json_object(text: str) -> dict[str, Any]:
    """Return a stored object; an empty one where the text is damaged."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def alert_data(text: str, state: str) -> dict[str, Any]:
    """Return what is stored of an alert's state; where that is damaged, at least the state."""
    data = json_object(text) or {"state": state}
    for name in ("labels", "told", "groups"):
        if not isinstance(data.get(name, {}), dict):
            del data[name]
    return data


def digest(*pieces: str) -> str:
    """Return a 128-bit hash of texts, for a key that would be too long for an index."""
    text = json.dumps(pieces, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=DIGEST_LENGTH // 2).hexdigest()


def is_live(worker: Worker, scope: Scope, *, at: float) -> bool:
    """Tell whether a worker of the same service and environment holds its number at `at`."""
    same = (worker.scope.service, worker.scope.environment) == (scope.service, scope.environment)
    return same and worker.stopped_at is None and worker.seen_at > at - WORKER_LIVE_S


def smallest_free(taken: Collection[int]) -> int:
    """Return the smallest number from 1 that is not taken."""
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def narrowed(
    frame: Frame, *, scope: tuple[str, str] | None, metrics: Collection[str] | None
) -> Frame | None:
    """Keep the series of a (service, environment) and of some metrics; None: all alike.

    A frame of all workers holds several scopes; if nothing of the scope is in it, it is None.
    """
    if scope is None and metrics is None:
        return frame
    values = frame.values
    if scope is not None:
        values = {
            series: value
            for series, value in values.items()
            if (series.label("service"), series.label("environment")) == scope
        }
        if frame.values and not values:
            return None
    if metrics is not None:
        values = {series: value for series, value in values.items() if series.metric in metrics}
    return replace(frame, values=values)


def whole_minutes(keys: Sequence[FrameKey], *, limit: int) -> Sequence[FrameKey]:
    """Cut ordered keys at `limit`, leaving out a last minute that does not fit in whole.

    `keys` holds one more than `limit` if there are more. A first minute that is too large by
    itself is cut in its midst: its rest is rolled up as a late part.
    """
    if len(keys) <= limit:
        return keys
    cut_minute = slot_start(keys[limit].start, 60)
    whole = [key for key in keys[:limit] if slot_start(key.start, 60) != cut_minute]
    return whole or keys[:limit]


def by_hour(keys: Iterable[FrameKey]) -> list[Unsealed]:
    """Gather the keys of minute frames by their hours, in the keys' order."""
    hours: dict[int, list[FrameKey]] = {}
    for key in keys:
        hours.setdefault(slot_start(key.start, HOUR_S), []).append(key)
    return [Unsealed(start=start, keys=tuple(found)) for start, found in hours.items()]


def is_wanted(
    series: Series, service: str, environment: str, metrics: Collection[str] | None
) -> bool:
    """Tell whether a series is of a scope, and of some metrics unless None."""
    return (
        (metrics is None or series.metric in metrics)
        and series.label("service") == service
        and series.label("environment") == environment
    )


def minute_frames(start: int, chunks: Iterable[tuple[Series, Minutes]]) -> list[Frame]:
    """Turn the chunks of an hour around: a frame for each minute, oldest first."""
    minutes: dict[int, dict[Series, Value]] = {}
    for series, chunk in chunks:
        for minute, value in chunk.items():
            minutes.setdefault(minute, {})[series] = value
    return [
        Frame(
            key=FrameKey(MINUTE_S, start + minute * MINUTE_S, ALL_WORKERS, 0),
            values=minutes[minute],
        )
        for minute in sorted(minutes)
    ]


def cut_scope(scope: Scope) -> Scope:
    """Cut a scope's texts to what is stored."""
    return Scope(
        service=cut(scope.service, MAX_NAME),
        environment=cut(scope.environment, MAX_NAME),
        release=cut(scope.release, MAX_NAME),
    )


def first_mark(worker: Worker) -> Release | None:
    """Return the mark that a worker sets when it registers; None without a release."""
    return Release(scope=worker.scope, at=worker.started_at) if worker.scope.release else None


def cut_release(release: Release) -> Release:
    """Cut a mark's texts to what is stored."""
    return replace(release, scope=cut_scope(release.scope), by=cut(release.by, MAX_NAME))


def mark_key(release: Release) -> str:
    """Return what a mark is stored under: its name, and of a return the moment as well.

    One that is too long is cut: a return of such a name is told of under the shorter one.
    """
    name = release.scope.release.replace(RETURN_SIGN, "")
    if release.kind is MarkKind.NEW:
        return name
    return f"{name[: MAX_NAME - RETURN_LENGTH]}{RETURN_SIGN}{round(release.at * 1_000)}"


def mark_of(key: str) -> tuple[str, MarkKind]:
    """Return the name and the kind of a stored mark."""
    name, sign, _ = key.partition(RETURN_SIGN)
    return name, MarkKind.RETURN if sign else MarkKind.NEW


def cut_audit(entry: Audit) -> Audit:
    """Cut an entry's texts to what is stored."""
    return replace(
        entry,
        service=cut(entry.service, MAX_NAME),
        environment=cut(entry.environment, MAX_NAME),
        actor=cut(entry.actor, MAX_NAME),
        action=cut(entry.action, MAX_ACTION),
        target=cut(entry.target, MAX_NAME),
    )


def cut_event(event: Event) -> Event:
    """Cut an event's texts to what is stored."""
    return replace(
        event,
        id=cut(event.id, MAX_FINGERPRINT),
        fingerprint=cut(event.fingerprint, MAX_FINGERPRINT),
        method=cut(event.method, MAX_NAME),
        route=cut(event.route, MAX_NAME),
        release=cut(event.release, MAX_NAME),
        request_id=cut(event.request_id, MAX_NAME),
        path=cut(event.path, MAX_FINGERPRINT),
    )


def cut_sample(sample: Sample) -> Sample:
    """Cut a sample's texts to what is stored."""
    return replace(
        sample,
        id=cut(sample.id, MAX_FINGERPRINT),
        reason=cut(sample.reason, MAX_REASON),
        method=cut(sample.method, MAX_NAME),
        route=cut(sample.route, MAX_NAME),
        request_id=cut(sample.request_id, MAX_NAME),
        fingerprint=cut(sample.fingerprint, MAX_FINGERPRINT),
        path=cut(sample.path, MAX_FINGERPRINT),
        release=cut(sample.release, MAX_NAME),
    )


def cut_statement(statement: Statement) -> Statement:
    """Cut a statement's texts and the number of its callers to what is stored."""
    callers = dict.fromkeys(cut(caller, MAX_NAME) for caller in statement.callers[:MAX_CALLERS])
    return replace(
        statement,
        fingerprint=cut(statement.fingerprint, MAX_FINGERPRINT),
        db=cut(statement.db, MAX_NAME),
        operation=cut(statement.operation, MAX_NAME),
        text=cut(statement.text, MAX_STATEMENT),
        callers=tuple(callers),
    )


def seen_statement(before: Statement, found: Statement) -> Statement:
    """Add what was seen of a known statement: its text stays, the latest callers come first."""
    old, new = sorted((before, found), key=lambda one: one.at)
    callers = dict.fromkeys((*new.callers, *old.callers))
    return replace(before, callers=tuple(callers)[:MAX_CALLERS], at=new.at)


def cut_check(result: CheckResult) -> CheckResult:
    """Cut a check result's texts to what is stored."""
    return replace(result, name=cut(result.name, MAX_NAME), output=cut(result.output, MAX_OUTPUT))


def chained(changes: Sequence[CheckChange], *, state: str, at: float) -> tuple[CheckChange, ...]:
    """Return which transitions of a check are new where it was in `state` as of `at`.

    Workers that both ran a check tell the same of it: what is not after what is known, or changes
    nothing, is left out, and each one begins where the last one ended.
    """
    found: list[CheckChange] = []
    for change in sorted(changes, key=lambda one: one.at):
        if change.at > at and change.after != state:
            found.append(replace(change, before=state))
            state = change.after
    return tuple(found)


def cut_change(change: CheckChange) -> CheckChange:
    """Cut a transition's texts to what is stored."""
    return replace(change, name=cut(change.name, MAX_NAME), output=cut(change.output, MAX_OUTPUT))


def require_incident(change: AlertChange) -> None:
    """Raise ValueError for what no store takes.

    Messages without an incident, further incidents that are not stored yet, or one row twice.
    """
    keys = {(row.service, row.environment, row.rule, row.group) for row in change.also}
    own = (change.row.service, change.row.environment, change.row.rule, change.row.group)
    if len({*keys, own}) != 1 + len(change.also):
        raise ValueError("an alert change has each row once")
    if not all(one.id for one in change.incidents):
        raise ValueError("further incidents of an alert change are stored already")
    if change.incident is not None or change.row.incident is not None:
        return
    if callable(change.outgoing) or any(one.incident is None for one in change.outgoing):
        raise ValueError("notices belong to an incident; the alert change has none")


def outgoing_of(change: AlertChange, incident: int) -> list[Outgoing]:
    """Return the messages of a change, each with its incident; `incident` is that of the row."""
    made = change.outgoing(incident) if callable(change.outgoing) else change.outgoing
    return [one if one.incident is not None else replace(one, incident=incident) for one in made]


def owner_of(incident: int, *, service: str, environment: str) -> int:
    """Return the number that a message is kept under: its incident, or below 0 its scope.

    So the same message of no incident is one in each scope.
    """
    return incident or -1 - int(digest(service, environment)[:15], 16)


def cut_silence(silence: Silence) -> Silence:
    """Cut a silence's texts to what is stored."""
    return replace(
        silence,
        service=cut(silence.service, MAX_NAME),
        environment=cut(silence.environment, MAX_NAME),
        schedule=cut(silence.schedule, MAX_NAME),
        author=cut(silence.author, MAX_NAME),
        comment=cut(silence.comment, MAX_COMMENT),
    )


def require_name(rule: StoredRule) -> None:
    """Raise ValueError for a rule's name that would be cut, and so be another rule's."""
    if cut(rule.name, MAX_NAME) != rule.name:
        raise ValueError(f"a rule's name has at most {MAX_NAME} characters")


def is_over(incident: Incident, *, before: float) -> bool:
    """Tell whether an incident ended before a moment; an event ends as it starts."""
    ended = incident.started_at if incident.state == "event" else incident.resolved_at
    return ended is not None and ended < before
