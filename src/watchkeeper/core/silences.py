"""Silences and planned times: which alerts nobody is told of, and until when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Final

from watchkeeper.core.conditions import glob_matches
from watchkeeper.core.rule import SEVERITIES
from watchkeeper.core.weekly import Weekly, parse_weekly
from watchkeeper.exceptions import ConfigurationError

MAX_SILENCES: Final = 500  # looked at for each alert; of a scope, those in force or to come
MAX_KEYS: Final = 10  # of one silence
MAX_GLOBS: Final = 50  # of one key
MAX_TEXT: Final = 2_000  # characters of a comment
MAX_GLOB: Final = 200
RULE_KEY: Final = "rule"
SEVERITY_KEY: Final = "severity"

Matchers = tuple[tuple[str, tuple[str, ...]], ...]
"""(key, globs) of which one of each key must match: rule, severity, or a label's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One silence as it is asked: `name` is what people are shown, the times epoch seconds."""

    name: str
    matchers: Matchers = ()  # none: every alert
    starts_at: float = -inf
    ends_at: float = inf
    weekly: Weekly | None = None  # only then, within start and end
    comment: str = ""

    def until(self, at: float) -> float | None:
        """Return until when it is in force at a moment (`inf`: until it is ended), or None."""
        if not self.starts_at <= at < self.ends_at:
            return None
        ends_at = self.weekly.until(at) if self.weekly else inf
        return None if ends_at is None else min(ends_at, self.ends_at)

    def matches(self, *, rule: str, severity: str, labels: Mapping[str, str]) -> bool:
        """Tell whether it is about an alert, whenever."""
        of_its_own = {RULE_KEY: rule, SEVERITY_KEY: severity}
        return all(
            any(
                glob_matches(glob, of_its_own[key] if key in of_its_own else labels.get(key, ""))
                for glob in globs
            )
            for key, globs in self.matchers
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Times at which alerts below a severity wait; told at the end if they still fire."""

    weekly: Weekly
    below: str = "critical"

    def hold(self, severity: str, *, at: float) -> bool:
        """Tell whether an alert of a severity waits at a moment."""
        return rank(severity) < rank(self.below) and self.weekly.until(at) is not None


def rank(severity: str) -> int:
    """Return how bad a severity is, 0 for the least and for an unknown one."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def silenced_by(
    silences: Iterable[Silence],
    *,
    rule: str,
    severity: str,
    labels: Mapping[str, str],
    at: float,
) -> Silence | None:
    """Return the silence that holds an alert back; of several the one that lasts longest."""
    found = [
        (ends_at, silence)
        for silence in silences
        if (ends_at := silence.until(at)) is not None
        and silence.matches(rule=rule, severity=severity, labels=labels)
    ]
    return max(found, key=lambda one: one[0])[1] if found else None


