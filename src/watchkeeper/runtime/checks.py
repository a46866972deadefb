"""Health checks as they are declared, and one run of one of them."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Final, TypeVar

from watchkeeper.core.health import CheckState, Warned
from watchkeeper.core.units import format_duration, parse_duration
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import Raised, attempt

MAX_CHECKS: Final = 100
MAX_NAME: Final = 60  # characters
MAX_OUTPUT: Final = 200
MIN_EVERY_S: Final = 1.0

F = TypeVar("F", bound=Callable[[], Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One health check: what to call, how often, and for how long at most."""

    name: str
    function: Callable[[], Any]
    every_s: float = 30.0
    timeout_s: float = 5.0
    critical: bool = True
    readiness: bool = False  # also decides whether this process is ready for requests
    component: str = "component"  # componentType of the health document: component | datastore


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run found: pass, warn or fail, with a short text that holds no secret."""

    state: CheckState
    output: str = ""
    duration_s: float = 0.0


class Declared:
    """The checks that a program declared; iterating gives those of that moment."""

    def __init__(self) -> None:
        """Start without any."""
        self._lock = Lock()
        self._checks: dict[str, Check] = {}

    def add(self, check: Check) -> None:
        """Add a check; the same function again (a reloaded module) replaces it.

        Raises ConfigurationError if another function has this name, or there are too many.
        """
        with self._lock:
            known = self._checks.get(check.name)
            if known is not None and _origin(known) != _origin(check):
                raise ConfigurationError(
                    f"health check {check.name!r}: declared twice, by {_origin(known)} and "
                    f"{_origin(check)}; give one of them another name"
                )
            if known is None and len(self._checks) >= MAX_CHECKS:
                raise ConfigurationError(
                    f"health check {check.name!r}: there are {MAX_CHECKS} already; "
                    "join some into one"
                )
            self._checks[check.name] = check

    def discard(self, name: str) -> None:
        """Forget a check, if there is one of this name."""
        with self._lock:
            self._checks.pop(name, None)

    def __iter__(self) -> Iterator[Check]:
        """Iterate over a copy, in the order of declaration."""
        with self._lock:
            return iter(list(self._checks.values()))


DECLARED: Final = Declared()  # by `health_check`, in whatever module, before or after watch()


def health_check(
    name: str,
    *,
    every: str = "30s",
    timeout: str = "5s",
    critical: bool = True,
    readiness: bool = False,
) -> Callable[[F], F]:
    """Declare a plain or async function without arguments as a health check.

    It passes by returning None or True; `warn("…")` is a warning; another value is a pass with
    that detail; False, or whatever it raises, is a failure. An async function runs in an event
    loop of its own. With `readiness` the process is ready only while the check passes or warns.
    Raises ConfigurationError for a wrong name or duration.
    """

    def declare(function: F) -> F:
        DECLARED.add(
            make_check(
                name,
                function,
                every=every,
                timeout=timeout,
                critical=critical,
                readiness=readiness,
            )
        )
        return function

    return declare


def make_check(
    name: str,
    function: Callable[[], Any],
    *,
    every: str = "30s",
    timeout: str = "5s",
    critical: bool = True,
    readiness: bool = False,
    component: str = "component",
) -> Check:
    """Return a check made of texts as users write them. Raises ConfigurationError."""
    where = f"health check {name!r}"
    if not 0 < len(name) <= MAX_NAME or ":" in name:
        raise ConfigurationError(
            f"{where}: a name is a text of at most {MAX_NAME} characters without a colon"
        )
    if not name.isprintable():
        raise ConfigurationError(f"{where}: a name holds printable characters only")
    every_s = parse_duration(str(every), where=f"{where}: every")
    timeout_s = parse_duration(str(timeout), where=f"{where}: timeout")
    if every_s < MIN_EVERY_S:
        raise ConfigurationError(f"{where}: every {every!r} is too often; write '1s' or more")
    if timeout_s <= 0:
        raise ConfigurationError(f"{where}: timeout {timeout!r} is too short; write '5s'")
    return Check(
        name=name,
        function=function,
        every_s=every_s,
        timeout_s=timeout_s,
        critical=critical,
        readiness=readiness,
        component=component,
    )


def run_once(check: Check) -> Found:
    """Call the check in this thread and judge what came of it; raises nothing of the check's."""
    started = monotonic()
    answer = attempt(lambda: _judged(_called(check)))
    duration_s = monotonic() - started
    if duration_s > check.timeout_s:
        return Found(state=CheckState.FAIL, output=too_late(check), duration_s=duration_s)
    if isinstance(answer, tuple):
        state, output = answer
    else:
        state, output = CheckState.FAIL, _told(answer)
    shown = scrubbing.text(output, limit=MAX_OUTPUT)
    return Found(state=state, output=shown, duration_s=duration_s)


def too_late(check: Check) -> str:
    """Say that the time-out of a check was over before it answered."""
    return f"no answer within {format_duration(check.timeout_s)}"


def _called(check: Check) -> object:
    value = check.function()
    if inspect.isawaitable(value):
        import asyncio  # which loads TLS: not for a host that has no use for it

        return asyncio.run(_awaited(value, check.timeout_s))
    return value


async def _awaited(value: Any, timeout_s: float) -> object:
    import asyncio

    async with asyncio.timeout(timeout_s):
        return await value


def _judged(value: object) -> tuple[CheckState, str]:
    if value is None or value is True:
        return CheckState.PASS, ""
    if value is False:
        return CheckState.FAIL, "returned False"
    if isinstance(value, Warned):
        return CheckState.WARN, str(value.text)
    return CheckState.PASS, str(value)


def _told(answer: object) -> str:
    """Say in one line what was raised."""
    if not isinstance(answer, Raised):
        return ""
    text = attempt(lambda: str(answer.error).strip().partition("\n")[0])
    kind = type(answer.error).__name__
    return f"{kind}: {text}" if isinstance(text, str) and text else kind


def _origin(check: Check) -> str:
    function = check.function
    module = getattr(function, "__module__", "?")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
