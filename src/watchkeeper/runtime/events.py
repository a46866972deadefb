"""Turning what was taken of an error into the event that is stored; the flusher's work.

`Event.data` holds JSON values, scrubbed and cut to the caps:

    {"type": "shop.errors.OutOfStock", "message": "…",
     "frames": [{"module": "shop.cart", "function": "Cart.total", "file": "shop/cart.py",
                 "line": 27, "app": true, "source": [[22, "…"], …, [32, "…"]]}, …],
     "omitted": 0, "notes": ["…", …],
     "causes": [{"type", "message", "relation": "cause" | "context", "frames", "omitted",
                 "notes"}, …],
     "context": {…},
     "request": {"method", "route", "status", "request_id"},
     "user": "…", "tags": {"plan": "pro", …},
     "why": {"version": 2,
             "parts": [{"kind": "type", "text": "shop.errors.OutOfStock"},
                       {"kind": "frame", "text": "shop.cart:total"},
                       {"kind": "statement", "text": "return stock[sku]", "hash": "…"},
                       {"kind": "cause", "text": "KeyError", "parts": […]}, …],
             "left_out": {"endpoint": "shop.views:show", "above": 2, "library": 14}},
     "group": [{"type", "message", "frames", "omitted", "notes"}, …]}

Frames come outermost first, at most the outermost 30 and the innermost 70 with "omitted" ones
between them; "source" holds up to five lines before and after. "notes" are those
that were added to the exception, at most ten. "context", "request", "tags" and
"user" (a hash) may be empty; a job's error has its name as route, "job:import", and no method.
"group" is there for exception groups only: up to eight of what they hold.

"why" explains the grouping, by the rule of a version. What counted, `kind`: type, logger, frame,
statement, detail, message, cause and group (with parts of their own), custom (what the user gave;
"{default}" has the computed parts). What did not: the endpoint and the number of frames "above"
the place, "transparent" ones, those of a "library", and those of a recursion that was "folded".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from watchkeeper.core.fingerprint import VERSION, Fingerprint, Part
from watchkeeper.core.scrub import MAX_LINE_CHARS, MAX_SCRUBBED_CHARS, cut
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.record import RequestContext
from watchkeeper.runtime.source import lines_of
from watchkeeper.runtime.traces import Snapshot, Spot

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Event

SOURCE_LINES: Final = 5  # before and after the line
MAX_LINES_ABOVE: Final = 200  # of those shown: what they are part of may begin there
BLOCK_LINES: Final = 50  # of a file that are scrubbed together
MAX_REMEMBERED_BLOCKS: Final = 256
MAX_SOURCE_CHARS: Final = 200  # of one line
MAX_MESSAGE_CHARS: Final = 2_000
MAX_NOTE_CHARS: Final = 1_000
MAX_TITLE_CHARS: Final = 300
MAX_TAG_CHARS: Final = 200
MAX_WHY_PARTS: Final = 150  # of an event that is too large, those within others too
MAX_WHY_CHARS: Final = 200
MAX_EVENT_BYTES: Final = 256_000
NO_REQUEST: Final = RequestContext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One occurrence as taken in the request: plain values, raw, nothing of the host alive."""

    known: Known
    at: float
    snapshot: Snapshot
    request: RequestContext = NO_REQUEST
    context: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""  # a hash
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> Fingerprint:
        """What groups it; may read source files."""
        return self.known.settle()


def event_of(sample: Sample, *, release: str) -> Event:
    """Shape a sample into the event to be stored: source lines, scrubbing, caps."""
    from watchkeeper.storage.store import Event

    request = sample.request
    return Event(
        id=uuid4().hex,
        fingerprint=sample.fingerprint.value,
        at=sample.at,
        method=scrubbing.name(request.method),
        route=scrubbing.name(request.route),
        status=request.status,
        release=release,
        request_id=scrubbing.name(request.request_id),
        path=sample.fingerprint.path,
        data=_fitted(_data(sample)),
    )


def title_of(snapshot: Snapshot) -> str:
    """Return an issue's title: the type's short name and the first line of the message."""
    first_line = _message(snapshot.message).strip().partition("\n")[0]
    name = snapshot.type.rpartition(".")[2]
    return cut(scrubbing.name(name) + (f": {first_line}" if first_line else ""), MAX_TITLE_CHARS)


def _data(sample: Sample) -> dict[str, Any]:
    snapshot = sample.snapshot
    data = _shape(snapshot)
    data["causes"] = [_shape(cause) | {"relation": cause.relation} for cause in snapshot.causes]
    data["context"] = scrubbing.mapping(sample.context)
    data["user"] = sample.user
    data["tags"] = scrubbing.mapping(sample.tags, limit=MAX_TAG_CHARS)
    data["request"] = {} if sample.request is NO_REQUEST else _request(sample.request)
    data["why"] = _why(sample.fingerprint)
    if snapshot.leaves:
        data["group"] = [_shape(leaf) for leaf in snapshot.leaves]
    return data


def _why(fingerprint: Fingerprint) -> dict[str, Any]:
    """Explain a grouping: what counted, and what did not."""
    return {
        "version": VERSION,
        "parts": [_part(part) for part in fingerprint.parts],
        "left_out": {
            name: scrubbing.name(value) if isinstance(value, str) else value
            for name, value in fingerprint.left_out.items()
        },
    }


