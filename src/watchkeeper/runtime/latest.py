"""The latest trace of each type of exception: in a storm the next error is nearly always equal."""

from typing import Final

from watchkeeper.runtime.bare import cause_of, context_of, state_of, traceback_of
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.traces import HEAD_ENTRIES, MAX_KEY_ENTRIES, Traces

MAX_TYPES: Final = 256


class Latest:
    """Finds what an error is known as by comparing its trace with the latest of its type.

    No key is built then, and nothing hashed. Only for exceptions that are told apart by nothing
    but their trace. As with a memo, what is `kept` by the known keeps its ids taken.
    """

    __slots__ = ("_of", "_traces")

    def __init__(self, traces: Traces) -> None:
        """Begin with none."""
        self._traces = traces
        self._of: dict[int, tuple[int, tuple[object, ...], Known]] = {}

    def get(self, exc: BaseException, endpoint: object) -> Known | None:
        """Return what an error is known as if its trace is that of the latest, else None."""
        latest = self._of.get(id(type(exc)))
        if latest is None or latest[0] != id(endpoint):
            return None
        tb = traceback_of(exc)
        for entry in latest[1]:
            if tb is None or id(tb.tb_frame.f_code) + tb.tb_lasti != entry:
                return None
            tb = tb.tb_next
        return latest[2] if tb is None and _is_alone(exc) else None

    def put(
        self, exc: BaseException, endpoint: object, key: tuple[object, ...], known: Known
    ) -> None:
        """Remember the trace of an error, by its key, if nothing else is in that."""
        kind = self._traces.kind(type(exc))
        if kind.detailed or kind.group or not _is_alone(exc):
            return
        is_whole = key[0] == id(endpoint) and len(key) < MAX_KEY_ENTRIES
        if not is_whole or traceback_of(exc) is None:
            return
        if len(self._of) >= MAX_TYPES:
            self._of.clear()
        self._of[id(type(exc))] = (id(endpoint), key[HEAD_ENTRIES:], known)


def _is_alone(exc: BaseException) -> bool:
    """Tell whether an exception comes from no other, and has no attributes."""
    return cause_of(exc) is None and context_of(exc) is None and not state_of(exc)
