"""The fingerprint of an error: which occurrences are the same bug.

Works on a plain description of the exception (`Raised`); the walk over the real one is
`runtime/traces.py`. The rule is an algorithm with a number: when it changes, `VERSION` grows, new
fingerprints carry the old ones as aliases, and no issue that is known opens again.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

VERSION: Final = 1
PLACE_FRAMES: Final = 2  # innermost frames that make the place; one merges the users of a helper
MAX_CAUSES: Final = 8
MAX_CUSTOM_PARTS: Final = 10
MAX_PART_CHARS: Final = 200
DEFAULT_PART: Final = "{default}"  # stands for the computed fingerprint in one of the user's own

COMPREHENSIONS: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})  # inlined since 3.12

TYPE_ALIASES: Final = {
    "EnvironmentError": "OSError",
    "IOError": "OSError",
    "asyncio.TimeoutError": "TimeoutError",
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "concurrent.futures.TimeoutError": "TimeoutError",
    "concurrent.futures._base.TimeoutError": "TimeoutError",
    "re.PatternError": "re.error",
    "select.error": "OSError",
    "socket.error": "OSError",
    "socket.timeout": "TimeoutError",
    "sre_constants.error": "re.error",
}
"""Names that one exception had in other versions of Python → the name it is grouped under."""

# One pass, each alternative begins with another character or is bounded: linear time.
_VARIABLE: Final = re.compile(
    r"(?P<email>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8})"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>]{1,2000})"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<jwt>\beyJ[\w-]{1,4000}\.[\w.-]{1,4000})"
    r"|(?P<address>\b0x[0-9a-fA-F]{1,32}\b)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b)"
    r"|(?P<path>(?<![\w/])(?:/[\w.@%+-]{1,255}){2,32}/?)"
    r"|(?P<text>'[^'\n]{0,500}'|\"[^\"\n]{0,500}\")"
    r"|(?P<hex>\b(?=[a-fA-F]{0,64}\d)[0-9a-fA-F]{7,64}\b)"
    r"|(?P<number>\d+(?:\.\d+)?)"
)
_DIGITS: Final = re.compile(r"[0-9a-fA-F]{7,}|\d+")
_FIRST_LINE_CHARS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFrame:
    """One function on the way to an error, without its line: where code lives, not what it did.

    `module` is empty for code that has no real module (a template, `exec`); then `file` names it,
    relative to the project. `qualname` is for people and never counts.
    """

    module: str
    function: str
    qualname: str = ""
    file: str = ""
    application: bool = True

    @property
    def key(self) -> str:
        """What identifies the frame in a fingerprint: no line, no absolute path, no address."""
        if self.module:
            return f"{self.module}:{self.function}"
        return f"{mask_digits(self.file)}:{mask_digits(self.function)}"

    @property
    def label(self) -> str:
        """The frame as people read it: "module:Class.function"."""
        return f"{self.module or self.file}:{self.qualname or self.function}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A description of one exception: all that may count for its group.

    `frames` come outermost first; `endpoint` is the frame of the view, task or command if it is
    known, whether it is among the frames or not. `detail` is the part of the message
    that counts (an errno, a status, a constraint); `message` counts only where there are no
    frames. `cause` is the exception that this one was made of, `leaves` those of a group.
    """

    type: str
    frames: Sequence[TraceFrame] = ()
    endpoint: TraceFrame | None = None
    detail: str = ""
    message: str = ""
    cause: "Raised | None" = None
    leaves: Sequence["Raised"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The key that groups, and why: `parts` are the texts that were hashed, made to be read.

    `path` is the hash of the complete call path, which a group may later be split by.
    """

    value: str
    parts: tuple[str, ...]
    path: str
    culprit: str
    aliases: tuple[str, ...] = ()


def fingerprint(raised: Raised, *, frames: int = PLACE_FRAMES) -> Fingerprint:
    """Compute the fingerprint of an error; `frames` innermost ones make its place."""
    parts = tuple(_describe(raised, frames=frames))
    return Fingerprint(
        value=_versioned(parts),
        parts=parts,
        path=_digest([frame.key for frame in _whole_path(raised)]),
        culprit=_culprit(raised),
    )


def customize(computed: Fingerprint, custom: Sequence[str]) -> Fingerprint:
    """Replace a computed fingerprint by the user's own parts.

    A part "{default}" stands for the computed one. Parts beyond MAX_CUSTOM_PARTS do not count.
    """
    parts = tuple(
        computed.value if part == DEFAULT_PART else part[:MAX_PART_CHARS]
        for part in custom[:MAX_CUSTOM_PARTS]
    )
    return Fingerprint(
        value=_versioned(("own fingerprint", *parts)),
        parts=("own fingerprint", *parts),
        path=computed.path,
        culprit=computed.culprit,
        aliases=computed.aliases if DEFAULT_PART in custom else (),
    )


def type_name(module: str, qualname: str, *, made_at_run_time: bool = False) -> str:
    """Return the name that an exception's type is grouped under.

    Built-in types go without a module, old names go to the present one, and digits in the names
    of classes made at run time do not count.
    """
    name = qualname if module == "builtins" else f"{module}.{qualname}"
    name = TYPE_ALIASES.get(name, name)
    return mask_digits(name) if made_at_run_time else name


def mask_digits(name: str) -> str:
    """Replace every number, and every hexadecimal run of seven or more, by "#"."""
    return _DIGITS.sub(_masked_run, name)


def parametrize(message: str) -> str:
    """Return a message's first line with its values replaced by their kinds.

    E-mail, URL, UUID, JWT, 0x address, date and time, IP address, path, quoted text, long hex and
    number.
    """
    first_line = message.strip().partition("\n")[0][:_FIRST_LINE_CHARS]
    return _VARIABLE.sub(lambda match: f"<{match.lastgroup}>", first_line).strip()


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


def below_endpoint(path: Sequence[TraceFrame], raised: Raised) -> Sequence[TraceFrame]:
    """Drop the part of a path that only says how the code was reached, if anything remains.

    That is everything up to the endpoint. A path without its known endpoint began further in
    (a task, a dependency, an exception caught early): nothing is dropped. Where no endpoint is
    known the leading frames of the outermost frame's module go.
    """
    start = 0
    if raised.endpoint is not None:
        keys = [frame.key for frame in path]
        if raised.endpoint.key in keys:
            start = keys.index(raised.endpoint.key) + 1
    elif path:
        unit = _unit(path[0])
        while start < len(path) and _unit(path[start]) == unit:
            start += 1
    return path[start:] or path


def _describe(raised: Raised, *, frames: int) -> list[str]:
    if raised.leaves:
        return _describe_group(raised, frames=frames)
    return [*_describe_one(raised, frames=frames), *_describe_causes(raised, frames=frames)]


def _describe_one(raised: Raised, *, frames: int) -> list[str]:
    parts = [f"type {raised.type}"]
    place = _place(raised, frames=frames)
    parts += [f"in {frame.key}" for frame in place]
    if raised.detail:
        parts.append(f"with {raised.detail}")
    if not place:
        parts.append(f"message {parametrize(raised.message)}")
    return parts


def _describe_group(raised: Raised, *, frames: int) -> list[str]:
    """Describe a group by its distinct leaves; a group of equal leaves is that leaf.

    A leaf that was never raised has no place of its own, so that of the group stands for it.
    """
    distinct: dict[tuple[str, ...], None] = {}
    for leaf in raised.leaves:
        if leaf.frames or leaf.leaves:
            described = _describe(leaf, frames=frames)
        else:
            place = [f"in {frame.key}" for frame in _place(raised, frames=frames)]
            described = [f"type {leaf.type}", *place]
        distinct[tuple(described)] = None
    if len(distinct) == 1:
        return list(next(iter(distinct)))
    return ["group of", *sorted(", ".join(parts) for parts in distinct)]


def _describe_causes(raised: Raised, *, frames: int) -> list[str]:
    """Describe the causes that happened in the application, nearest first."""
    parts: list[str] = []
    cause = raised.cause
    for _ in range(MAX_CAUSES):
        if cause is None:
            break
        if _application(cause) or cause.leaves:
            described = (
                _describe_group(cause, frames=frames)
                if cause.leaves
                else _describe_one(cause, frames=frames)
            )
            parts.append("caused by " + ", ".join(described))
        cause = cause.cause
    return parts


def _application(raised: Raised) -> list[TraceFrame]:
    return fold(frame for frame in raised.frames if frame.application)


def _place(raised: Raised, *, frames: int) -> Sequence[TraceFrame]:
    """Return the innermost frames that count.

    An error that no application frame has seen is placed where the library raised it, below the
    endpoint if one is known: a library's own check of an answer fails per endpoint.
    """
    path = _application(raised)
    if path:
        return below_endpoint(path, raised)[-frames:]
    library = fold(raised.frames)[-frames:]
    if library and raised.endpoint is not None:
        return [raised.endpoint, *library]
    return library


def _whole_path(raised: Raised) -> list[TraceFrame]:
    path = _application(raised) or fold(raised.frames)
    for leaf in raised.leaves:
        path += _whole_path(leaf)
    return path


def _culprit(raised: Raised) -> str:
    for one in (*raised.leaves[:1], raised):
        path = _application(one) or fold(one.frames)
        if path:
            return path[-1].label
    return ""


def _unit(frame: TraceFrame) -> str:
    return frame.module or frame.file


def _masked_run(match: re.Match[str]) -> str:
    run = match.group()
    return "#" if any(character.isdigit() for character in run) else run


def _versioned(parts: Sequence[str]) -> str:
    return f"{VERSION}:{_digest(parts)}"


def _digest(parts: Sequence[str]) -> str:
    # JSON keeps the borders between the parts, and lone surrogates as ASCII
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
