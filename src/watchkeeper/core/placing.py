"""Where an error happened: which frames of its trace make its place."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from watchkeeper.core.raised import SAME, Raised, TraceFrame

PLACE_FRAMES: Final = 2  # innermost frames that make the place; one merges the users of a helper
ALL_FRAMES: Final = 0
COMPREHENSIONS: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})  # inlined since 3.12
MIN_TURNS: Final = 10  # from which on the application itself recurses, not a library below it

_ENDLESS: Final = "RecursionError"
_SOURCE: Final = ".py"
_LOCALS: Final = "<locals>."  # stands in a qualified name behind a function


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an error was reached: `place` counts, outermost first.

    `path` are the application's frames, folded; `below` those that do not only say how the code
    was reached, `passed` the endpoint, or what stands for it, that was left out with all above.
    Where `is_library`, no frame of the application saw the error but such.
    """

    place: Sequence[TraceFrame]
    path: Sequence[TraceFrame]
    below: Sequence[TraceFrame] = ()
    passed: TraceFrame | None = None
    is_library: bool = False


def way(raised: Raised, frames: int = PLACE_FRAMES) -> Way:
    """Find the place of an error, and what of its path leads there.

    Everything up to the endpoint goes; where the endpoint is known but not in the trace, up to the
    framework's function that calls it, so that a middleware never counts for what happens behind
    it. What fails in the endpoint itself is placed there alone; what fails behind that in no frame
    of the application, at the endpoint where the library raised it: a library's own check of an
    answer fails per endpoint. A path without either began further in (a task, an exception caught
    early): nothing goes. Where no endpoint is known the leading frames of the outermost frame's
    module go.
    """
    trace = _trace(raised)
    path = _folded(trace)
    endpoint = raised.endpoint
    if endpoint is None:
        below = _below_module(path)
        passed = path[-len(below) - 1] if len(below) < len(path) else None
        place = _seen(below) or _seen(path) or below
        if path:
            return Way(place=place[-frames:], path=path, below=below, passed=passed)
        return Way(place=fold(trace)[-frames:], path=path, is_library=True)
    reached = _reached(trace, endpoint)
    is_there = reached > 0 and trace[reached - 1] == endpoint
    below = _folded(trace[reached:])
    if below:
        place = (_seen(below) or _seen(path) or below)[-frames:]
        return Way(place=place, path=path, below=below, passed=endpoint if is_there else None)
    if is_there and endpoint.application:
        place = [_named(endpoint)] if not endpoint.transparent else _seen(path) or [endpoint]
        return Way(place=place[-frames:], path=path, below=[endpoint])
    library = fold(trace[reached:] or trace[-1:])[-frames:]
    place = [_named(raised.view or endpoint), *library] if library else []
    return Way(place=place, path=path, is_library=True)


def first_place(raised: Raised, frames: int) -> Sequence[TraceFrame]:
    """Return the place as the first version of the rule chose it; not to be changed."""
    known = raised.first_endpoint
    endpoint = raised.endpoint if known is SAME else known
    path = application(raised)
    if not path:
        library = fold(raised.frames)[-frames:]
        return [endpoint, *library] if library and endpoint is not None else library
    if endpoint is None:
        return _below_module(path)[-frames:]
    keys = [frame.key for frame in path]
    start = keys.index(endpoint.key) + 1 if endpoint.key in keys else 0
    return (path[start:] or path)[-frames:]


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


def application(raised: Raised) -> list[TraceFrame]:
    """Return the application's frames of an error, folded."""
    return _folded(raised.frames)


def turns(raised: Raised) -> Mapping[str, int]:
    """Count how often an endless recursion of the application came by; empty for other errors."""
    if raised.type != _ENDLESS:
        return {}
    found = Counter(one.key for one in raised.frames if one.application)
    return found if max(found.values(), default=0) >= MIN_TURNS else {}


def _trace(raised: Raised) -> Sequence[TraceFrame]:
    """Return the frames; those of an endless recursion end where it comes round."""
    found = turns(raised)
    if not found:
        return raised.frames
    often = max(found.values()) // 2
    rounds = (at for at, one in enumerate(raised.frames) if one.application)
    first = next(at for at in rounds if found[raised.frames[at].key] > often)
    return raised.frames[: first + 1]


def _reached(trace: Sequence[TraceFrame], endpoint: TraceFrame) -> int:
    """Return how many frames only say how the endpoint was reached, itself included."""
    backwards = range(len(trace) - 1, -1, -1)
    at = next((at for at in backwards if trace[at] == endpoint), None)
    if at is None:
        at = next((at for at in backwards if trace[at].dispatches), -1)
    return at + 1


def _below_module(path: Sequence[TraceFrame]) -> Sequence[TraceFrame]:
    """Drop the leading frames of the outermost one's module, if any frame remains."""
    start = 0
    while start < len(path) and _unit(path[start]) == _unit(path[0]):
        start += 1
    return path[start:] or path


def _named(frame: TraceFrame) -> TraceFrame:
    """Return the endpoint with its class: `get` of two views are two.

    Of one that is not in the trace only the file is known, not the module.
    """
    module = frame.module or (frame.file if frame.file.endswith(_SOURCE) else "")
    name = frame.qualname.rpartition(_LOCALS)[2] or frame.function
    return replace(frame, module=module, function=name)


def _folded(frames: Iterable[TraceFrame]) -> list[TraceFrame]:
    return fold(frame for frame in frames if frame.application)


def _seen(path: Iterable[TraceFrame]) -> list[TraceFrame]:
    return [frame for frame in path if not frame.transparent]


def _unit(frame: TraceFrame) -> str:
    return frame.module or frame.file
