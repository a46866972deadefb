"""Silences that people set: added, listed, ended, each with who did it in the audit."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.silences import (
    MAX_SILENCES,
    MAX_TEXT,
    Silence,
    parse_matchers,
    silenced_by,
)
from watchkeeper.core.weekly import parse_weekly
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.audit import Action, entry

if TYPE_CHECKING:  # a host that only records does not wait for it
    from watchkeeper.storage.store import Silence as StoredSilence
    from watchkeeper.storage.store import SilenceStore

MAX_SILENCE_S: Final = 400 * 86_400.0  # a longer one is a rule to be switched off

_log = logging.getLogger("watchkeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A silence as somebody asks for it, checked by `add`.

    `match`: key → glob or globs, {} for every alert. Ends after `for_s`, or at `until` (epoch
    seconds); with `every`, a time of the week, it may have no end.
    """

    match: Mapping[str, Any]
    author: str  # shown to people
    comment: str = ""
    starts_at: float | None = None  # None: now
    for_s: float | None = None
    until: float | None = None
    every: str = ""


def add(
    store: "SilenceStore", scope: Scope, request: Request, *, actor: str, at: float
) -> "StoredSilence":
    """Set a silence and write down who did; returns it with its id.

    Raises ConfigurationError for what cannot be, StorageError.
    """
    from watchkeeper.storage.store import Silence as StoredSilence

    matchers = parse_matchers(request.match, where="match")
    starts_at = at if request.starts_at is None else request.starts_at
    silence = StoredSilence(
        service=scope.service,
        environment=scope.environment,
        matchers={key: list(globs) for key, globs in matchers},
        starts_at=starts_at,
        ends_at=_end(request, starts_at=starts_at, at=at),
        schedule=parse_weekly(request.every, where="every").text if request.every else "",
        author=scrubbing.name(request.author),
        comment=scrubbing.text(" ".join(request.comment.split()), limit=MAX_TEXT),
        created_at=at,
    )
    audit = entry(scope, Action.SILENCE_ADD, actor=actor, at=at, data=_said(silence))
    return store.add_silence(silence, audit=audit)


def listed(
    store: "SilenceStore", scope: Scope, *, at: float | None, limit: int = MAX_SILENCES
) -> list["StoredSilence"]:
    """List the silences that may be in force at `at` or later (None: all), newest first."""
    return store.silences(service=scope.service, environment=scope.environment, at=at, limit=limit)


def end(store: "SilenceStore", scope: Scope, silence_id: int, *, actor: str, at: float) -> bool:
    """End a silence of a scope; False if there is none or it has ended. Raises StorageError."""
    found = store.silence(silence_id)
    if found is None or (found.service, found.environment) != (scope.service, scope.environment):
        return False
    audit = entry(scope, Action.SILENCE_END, actor=actor, at=at, data=_said(found))
    return store.end_silence(silence_id, at=at, audit=audit)


def in_force(store: "SilenceStore", scope: Scope, *, at: float) -> list[Silence]:
    """Return the silences of the database as alerts ask them, now in force or to come.

    One that cannot be read any more is left out: people are told rather than not.
    """
    found = []
    for stored in listed(store, scope, at=at):
        try:
            found.append(as_asked(stored))
        except ConfigurationError as error:
            _log.warning("watchkeeper: silence %s is left out: %s", stored.id, error)
    return found


def check(
    store: "SilenceStore",
    scope: Scope,
    *,
    rule: str,
    severity: str,
    labels: Mapping[str, str],
    at: float,
    planned: tuple[Silence, ...] = (),
) -> Silence | None:
    """Return the silence that an alert would meet at a moment, or None. Raises StorageError."""
    known = (*planned, *in_force(store, scope, at=at))
    return silenced_by(known, rule=rule, severity=severity, labels=labels, at=at)


def as_asked(stored: "StoredSilence") -> Silence:
    """Return a stored silence as alerts ask it; raises ConfigurationError if it is damaged."""
    where = f"silence {stored.id}"
    ends = [one for one in (stored.ends_at, stored.ended_at) if one is not None]
    silence = Silence(
        name=f"{where}{f': {stored.comment}' if stored.comment else ''} ({stored.author})",
        matchers=parse_matchers(stored.matchers, where=where),
        starts_at=stored.starts_at,
        weekly=parse_weekly(stored.schedule, where=where) if stored.schedule else None,
        comment=stored.comment,
    )
    return replace(silence, ends_at=min(ends)) if ends else silence


def _end(request: Request, *, starts_at: float, at: float) -> float | None:
    if request.for_s is not None and request.until is not None:
        raise ConfigurationError("silence: say for how long or until when, not both")
    ends_at = request.until
    if request.for_s is not None:
        ends_at = max(starts_at, at) + request.for_s
    if ends_at is None:
        if not request.every:
            raise ConfigurationError(
                "silence: say for how long (--for 2h), until when (--until 18:00), or every when "
                "(--every 'Sun 02:00-04:00 Europe/Berlin')"
            )
        return None
    if ends_at <= max(starts_at, at):
        raise ConfigurationError("silence: it would end before it begins")
    if ends_at - starts_at > MAX_SILENCE_S and not request.every:
        raise ConfigurationError(
            "silence: longer than 400 days; switch the rule off instead (enabled = false)"
        )
    return ends_at


def _said(silence: "StoredSilence") -> dict[str, Any]:
    return {
        "match": dict(silence.matchers),
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "every": silence.schedule,
        "comment": silence.comment,
    }
