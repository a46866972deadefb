"""The latest trace of each type of exception: in a storm the next error is nearly always equal."""

from types import CodeType, TracebackType
from typing import Final

from watchkeeper.runtime.bare import cause_of, context_of, state_of, traceback_of
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.traces import Traces

MAX_TYPES: Final = 256
MAX_FRAMES: Final = 100  # deeper ones are told by their key

Trace = tuple[tuple[CodeType, int], ...]
"""The code and the instruction of each frame, outermost first."""


class Latest:
    """Finds what an error is known as by comparing its trace with the latest of its type.

    No key is built then, and nothing hashed. Only for exceptions that are told apart by nothing
    but their trace, and always count: none that may be expected, or say how to be grouped. Their
    attributes are read plainly, which saves a call for each: no class overrides them.
    """

    __slots__ = ("_of", "_traces")

    def __init__(self, traces: Traces) -> None:
        """Begin with none."""
        self._traces = traces
        # by id: a metaclass may compare as it likes; what an entry holds keeps its id taken
        self._of: dict[int, tuple[type, object, Trace, Known]] = {}

    def get(self, exc: BaseException, endpoint: object) -> Known | None:
        """Return what an error is known as if its trace is that of the latest, else None.

        Of one that has attributes this knows nothing, so of none that was captured before.
        """
        latest = self._of.get(id(type(exc)))
        if latest is None or exc.__dict__:  # as all here, read plainly: see `put`
            return None
        _, of, trace, known = latest
        if of is not endpoint:
            return None
        tb = exc.__traceback__
        for code, instruction in trace:
            # by identity: equal code objects may be of other places
            if tb is None or tb.tb_lasti != instruction or tb.tb_frame.f_code is not code:
                return None
            tb = tb.tb_next
        if tb is not None or exc.__context__ is not None or exc.__cause__ is not None:
            return None
        return known

    def put(self, exc: BaseException, endpoint: object, known: Known) -> None:
        """Remember the trace of an error, if nothing else tells it apart."""
        kind = self._traces.kind(type(exc))
        if kind.detailed or kind.is_special or kind.may_have_own or not kind.is_plain:
            return
        if not _is_alone(exc):
            return
        trace = _trace(traceback_of(exc))
        if not 0 < len(trace) <= MAX_FRAMES:
            return
        if len(self._of) >= MAX_TYPES:
            self._of.clear()
        self._of[id(type(exc))] = (type(exc), endpoint, trace, known)


def _is_alone(exc: BaseException) -> bool:
    """Tell whether an exception comes from no other, and has no attributes."""
    return cause_of(exc) is None and context_of(exc) is None and not state_of(exc)


def _trace(tb: TracebackType | None) -> Trace:
    """Return what tells a trace; of too many frames, one more than MAX_FRAMES."""
    found: list[tuple[CodeType, int]] = []
    while tb is not None and len(found) <= MAX_FRAMES:
        found.append((tb.tb_frame.f_code, tb.tb_lasti))
        tb = tb.tb_next
    return tuple(found)