def parse_matchers(given: Any, *, where: str) -> Matchers:
    """Read `{ rule = "Slow*", route = ["/a", "/b"] }`; raises ConfigurationError."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f'{where}: {given!r:.80} is no table; write {{ rule = "Slow*" }}, '
            "or {} for every alert"
        )
    if len(given) > MAX_KEYS:
        raise ConfigurationError(f"{where}: more than {MAX_KEYS} keys; set several silences")
    matchers = tuple(
        (_key(key, where=where), _globs(value, where=f"{where}.{key}"))
        for key, value in given.items()
    )
    for glob in dict(matchers).get(SEVERITY_KEY, ()):
        if not any(glob_matches(glob, severity) for severity in SEVERITIES):
            raise ConfigurationError(
                f"{where}.{SEVERITY_KEY}: {glob!r:.80} is none of {', '.join(SEVERITIES)}"
            )
    return matchers


def parse_quiet_hours(given: Mapping[str, Any], *, where: str) -> QuietHours | None:
    """Read `{ every = "daily 22:00-07:00 Europe/Berlin", below = "critical" }`; None if empty."""
    if not given:
        return None
    _only(given, ("every", "below"), where=where)
    if "every" not in given:
        raise ConfigurationError(f"{where}: say when: every = 'daily 22:00-07:00 Europe/Berlin'")
    below = given.get("below", "critical")
    if below not in SEVERITIES[1:]:
        raise ConfigurationError(
            f"{where}.below: {below!r:.80} is not one of {', '.join(SEVERITIES[1:])}"
        )
    return QuietHours(weekly=parse_weekly(given["every"], where=f"{where}.every"), below=below)


def parse_silence(given: Any, *, name: str, where: str) -> Silence:
    """Read a `[[silence]]`: `match`, and `every`, or `from` and `until`, or both; `comment`.

    `from` and `until` are dates with a time and its offset, as TOML has them, or such texts.
    Raises ConfigurationError naming `where` and the cure.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: {given!r:.80} is no table")
    _only(given, ("match", "every", "from", "until", "comment"), where=where)
    if "match" not in given:
        raise ConfigurationError(
            f'{where}: say which alerts: match = {{ severity = "warning" }}, or {{}} for all'
        )
    if "every" not in given and "until" not in given:
        raise ConfigurationError(
            f"{where}: say when: every = 'Sun 02:00-04:00 Europe/Berlin', or from and until"
        )
    starts_at = _moment(given["from"], where=f"{where}.from") if "from" in given else -inf
    ends_at = _moment(given["until"], where=f"{where}.until") if "until" in given else inf
    if ends_at <= starts_at:
        raise ConfigurationError(f"{where}.until: it ends before it begins")
    every = given.get("every")
    return Silence(
        name=name,
        matchers=parse_matchers(given["match"], where=f"{where}.match"),
        starts_at=starts_at,
        ends_at=ends_at,
        weekly=None if every is None else parse_weekly(every, where=f"{where}.every"),
        comment=" ".join(str(given.get("comment", "")).split())[:MAX_TEXT],
    )


def parse_silences(given: Sequence[Any], *, where: str) -> tuple[Silence, ...]:
    """Read every `[[silence]]` of the settings, named by their comments or places."""
    if isinstance(given, str | Mapping):
        raise ConfigurationError(f"{where}: write a list of tables, [[silence]] in a file")
    if len(given) > MAX_SILENCES:
        raise ConfigurationError(f"{where}: more than {MAX_SILENCES} silences")
    return tuple(
        parse_silence(one, name=_name(one, number), where=f"{where}[{number}]")
        for number, one in enumerate(given)
    )


def _name(given: Any, number: int) -> str:
    comment = given.get("comment", "") if isinstance(given, Mapping) else ""
    return " ".join(str(comment).split())[:MAX_GLOB] or f"silence {number + 1} of the settings"


def _only(given: Mapping[str, Any], known: Sequence[str], *, where: str) -> None:
    for key in given:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown key {key!r:.80}; known: {', '.join(known)}"
            )


def _key(key: Any, *, where: str) -> str:
    if not isinstance(key, str) or not key or len(key) > MAX_GLOB:
        raise ConfigurationError(f"{where}: {key!r:.80} is no name of a label")
    return key


def _globs(value: Any, *, where: str) -> tuple[str, ...]:
    globs = (value,) if isinstance(value, str) else value
    if not isinstance(globs, Sequence) or not globs or len(globs) > MAX_GLOBS:
        raise ConfigurationError(
            f"{where}: {value!r:.80} is neither a text nor a list of up to {MAX_GLOBS} texts"
        )
    for glob in globs:
        if not isinstance(glob, str) or len(glob) > MAX_GLOB:
            raise ConfigurationError(f'{where}: {glob!r:.80} is no text such as "/api/*"')
    return tuple(globs)


def _moment(value: Any, *, where: str) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return moment.timestamp()
    except ValueError:
        pass
    raise ConfigurationError(
        f"{where}: {str(value)[:80]!r} is no date with time and offset; "
        "write 2026-05-01T22:00:00+02:00"
    )
