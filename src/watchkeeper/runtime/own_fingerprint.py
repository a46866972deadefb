"""The user's own fingerprint of an error: on the exception, with the capture, or by a function."""

from collections.abc import Callable, Sequence
from logging import getLogger
from time import perf_counter
from typing import Final

from watchkeeper.core.scrub import plain
from watchkeeper.runtime.guard import guard

ATTRIBUTE: Final = "__watchkeeper_fingerprint__"
SLOW_S: Final = 0.05  # of one call: it runs where the error happened
MAX_SLOW_CALLS: Final = 3

_GIVEN: Final = (str, tuple, list)

_GUARD: Final = guard("exception attributes", of_host=True)
_FUNCTION: Final = guard("fingerprint function")
_log: Final = getLogger("watchkeeper")


class OwnFingerprint:
    """Asks for the user's own fingerprint, the nearest one first.

    The configured function runs within the request. It cannot be interrupted, so one that was slow
    MAX_SLOW_CALLS times is asked no more.
    """

    def __init__(
        self,
        function: Callable[[BaseException], object] | None = None,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Ask `function` where neither the exception nor the capture says anything."""
        self._function = function
        self._clock = clock
        self._slow_calls = 0

    def of(self, exc: BaseException, given: object = None) -> Sequence[str]:
        """Return the parts for an exception, captured with a `given` fingerprint; () for none."""
        found = given
        try:
            own = getattr(exc, ATTRIBUTE, None)
            # a class that has every attribute, such as a proxy, means nothing by it
            if own is not None and issubclass(type(own), _GIVEN) and own:
                found = own
        except BaseException as error:  # noqa: BLE001  # a property of the host's; `with` costs more
            _GUARD.swallow(error)
        if not found and self._function is not None:
            found = self._asked(self._function, exc)
        return _texts(found) if found else ()

    def _asked(self, function: Callable[[BaseException], object], exc: BaseException) -> object:
        found = None
        start = self._clock()
        with _FUNCTION:
            found = function(exc)
        if self._clock() - start > SLOW_S:
            self._slow_calls += 1
            if self._slow_calls == MAX_SLOW_CALLS:
                self._function = None
                _log.warning(
                    "watchkeeper: the function set as fingerprint took more than %g s "
                    "three times; it is not asked any more",
                    SLOW_S,
                )
        return found


def _texts(own: object) -> list[str]:
    """Return the user's fingerprint as texts, whatever was given."""
    parts = plain([own] if isinstance(own, str) else own)
    return [str(part) for part in parts] if isinstance(parts, list) else [str(parts)]
