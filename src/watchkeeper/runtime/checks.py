"""Health checks as they are declared, and one run of one of them."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal, TypeVar

from watchkeeper.core.health import CheckState, Observed, Warned
from watchkeeper.core.units import format_duration, parse_duration
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import Raised, attempt

MAX_CHECKS: Final = 100
MAX_NAME: Final = 60  # characters
MAX_OUTPUT: Final = 200
MAX_UNIT: Final = 20
MAX_TAGS: Final = 10
MAX_TAG: Final = 40
MIN_EVERY_S: Final = 1.0
MAX_EVERY_S: Final = 7 * 86_400.0

CheckScope = Literal["cluster", "worker"]
SCOPES: Final = ("cluster", "worker")

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
    scope: CheckScope = "cluster"  # cluster: one worker runs it for all; worker: each for itself
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run found: pass, warn or fail, with a short text that holds no secret."""

    state: CheckState
    output: str = ""
    duration_s: float = 0.0
    value: float | None = None  # what it measured, if it told that, and in what unit
    unit: str = ""


class Declared:
    """The checks that a program declared; iterating gives those of that moment.

    Safe for several threads without a lock, which a forked child could find held for ever: each
    step is one that the dictionary takes at once.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._checks: dict[str, Check] = {}

    def add(self, check: Check) -> None:
        """Add a check; the same function again (a reloaded module) replaces it.

        Raises ConfigurationError if another function has this name, or there are too many.
        """
        if check.name not in self._checks and len(self._checks) >= MAX_CHECKS:
            raise ConfigurationError(
                f"health check {check.name!r}: there are {MAX_CHECKS} already; join some into one"
            )
        known = self._checks.setdefault(check.name, check)
        if _origin(known) != _origin(check):
            raise ConfigurationError(
                f"health check {check.name!r}: declared twice, by {_origin(known)} and "
                f"{_origin(check)}; give one of them another name"
            )
        self._checks[check.name] = check

    def discard(self, name: str) -> None:
        """Forget a check, if there is one of this name."""
        self._checks.pop(name, None)

    def __iter__(self) -> Iterator[Check]:
        """Iterate over a copy, in the order of declaration."""
        return iter(list(self._checks.values()))


DECLARED: Final = Declared()  # by `health_check`, in whatever module, before or after watch()


def health_check(
    name: str,
    *,
    every: str = "30s",
    timeout: str = "5s",
    critical: bool = True,
    readiness: bool = False,
    scope: CheckScope = "cluster",
    tags: Iterable[str] = (),
) -> Callable[[F], F]:
    """Declare a plain or async function without arguments as a health check.

    It passes by returning None or True; `warn("…")` is a warning; `Observed` is what it measured;
    another value is a pass with that detail; False, or whatever it raises, is a failure. An async
    function runs in an event loop of its own. One worker runs it for all of the cluster, or with
    `scope="worker"` each one for itself. With `readiness` the process is ready only while the
    check passes or warns. Raises ConfigurationError for a wrong option.
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
                scope=scope,
                tags=tags,
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
    scope: CheckScope = "cluster",
    tags: Iterable[str] = (),
) -> Check:
    """Return a check made of texts as users write them. Raises ConfigurationError."""
    where = f"health check {name!r}"
    _require_name(name, where=where)
    if not callable(function):
        raise ConfigurationError(f"{where}: {type(function).__name__} is not a function")
    every_s = parse_duration(str(every), where=f"{where}: every")
    timeout_s = parse_duration(str(timeout), where=f"{where}: timeout")
    _require_durations(
        every_s, timeout_s, f"{where}: every: {every!r}", f"{where}: timeout: {timeout!r}"
    )
    if scope not in SCOPES:
        raise ConfigurationError(
            f"{where}: scope: {scope!r} is unknown; write 'cluster' (one worker runs it for all) "
            "or 'worker' (each for itself)"
        )
    for option, value in (("critical", critical), ("readiness", readiness)):
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where}: {option}: {value!r} is neither true nor false")
    return Check(
        name=name,
        function=function,
        every_s=every_s,
        timeout_s=timeout_s,
        critical=critical,
        readiness=readiness,
        component=component,
        scope=scope,
        tags=_tags(tags, where=where),
    )


