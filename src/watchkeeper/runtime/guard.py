"""The one place that swallows exceptions, so that ours never reach the host."""

import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Final

LOG_EVERY_S: Final = 60.0  # one line per border and minute: a fault in the hot path must not flood
FOLD_AT: Final = 1_000  # borders that wait to be counted
MAX_PLACES: Final = 5  # of a trace that are named
MAX_WAITING: Final = 100_000  # while somebody counts; the oldest are lost

_log = logging.getLogger("watchkeeper")
_lock = threading.Lock()
# An error may come in a finalizer, amid anything in its thread: noting it waits for no lock.
_noted: deque[str] = deque(maxlen=MAX_WAITING)
_errors: Counter[str] = Counter()
_logged: dict[str, float] = {}


class Guard:
    """A border that no exception of Watchkeeper's own passes: `with guard("flush"): …`.

    Holds no state, so one object serves every thread and may be entered again within itself.
    Lets `BaseException`s such as KeyboardInterrupt and CancelledError through, but where it calls
    code of the host's that has no business to raise them (`of_host`), such as a `__str__`. Of what
    that raises only the kind and the places are logged: its text is made by the same code, and may
    hold secrets.
    """

    __slots__ = ("of_host", "where")

    def __init__(self, where: str, *, of_host: bool = False) -> None:
        """Name the border as it shall appear in `watchkeeper_internal_errors_total`."""
        self.where = where
        self.of_host = of_host

    def __enter__(self) -> None:
        """Enter; costs next to nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Swallow, count and log an `Exception`."""
        if error is None or kind is None:
            return False
        # not isinstance: it asks the error's `__class__`, which may raise
        if not self.of_host and not issubclass(kind, Exception):
            return False
        if self.of_host:
            _report(self.where, None, (kind, trace))
        else:
            _report(self.where, error)
        return True

    def swallow(self, error: BaseException) -> None:
        """Count and log an exception that was caught at this border.

        For what runs in every request, where entering a block would cost more than the work in it:
        `except Exception as error: _GUARD.swallow(error)` costs nothing unless it is raised.
        """
        _report(self.where, None if self.of_host else error)


def guard(where: str, *, of_host: bool = False) -> Guard:
    """Return the guard of a border; keep it in a name where it is entered often."""
    return Guard(where, of_host=of_host)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a function raised, as a value."""

    error: BaseException


def attempt(function: Callable[[], object], *, everything: bool = False) -> object:
    """Call a function of the user's whose exception is an answer, such as a health check's.

    Returns what it returned, or what it raised as `Raised`: that is no fault of ours, so it is
    neither counted nor logged. With `everything`, where the thread is ours, that is any exception
    whatever: a KeyboardInterrupt or a CancelledError there was raised by the function itself.
    """
    try:
        return function()
    except BaseException as error:  # whatever it is, it is the answer
        if not everything and not isinstance(error, Exception | SystemExit):
            raise
        return Raised(error)


def take_errors() -> dict[str, int]:
    """Return the errors swallowed since the last call, by border; not for a finalizer."""
    global _errors
    with _lock:
        _count_noted()
        taken, _errors = _errors, Counter()
    return dict(taken)


def forget_errors() -> None:
    """Begin anew in a forked child: another thread of the parent may have held the lock."""
    global _lock  # one for the process
    _lock = threading.Lock()
    _noted.clear()
    _errors.clear()


def _named(kind: type[BaseException], trace: TracebackType | None) -> str:
    """Return the kind of an exception and where it came by, without asking its own code."""
    places: deque[str] = deque(maxlen=MAX_PLACES)
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return "\n  ".join((f": {type.__repr__(kind)}", *places))


def _report(
    where: str,
    error: BaseException | None,
    of_host: tuple[type[BaseException], TracebackType | None] | None = None,
) -> None:
    """Note an error, and log it if the border's last line is old enough; waits for no lock."""
    _noted.append(where)
    if len(_noted) >= FOLD_AT and _lock.acquire(blocking=False):
        try:
            _count_noted()
        finally:
            _lock.release()
    now = monotonic()
    if now - _logged.get(where, -LOG_EVERY_S) < LOG_EVERY_S:
        return
    _logged[where] = now
    named = _named(*of_host) if of_host else ""
    with contextlib.suppress(Exception):  # a host's logging handler may raise, in its request
        _log.error(
            "watchkeeper: %s failed; your app is unaffected%s", where, named, exc_info=error
        )


def _count_noted() -> None:
    while _noted:
        _errors[_noted.popleft()] += 1
