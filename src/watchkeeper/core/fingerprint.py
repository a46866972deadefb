"""The fingerprint of an error: which occurrences are the same bug.

Works on a plain description of the exception (`Raised`); the walk over the real one is
`runtime/traces.py`. The rule is an algorithm with a number: when it changes, `VERSION` grows, new
fingerprints carry the old ones as aliases, and no issue that is known opens again.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import takewhile
from typing import Any, Final

from watchkeeper.core.masking import MAX_FIRST_LINE_CHARS, parametrize
from watchkeeper.core.raised import Raised, TraceFrame

VERSION: Final = 2
FIRST_VERSION: Final = 1  # without statements; its values are the aliases of new fingerprints
PLACE_FRAMES: Final = 2  # innermost frames that make the place; one merges the users of a helper
ALL_FRAMES: Final = 0
MAX_CAUSES: Final = 8
MAX_CUSTOM_PARTS: Final = 10
MAX_PART_CHARS: Final = 200
DEFAULT_PART: Final = "{default}"  # stands for the computed fingerprint in one of the user's own

COMPREHENSIONS: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})  # inlined since 3.12
MIN_TURNS: Final = 10  # from which on the application itself recurses, not a library below it
_ENDLESS: Final = "RecursionError"
_CANCELLED: Final = frozenset(
    {"asyncio.exceptions.CancelledError", "concurrent.futures._base.CancelledError"}
)
_OWN: Final = "own fingerprint"
_LEADS: Final = {
    "type": "type ",
    "logger": "logger ",
    "frame": "in ",
    "statement": "at ",
    "detail": "with ",
    "message": "message ",
    "cause": "caused by ",
}
"""Kind of part → what stands before its text where it is hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How errors are grouped; `frames` of the innermost make the place, ALL_FRAMES all of them."""

    frames: int = PLACE_FRAMES
    version: int = VERSION


_FIRST_RULE: Final = Rule(version=FIRST_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One reason of a grouping: `counted` is hashed, `text` is shown.

    `kind` is type, logger, frame, statement, detail, message, cause, group or custom. A cause and
    a member of a group have `parts` of their own.
    """

    kind: str
    text: str
    counted: str
    parts: tuple["Part", ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the part as it is stored."""
        stored: dict[str, Any] = {"kind": self.kind, "text": self.text}
        if self.kind == "statement":
            stored["hash"] = self.counted.removeprefix(_LEADS["statement"])
        if self.parts:
            stored["parts"] = [part.as_json() for part in self.parts]
        return stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The key that groups, and why: `parts` count, `left_out` says what did not.

    `path` is the hash of the complete call path, which a group may later be split by.
    """

    value: str
    parts: tuple[Part, ...]
    path: str
    culprit: str
    aliases: tuple[str, ...] = ()
    left_out: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def counted(self) -> tuple[str, ...]:
        """The texts that were hashed."""
        return tuple(part.counted for part in self.parts)


def fingerprint(raised: Raised, rule: Rule | None = None) -> Fingerprint:
    """Compute the fingerprint of an error."""
    rule = rule or Rule()
    parts = tuple(_describe(raised, rule))
    # A record of a log has no first version: such were not captured.
    first = () if raised.logger else (_value(_describe(raised, _FIRST_RULE), FIRST_VERSION),)
    return Fingerprint(
        value=_value(parts, rule.version),
        parts=parts,
        path=_digest([frame.key for frame in _whole_path(raised)]),
        culprit=_culprit(raised),
        aliases=first,
        left_out=_left_out(raised, rule),
    )


def value_of(raised: Raised, rule: Rule) -> str:
    """Compute the value of an error's fingerprint alone."""
    return _value(_describe(raised, rule), rule.version)


def customize(computed: Fingerprint, custom: Sequence[str]) -> Fingerprint:
    """Replace a computed fingerprint by the user's own parts.

    A part "{default}" stands for the computed one. Parts beyond MAX_CUSTOM_PARTS do not count.
    """
    chosen = [part[:MAX_PART_CHARS] for part in custom[:MAX_CUSTOM_PARTS]]
    before = computed.aliases if DEFAULT_PART in chosen else ("",)
    parts: list[Part] = [Part(kind="custom", text=_OWN, counted=_OWN)]
    for part in chosen:
        inner = computed if part == DEFAULT_PART else None
        parts.append(
            Part(
                kind="custom",
                text=part,
                counted=part if inner is None else inner.value,
                parts=() if inner is None else inner.parts,
            )
        )
    return Fingerprint(
        value=_value(parts, VERSION),
        parts=tuple(parts),
        path=computed.path,
        culprit=computed.culprit,
        aliases=tuple(
            _versioned([_OWN, *(old if part == DEFAULT_PART else part for part in chosen)], 1)
            for old in before
        ),
        left_out=computed.left_out if DEFAULT_PART in chosen else {},
    )


def fold(frames: Iterable[TraceFrame]) -> list[TraceFrame]:
    """Fold recursion: on meeting a frame already in the path, cut back to its first occurrence.

    Comprehensions belong to the function around them, so that Python 3.12, which inlines them,
    gives the same path.
    """
    path: dict[str, TraceFrame] = {}
    for frame in frames:
        if frame.function in COMPREHENSIONS:
            continue
        key = frame.key
        if key in path:
            while next(reversed(path)) != key:
                path.popitem()
        else:
            path[key] = frame
    return list(path.values())


def below_endpoint(
    path: Sequence[TraceFrame], raised: Raised, *, version: int = VERSION
) -> Sequence[TraceFrame]:
    """Drop the part of a path that only says how the code was reached, if anything remains.

    That is everything up to the endpoint; what fails in the endpoint itself is placed there (by
    the first version with what is around it). A path without its known endpoint began further in
    (a task, a dependency, an exception caught early): nothing is dropped. Where no endpoint is
    known the leading frames of the outermost frame's module go.
    """
    start = 0
    if raised.endpoint is not None:
        keys = [frame.key for frame in path]
        if raised.endpoint.key in keys:
            start = keys.index(raised.endpoint.key) + 1
            if start == len(path) and version > FIRST_VERSION:
                start -= 1
    elif path:
        unit = _unit(path[0])
        while start < len(path) and _unit(path[start]) == unit:
            start += 1
    return path[start:] or path


def _describe(raised: Raised, rule: Rule) -> list[Part]:
    if raised.leaves:
        return _describe_group(raised, rule)
    return [*_describe_one(raised, rule), *_describe_causes(raised, rule)]


def _describe_one(raised: Raised, rule: Rule) -> list[Part]:
    parts = [_part("logger" if raised.logger else "type", raised.type)]
    place = _placed(raised, rule)
    parts += place
    detail = raised.detail
    if rule.version == FIRST_VERSION and raised.first_detail is not None:
        detail = raised.first_detail
    if detail:
        parts.append(_part("detail", detail))
    if not place:
        parts.append(_part("message", _message(raised, rule)))
    return parts


def _describe_group(raised: Raised, rule: Rule) -> list[Part]:
    """Describe a group by its distinct leaves; a group of equal leaves is that leaf.

    A leaf that was never raised has no place of its own, so that of the group stands for it.
    """
    distinct: dict[str, list[Part]] = {}
    for leaf in raised.leaves:
        if leaf.frames or leaf.leaves:
            described = _describe(leaf, rule)
        else:
            described = [_part("type", leaf.type), *_placed(raised, rule)]
        distinct[_joined(described)] = described
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    members = [
        Part(kind="group", text=described[0].text, counted=joined, parts=tuple(described))
        for joined, described in sorted(distinct.items())
    ]
    return [Part(kind="group", text="a group of", counted="group of"), *members]


def _describe_causes(raised: Raised, rule: Rule) -> list[Part]:
    """Describe the causes that happened in the application, nearest first.

    Of a time-out the cancellation is none: it tells where the task happened to be.
    """
    parts: list[Part] = []
    cause = raised.cause
    for _ in range(MAX_CAUSES):
        if cause is None:
            break
        is_chance = rule.version > FIRST_VERSION and cause.type in _CANCELLED
        if (_application(cause) or cause.leaves) and not is_chance:
            described = (
                _describe_group(cause, rule) if cause.leaves else _describe_one(cause, rule)
            )
            parts.append(
                Part(
                    kind="cause",
                    text=described[0].text,
                    counted=_LEADS["cause"] + _joined(described),
                    parts=tuple(described),
                )
            )
        cause = cause.cause
    return parts


def _placed(raised: Raised, rule: Rule) -> list[Part]:
    """Describe where an error happened: the frames, and what failed in the innermost.

    In an endless recursion the limit may be met anywhere on the way round.
    """
    parts = [_part("frame", frame.key) for frame in _place(raised, rule)]
    statement = raised.statement
    counts = rule.version > FIRST_VERSION and not _turns(raised)
    if parts and statement is not None and counts:
        parts.append(
            Part(
                kind="statement",
                text=statement.shown,
                counted=_LEADS["statement"] + statement.digest,
            )
        )
    return parts


def _part(kind: str, text: str) -> Part:
    return Part(kind=kind, text=text, counted=_LEADS[kind] + text)


def _joined(parts: Iterable[Part]) -> str:
    return ", ".join(part.counted for part in parts)


def _message(raised: Raised, rule: Rule) -> str:
    if rule.version == FIRST_VERSION and raised.first_message is not None:
        return parametrize(raised.first_message)
    return raised.template[:MAX_FIRST_LINE_CHARS] or parametrize(raised.message)


def _application(raised: Raised) -> list[TraceFrame]:
    return fold(frame for frame in raised.frames if frame.application)


def _path(raised: Raised, rule: Rule) -> list[TraceFrame]:
    """Return the application's frames, folded; an endless recursion ends where it comes round."""
    turns = _turns(raised) if rule.version > FIRST_VERSION else {}
    if not turns:
        return _application(raised)
    frames = [one for one in raised.frames if one.application]
    most = max(turns.values())
    before = list(takewhile(lambda one: turns[one.key] <= most // 2, frames))
    return fold(frames[: len(before) + 1])


def _turns(raised: Raised) -> Mapping[str, int]:
    """Count how often an endless recursion of the application came by; empty for other errors."""
    if raised.type != _ENDLESS:
        return {}
    turns = Counter(one.key for one in raised.frames if one.application)
    return turns if max(turns.values(), default=0) >= MIN_TURNS else {}


def _place(raised: Raised, rule: Rule) -> Sequence[TraceFrame]:
    """Return the innermost frames that count.

    An error that no application frame has seen is placed where the library raised it, below the
    endpoint if one is known: a library's own check of an answer fails per endpoint.
    """
    path = _path(raised, rule)
    if path:
        below = below_endpoint(path, raised, version=rule.version)
        if rule.version > FIRST_VERSION:
            below = _seen(below) or _seen(path) or below
        return below[-rule.frames :]
    library = fold(raised.frames)[-rule.frames :]
    if library and raised.endpoint is not None:
        return [raised.endpoint, *library]
    return library


def _seen(path: Iterable[TraceFrame]) -> list[TraceFrame]:
    return [frame for frame in path if not frame.transparent]


def _whole_path(raised: Raised) -> list[TraceFrame]:
    path = _application(raised) or fold(raised.frames)
    for leaf in raised.leaves:
        path += _whole_path(leaf)
    return path


def _left_out(raised: Raised, rule: Rule) -> dict[str, int | str]:
    """Say what of an error's frames does not count: of a group, those of its first member."""
    one = next((leaf for leaf in raised.leaves if leaf.frames), raised)
    ours = [frame for frame in one.frames if frame.application]
    path = _path(one, rule)
    below = below_endpoint(path, one)
    dropped = path[: len(path) - len(below)]
    found: dict[str, int | str] = {
        "endpoint": dropped[-1].label if dropped else "",
        "above": len(path) - len(_place(one, rule)) if path else 0,
        "transparent": sum(frame.transparent for frame in below),
        "folded": len(ours) - len(path),
        "library": len(one.frames) - len(ours) if ours else 0,
    }
    return {name: value for name, value in found.items() if value}


def _culprit(raised: Raised) -> str:
    for one in (*raised.leaves[:1], raised):
        path = _application(one) or fold(one.frames)
        if path:
            return path[-1].label
    return raised.logger


def _unit(frame: TraceFrame) -> str:
    return frame.module or frame.file


def _value(parts: Iterable[Part], version: int) -> str:
    return _versioned([part.counted for part in parts], version)


def _versioned(counted: Sequence[str], version: int) -> str:
    return f"{version}:{_digest(counted)}"


def _digest(parts: Sequence[str]) -> str:
    # JSON keeps the borders between the parts, and lone surrogates as ASCII
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