def run_once(check: Check) -> Found:
    """Call the check in this thread and judge what came of it; raises nothing of the check's."""
    started = monotonic()
    answer = attempt(lambda: _judged(_called(check)), everything=True)
    duration_s = monotonic() - started
    if duration_s > check.timeout_s:
        return Found(state=CheckState.FAIL, output=too_late(check), duration_s=duration_s)
    if isinstance(answer, Observed):
        return Found(
            state=answer.state,
            output=scrubbing.text(answer.text, limit=MAX_OUTPUT),
            duration_s=duration_s,
            value=answer.value if math.isfinite(answer.value) else None,
            unit=scrubbing.text(answer.unit, limit=MAX_UNIT),
        )
    output = scrubbing.text(_told(answer), limit=MAX_OUTPUT)
    return Found(state=CheckState.FAIL, output=output, duration_s=duration_s)


def too_late(check: Check) -> str:
    """Say that the time-out of a check was over before it answered."""
    return f"no answer within {format_duration(check.timeout_s)}"


def _require_name(name: object, *, where: str) -> None:
    if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME and ":" not in name):
        raise ConfigurationError(
            f"{where}: a name is a text of at most {MAX_NAME} characters without a colon"
        )
    if not name.isprintable():
        raise ConfigurationError(f"{where}: a name holds printable characters only")


def _require_durations(every_s: float, timeout_s: float, every: str, timeout: str) -> None:
    if every_s < MIN_EVERY_S:
        raise ConfigurationError(f"{every} is too often; write '1s' or more")
    if every_s > MAX_EVERY_S:
        raise ConfigurationError(f"{every} is too seldom; write '7d' or less")
    if timeout_s <= 0:
        raise ConfigurationError(f"{timeout} is too short; write '5s'")
    if timeout_s > MAX_EVERY_S:
        raise ConfigurationError(f"{timeout} is too long; write '5s'")


def _tags(tags: Iterable[str], *, where: str) -> tuple[str, ...]:
    given = (tags,) if isinstance(tags, str) else tuple(str(tag) for tag in tags)
    for tag in given:
        if not 0 < len(tag) <= MAX_TAG or not tag.isprintable():
            raise ConfigurationError(
                f"{where}: tags: {tag!r} is no tag; write a text of at most {MAX_TAG} characters"
            )
    if len(given) > MAX_TAGS:
        raise ConfigurationError(f"{where}: tags: at most {MAX_TAGS}, there are {len(given)}")
    return given


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


def _judged(value: object) -> Observed:
    """Return what a check's value says, its texts not scrubbed yet; without a measure: nan."""
    if value is None or value is True:
        return _without_measure("")
    if value is False:
        return _without_measure("returned False", CheckState.FAIL)
    if isinstance(value, Warned):
        return _without_measure(str(value.text), CheckState.WARN)
    if not isinstance(value, Observed):
        return _of_other(value)
    state = CheckState(value.state)
    if state is CheckState.UNKNOWN:
        raise ValueError("a check that ran does not find unknown")
    return Observed(float(value.value), str(value.unit), str(value.text), state)


def _of_other(value: object) -> Observed:
    """Judge a value of any other kind: its detail, unless the work has still to be done by it."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return _without_measure("did not run: write return instead of yield", CheckState.FAIL)
    if inspect.isawaitable(value):  # of an async function, where the await was forgotten
        return _without_measure("did not run: write return await", CheckState.FAIL)
    return _without_measure(_detail(value))


def _without_measure(text: str, state: CheckState = CheckState.PASS) -> Observed:
    return Observed(math.nan, "", text, state)


def _detail(value: object) -> str:
    """Say a value in words; one without words of its own is told by its kind."""
    text = attempt(lambda: str(value), everything=True)
    return text if isinstance(text, str) else type(value).__name__


def _told(answer: object) -> str:
    """Say in one line what was raised."""
    if not isinstance(answer, Raised):
        return ""
    error = answer.error
    text = attempt(lambda: str(error).strip().partition("\n")[0], everything=True)
    kind = type(error).__name__
    return f"{kind}: {text}" if isinstance(text, str) and text else kind


def _origin(check: Check) -> str:
    function = check.function
    module = getattr(function, "__module__", "?")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
