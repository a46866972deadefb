"""The fingerprint of an error: which occurrences are the same bug.

Works on a plain description of the exception (`Raised`); the walk over the real one is
`runtime/traces.py`. The rule is an algorithm with a number: when it changes, `VERSION` grows, new
fingerprints carry the old ones as aliases, and no issue that is known opens again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from watchkeeper.core.masking import MAX_FIRST_LINE_CHARS, parametrize
from watchkeeper.core.placing import PLACE_FRAMES, application, first_place, fold, turns, way
from watchkeeper.core.raised import Raised, TraceFrame

VERSION: Final = 2
FIRST_VERSION: Final = 1  # without statements; its values are the aliases of new fingerprints
MAX_CAUSES: Final = 8
MAX_CUSTOM_PARTS: Final = 10
MAX_PART_CHARS: Final = 200
DEFAULT_PART: Final = "{default}"  # stands for the computed fingerprint in one of the user's own

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
        if (application(cause) or cause.leaves) and not is_chance:
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

    In an endless recursion the limit may be met anywhere on the way round; what fails in a library
    alone has no statement, whatever application frames stand above.
    """
    if rule.version == FIRST_VERSION:
        return [_part("frame", frame.key) for frame in first_place(raised, rule.frames)]
    found = way(raised, rule.frames)
    parts = [_part("frame", frame.key) for frame in found.place]
    statement = raised.statement
    if statement is not None and not found.is_library and not turns(raised):
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


def _whole_path(raised: Raised) -> list[TraceFrame]:
    path = application(raised) or fold(raised.frames)
    for leaf in raised.leaves:
        path += _whole_path(leaf)
    return path


def _left_out(raised: Raised, rule: Rule) -> dict[str, int | str]:
    """Say what of an error's frames does not count: of a group, those of its first member."""
    one = next((leaf for leaf in raised.leaves if leaf.frames), raised)
    ours = [frame for frame in one.frames if frame.application]
    found = way(one, rule.frames)
    left: dict[str, int | str] = {
        "endpoint": found.passed.label if found.passed is not None else "",
        "above": len(found.path) - (0 if found.is_library else len(found.place)),
        "transparent": sum(frame.transparent for frame in found.below),
        "folded": len(ours) - len(found.path),
        "library": 0 if found.is_library else len(one.frames) - len(ours),
    }
    return {name: value for name, value in left.items() if value}


def _culprit(raised: Raised) -> str:
    for one in (*raised.leaves[:1], raised):
        is_library = way(one).is_library
        path = fold(one.frames) if is_library else application(one)
        if path:
            return path[-1].label
    return raised.logger


def _value(parts: Iterable[Part], version: int) -> str:
    return _versioned([part.counted for part in parts], version)


def _versioned(counted: Sequence[str], version: int) -> str:
    return f"{version}:{_digest(counted)}"


def _digest(parts: Sequence[str]) -> str:
    # JSON keeps the borders between the parts, and lone surrogates as ASCII
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