def _part(part: Part) -> dict[str, Any]:
    if part.kind == "statement":
        text = _statement(part.text)
    elif len(part.text) <= scrubbing.MAX_NAME_CHARS:  # the same for all samples, and remembered
        text = scrubbing.name(part.text)
    else:
        text = _message(part.text)
    shaped = part.as_json() | {"text": text}
    if part.parts:
        shaped["parts"] = [_part(inner) for inner in part.parts]
    return shaped


def _statement(text: str) -> str:
    scrubbed = scrubbing.source(text)
    return "" if scrubbed is None else cut(scrubbed, MAX_SOURCE_CHARS)


def _shape(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "type": scrubbing.name(snapshot.type),
        "message": _message(snapshot.message),
        "frames": [_frame(spot) for spot in snapshot.spots],
        "omitted": snapshot.omitted,
        "notes": [_message(note, limit=MAX_NOTE_CHARS) for note in snapshot.notes],
    }


def _frame(spot: Spot) -> dict[str, Any]:
    frame = spot.frame
    return {
        "module": scrubbing.name(frame.module),
        "function": scrubbing.name(frame.qualname or frame.function),
        "file": scrubbing.name(frame.file),
        "line": spot.line,
        "app": frame.application,
        "source": _source(spot.filename, spot.line),
    }


def _source(filename: str, line: int) -> list[list[Any]]:
    """Return the lines around one, scrubbed."""
    if line < 1:
        return []
    begins, known = _block(filename, (line - 1) // BLOCK_LINES)
    if line - begins >= len(known):
        return []
    start = max(line - SOURCE_LINES, 1)
    shown = known[start - begins : line + SOURCE_LINES + 1 - begins]
    return [list(numbered) for numbered in enumerate(shown, start)]


@lru_cache(maxsize=MAX_REMEMBERED_BLOCKS)
def _block(filename: str, number: int) -> tuple[int, tuple[str, ...]]:
    """Return the lines of a part of a file with those around it, scrubbed, and where they begin.

    Remembered, since a bug's samples share them, and the frames of an application too.
    """
    lines = lines_of(filename)
    start = max(number * BLOCK_LINES + 1 - SOURCE_LINES, 1)
    end = min((number + 1) * BLOCK_LINES + SOURCE_LINES, len(lines))
    begins = _begin(lines, min(start, end), end)
    around = [text.rstrip("\r\n") for text in lines[begins - 1 : end]]
    # together, since a literal may go over many lines; \f and the like stay in their line
    scrubbed = scrubbing.source("\n".join(around)) if around else None
    if scrubbed is None:
        return start, ()
    shown = scrubbed.split("\n")[start - begins :]
    return start, tuple(cut(text, MAX_SOURCE_CHARS) for text in shown)


def _begin(lines: Sequence[str], start: int, end: int) -> int:
    """Return the line to scrub from: MAX_LINES_ABOVE, or fewer where those are long."""
    left = MAX_SCRUBBED_CHARS - sum(_length(text) for text in lines[start - 1 : end])
    begins = start
    while begins > max(start - MAX_LINES_ABOVE, 1):
        left -= _length(lines[begins - 2])
        if left < 0:
            break
        begins -= 1
    return begins


def _length(line: str) -> int:
    return min(len(line), MAX_LINE_CHARS) + 1


def _message(text: str, *, limit: int = MAX_MESSAGE_CHARS) -> str:
    return scrubbing.text(text, limit=limit)


def _request(request: RequestContext) -> dict[str, Any]:
    return {
        name: scrubbing.name(value) if isinstance(value, str) else value
        for name, value in asdict(request).items()
        if value
    }


def _fitted(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out the least useful until the event is small enough."""
    for step in (
        _with_short_why,
        _without_library_source,
        _without_source,
        _without_chain,
        _without_frames,
    ):
        if len(json.dumps(data)) <= MAX_EVENT_BYTES:
            break
        data = step(data)
    return data


def _with_short_why(data: dict[str, Any]) -> dict[str, Any]:
    why: dict[str, Any] = data["why"]
    return data | {"why": why | {"parts": _shortened(why["parts"], MAX_WHY_PARTS)}}


def _shortened(parts: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return the first parts, with their own and their texts cut."""
    kept: list[dict[str, Any]] = []
    for part in parts:
        if limit <= 0:
            break
        short = part | {"text": cut(part["text"], MAX_WHY_CHARS)}
        limit -= 1
        if "parts" in part:
            short["parts"] = _shortened(part["parts"], limit)
            limit -= _count(short["parts"])
        kept.append(short)
    return kept


def _count(parts: list[dict[str, Any]]) -> int:
    return sum(1 + _count(part.get("parts", [])) for part in parts)


def _without_library_source(data: dict[str, Any]) -> dict[str, Any]:
    return _with_frames(data, lambda frame: frame["app"])


def _without_source(data: dict[str, Any]) -> dict[str, Any]:
    return _with_frames(data, lambda frame: False)


def _without_chain(data: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in data.items() if name != "group"}
    return kept | {"context": {}, "causes": []}


def _without_frames(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"frames": [], "omitted": data["omitted"] + len(data["frames"])}


def _with_frames(
    data: dict[str, Any], keeps_source: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Return the data with the source of those frames only that are to keep it."""

    def thin(one: dict[str, Any]) -> dict[str, Any]:
        frames = [f if keeps_source(f) else f | {"source": []} for f in one["frames"]]
        return one | {"frames": frames}

    thinned = thin(data)
    for name in ("causes", "group"):
        if name in data:
            thinned[name] = [thin(one) for one in data[name]]
    return thinned
