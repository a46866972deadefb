"""The options of built-in checks: each is read here, and what is wrong names its key."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import nan
from time import monotonic
from typing import Any, Final, TypedDict

from watchkeeper.core.covered import Cover, covered
from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.units import parse_duration, parse_share, parse_size
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.checks import Check, CheckScope, make_check

# Of its time-out a check takes this share, so that it can say itself what it waited for.
OWN_SHARE: Final = 0.9
MAX_TEXTS: Final = 50  # in a list of an option

Look = Callable[[float], object]  # looks once; gets the monotonic moment when its time is over


class CheckFailedError(Exception):
    """Raised by a built-in check that fails: its text is all that is told."""


class Common(TypedDict, total=False):
    """What every built-in check may be told."""

    name: str
    every: str
    timeout: str
    critical: bool
    readiness: bool
    scope: CheckScope
    tags: Sequence[str]


def made(look: Look, given: Common, **usual: Any) -> Check:
    """Return the check that looks like this; `usual` holds where the given is silent.

    Raises ConfigurationError.
    """
    options: dict[str, Any] = {**usual, **given}
    if "tags" in options:
        options["tags"] = texts(options["tags"], "tags")
    timed = _Timed(look)
    check = make_check(options.pop("name"), timed, **options)
    timed.timeout_s = check.timeout_s
    return check


class _Timed:
    """A look that is told when its time is over, that no instrument records."""

    def __init__(self, look: Look) -> None:
        self.timeout_s = 0.0
        self._look = look

    def __call__(self) -> object:
        """Look once; returns what was found, or the coroutine that looks."""
        with _unrecorded():
            try:
                found = self._look(monotonic() + OWN_SHARE * self.timeout_s)
            except CheckFailedError as error:
                return _failed(error)
            return _later(found) if isinstance(found, Awaitable) else found


async def _later(found: Awaitable[object]) -> object:
    with _unrecorded():
        try:
            return await found
        except CheckFailedError as error:
            return _failed(error)


def _failed(error: CheckFailedError) -> Observed:
    return Observed(nan, "", str(error), CheckState.FAIL)


@contextmanager
def _unrecorded() -> Iterator[None]:
    token = covered.set(Cover.OWN)
    try:
        yield
    finally:
        covered.reset(token)


def text(value: object, key: str, *, example: str, shown: bool = True) -> str:
    """Return a text on one line that is not empty. Raises ConfigurationError.

    `shown`: whether a wrong value may be shown; False for what may be a secret.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        wrong = f"{value!r} is no text on one line" if shown else "is no text on one line"
        problem = "missing" if value is None or value == "" else wrong
        raise ConfigurationError(f"{key}: {problem}; write {key} = {example}")
    return value


def secret(value: object, key: str) -> str:
    """Return a text that may be empty and is never shown. Raises ConfigurationError."""
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigurationError(f'{key}: must be a text on one line; write {key} = "env:…"')
    return value


def texts(value: object, key: str) -> tuple[str, ...]:
    """Return a text, or a list of them, as a tuple. Raises ConfigurationError."""
    given = (value,) if isinstance(value, str) else value
    if (
        not isinstance(given, list | tuple)
        or len(given) > MAX_TEXTS
        or not all(isinstance(one, str) and one and one.isprintable() for one in given)
    ):
        raise ConfigurationError(
            f'{key}: must be a text, or a list of at most {MAX_TEXTS}; write {key} = ["…"]'
        )
    return tuple(given)


def host_name(value: object, key: str = "host", *, example: str = '"shop.example"') -> str:
    """Return the name or address of a machine. Raises ConfigurationError."""
    name = text(value, key, example=example).strip()
    if not name.isascii() or any(char in " /@?#" for char in name) or len(name) > 253:
        raise ConfigurationError(f"{key}: not a name or an address; write {key} = {example}")
    name = name.removeprefix("[").removesuffix("]")
    if ":" in name and not _is_address(name):
        raise ConfigurationError(f"{key}: a name or an address alone, without a port or a scheme")
    return name


def port_number(value: object, key: str = "port", *, example: int) -> int:
    """Return a port. Raises ConfigurationError."""
    number = int(value) if isinstance(value, str) and _is_number(value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65_536:
        problem = "missing" if value is None else f"{value!r} is not a port"
        raise ConfigurationError(f"{key}: {problem}; write {key} = {example}")
    return number


def whole(value: object, key: str, *, least: int = 0, most: int, example: int) -> int:
    """Return a whole number within bounds. Raises ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(
            f"{key}: {value!r} is no number from {least} to {most}; write {key} = {example}"
        )
    return value


def flag(value: object, key: str) -> bool:
    """Return true or false. Raises ConfigurationError."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{key}: {value!r} is neither true nor false; write {key} = true")
    return value


def choice(value: object, key: str, known: Sequence[str]) -> str:
    """Return one of the words that are known. Raises ConfigurationError with all of them."""
    if value not in known:
        words = ", ".join(f'"{one}"' for one in known)
        raise ConfigurationError(f"{key}: {value!r} is unknown; use one of {words}")
    return str(value)


def seconds(value: object, key: str) -> float:
    """Return a duration above zero, in seconds. Raises ConfigurationError."""
    found = parse_duration(str(value), where=key)
    if found <= 0:
        raise ConfigurationError(f'{key}: {value!r} is too short; write {key} = "1s"')
    return found


def seconds_or_none(value: object, key: str) -> float | None:
    """Return a duration in seconds, or None for None. Raises ConfigurationError."""
    return None if value is None else seconds(value, key)


def share(value: object, key: str) -> float:
    """Return a share, 0 to 1. Raises ConfigurationError."""
    return parse_share(str(value), where=key)


def share_or_size(value: object, key: str) -> tuple[float | None, int | None]:
    """Return a share and None, or None and a size in bytes. Raises ConfigurationError."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return share(value, key), None
    try:
        return None, parse_size(str(value), where=key)
    except ConfigurationError:
        raise ConfigurationError(
            f"{key}: {str(value)[:40]!r} is neither a share nor a size; "
            f'write {key} = "10%" or {key} = "5GB"'
        ) from None


def mapping(value: object, key: str, *, example: str) -> Mapping[str, Any]:
    """Return a table. Raises ConfigurationError, which does not show it."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{key}: must be a table; write {key} = {example}")
    return value


def worst(state: CheckState, *others: CheckState) -> CheckState:
    """Return the worst of the states of one run."""
    order = (CheckState.PASS, CheckState.WARN, CheckState.FAIL)
    return max((state, *others), key=order.index)


def _is_address(name: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 5
