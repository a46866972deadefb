"""The user's own fingerprint of an error: on the exception, with the capture, or by a function."""

from collections.abc import Callable, Sequence
from logging import getLogger
from time import perf_counter
from typing import Final

from watchkeeper.core.scrub import plain
from watchkeeper.runtime.bare import bases_of, names_of, state_of
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.texts import patiently

ATTRIBUTE: Final = "__watchkeeper_fingerprint__"
SLOW_S: Final = 0.05  # of one call: it runs where the error happened
MAX_SLOW_CALLS: Final = 3

_GIVEN: Final = (str, tuple, list)
_OTHER_WAYS: Final = ("__getattr__", "__getattribute__")  # to have an attribute
MAX_SILENT: Final = 4_096  # types

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
        self._silent: dict[int, type] = {}  # those that have other attributes in their ways

    @property
    def has_function(self) -> bool:
        """Whether a function is asked of every error."""
        return self._function is not None

    def of(
        self, exc: BaseException, given: object = None, *, asks_class: bool = True
    ) -> Sequence[str]:
        """Return the parts for an exception, captured with a `given` fingerprint; () for none.

        Of a class that `may_have_own` none, the class is not to be asked.
        """
        found = given
        own = state_of(exc).get(ATTRIBUTE)
        if own is not None or asks_class:
            with _GUARD:
                own = own or self._by_class(exc)
                # a class that has every attribute, such as a proxy, means nothing by it
                found = own if issubclass(type(own), _GIVEN) and own else given
        if not found and self._function is not None:
            found = self._asked(self._function, exc)
        return _texts(found) if found else ()

    def _by_class(self, exc: BaseException) -> object:
        """Return what a class says, or computes: that is waited for a moment, and not kept."""
        kind = type(exc)
        for base in bases_of(kind):
            if ATTRIBUTE in names_of(base):
                own = names_of(base)[ATTRIBUTE]
                return own if type(own) in _GIVEN else _computed(exc)
        if id(kind) in self._silent:
            return None
        own = _computed(exc)
        if not issubclass(type(own), _GIVEN):
            if len(self._silent) >= MAX_SILENT:
                self._silent.clear()
            self._silent[id(kind)] = kind
        return own

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


def _computed(exc: BaseException) -> object:
    return patiently(
        lambda: getattr(exc, ATTRIBUTE, None),
        (ATTRIBUTE, id(type(exc))),
        lambda: None,
        failed=None,
    )


def may_have_own(kind: type[BaseException]) -> bool:
    """Tell whether exceptions of a type may have a fingerprint that is not in their `__dict__`."""
    return any(
        name in names_of(base)
        for base in bases_of(kind)
        for name in (ATTRIBUTE, *_OTHER_WAYS)
        if base is not BaseException and base is not object
    )


def _texts(own: object) -> list[str]:
    """Return the user's fingerprint as texts, whatever was given."""
    parts = plain([own] if isinstance(own, str) else own)
    return [str(part) for part in parts] if isinstance(parts, list) else [str(parts)]
