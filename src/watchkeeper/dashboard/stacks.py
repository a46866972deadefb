"""What a stored event holds, as its page shows it: stack traces, context, and why grouped here.

Whatever the stored JSON holds is taken as it comes: a wrong shape is left out, never an error.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

MAX_FRAMES: Final = 100
MAX_CAUSES: Final = 8
MAX_MEMBERS: Final = 8
MAX_NOTES: Final = 10
MAX_PAIRS: Final = 50
MAX_WHY: Final = 20
MAX_SOURCE_LINES: Final = 21
MAX_TEXT: Final = 2_000
MAX_PACKAGES: Final = 4
MEMBER: Final = "member"
CONTEXT: Final = "context"
INNERMOST: Final = 70  # frames kept from the inner end when some were left out


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """One frame; `opened` if it is the one to look at first."""

    module: str
    function: str
    file: str
    line: int
    is_app: bool
    opened: bool
    source: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGroup:
    """Frames in a row that are all the application's, or all a library's and shown folded.

    `left_out` frames before the group were not stored.
    """

    is_app: bool
    frames: tuple[StackFrame, ...]
    packages: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One exception with its frames, outermost first, and the notes that were added to it.

    `relation` is empty for the raised one, "member" of one that the raised group holds, "cause" or
    "context" of what it was raised from, or while it was handled.
    """

    type: str
    message: str
    relation: str
    notes: tuple[str, ...]
    groups: tuple[FrameGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Everything that one event tells."""

    traces: tuple[Trace, ...]
    request: tuple[tuple[str, str], ...]
    context: tuple[tuple[str, str], ...]
    why: tuple[str, ...]


def read_stack(data: Mapping[str, Any]) -> Stack:
    """Read an event's data: the raised exception, what it holds if it is a group, its causes."""
    members = [one for one in _list(data.get("group")) if isinstance(one, Mapping)]
    causes = [one for one in _list(data.get("causes")) if isinstance(one, Mapping)]
    return Stack(
        traces=(
            _trace(data, ""),
            *(_trace(one, MEMBER) for one in members[:MAX_MEMBERS]),
            *(_trace(one, _text(one.get("relation")) or CONTEXT) for one in causes[:MAX_CAUSES]),
        ),
        request=(*_pairs(data.get("request")), *_pairs({"user": data.get("user")})),
        context=(*_pairs(data.get("tags")), *_pairs(data.get("context"))),
        why=tuple(_reasons(data.get("why"))[:MAX_WHY]),
    )


def _reasons(why: object) -> list[str]:
    """Return what counted for the group, a line each; events of the first version have texts."""
    if not isinstance(why, Mapping):
        return [_text(part) for part in _list(why)]
    parts = [one for one in _list(why.get("parts")) if isinstance(one, Mapping)]
    return [f"{_text(one.get('kind'))} {_text(one.get('text'))}" for one in parts]


def _trace(data: Mapping[str, Any], relation: str) -> Trace:
    raw = [one for one in _list(data.get("frames")) if isinstance(one, Mapping)][:MAX_FRAMES]
    first_look = _first_look(raw, is_raised=not relation)
    frames = [_frame(one, opened=index == first_look) for index, one in enumerate(raw)]
    omitted = _whole(data.get("omitted"))
    return Trace(
        type=_text(data.get("type")),
        message=_text(data.get("message")),
        relation=relation,
        notes=tuple(_text(one) for one in _list(data.get("notes"))[:MAX_NOTES]),
        groups=tuple(_groups(frames, omitted)),
    )


def _first_look(frames: Sequence[Mapping[str, Any]], *, is_raised: bool) -> int:
    """Return the index of the innermost application frame, -1 for none.

    An exception that was raised outside of any is looked at where it was raised.
    """
    ours = [index for index, one in enumerate(frames) if one.get("app") is True]
    if ours:
        return ours[-1]
    return len(frames) - 1 if is_raised else -1


def _frame(one: Mapping[str, Any], *, opened: bool) -> StackFrame:
    source = [
        (_whole(line[0]), _text(line[1]))
        for line in _list(one.get("source"))[:MAX_SOURCE_LINES]
        if isinstance(line, list | tuple) and len(line) == 2
    ]
    return StackFrame(
        module=_text(one.get("module")),
        function=_text(one.get("function")),
        file=_text(one.get("file")),
        line=_whole(one.get("line")),
        is_app=one.get("app") is True,
        opened=opened,
        source=tuple(source),
    )


def _groups(frames: Sequence[StackFrame], omitted: int) -> list[FrameGroup]:
    # The gap lies before the innermost frames; groups on either side of it stay apart.
    gap = max(len(frames) - INNERMOST, 0) if omitted else -1
    groups = []
    numbered = list(enumerate(frames))
    for (is_app, _), members in groupby(
        numbered, key=lambda entry: (entry[1].is_app or entry[1].opened, entry[0] >= gap)
    ):
        inside = list(members)
        chosen = tuple(frame for _, frame in inside)
        groups.append(
            FrameGroup(
                is_app=is_app,
                frames=chosen,
                packages=_packages(chosen),
                left_out=omitted if inside[0][0] == gap else 0,
            )
        )
    return groups


def _packages(frames: Sequence[StackFrame]) -> str:
    names = list(dict.fromkeys(frame.module.partition(".")[0] or "?" for frame in frames))
    more = ", …" if len(names) > MAX_PACKAGES else ""
    return ", ".join(names[:MAX_PACKAGES]) + more


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        return ()
    shown = [(_text(key), _text(content)) for key, content in list(value.items())[:MAX_PAIRS]]
    return tuple((key, content) for key, content in shown if content)


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # A lone surrogate cannot be sent; it is shown as what it is.
    shown = text.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= MAX_TEXT else shown[:MAX_TEXT] + "…"
