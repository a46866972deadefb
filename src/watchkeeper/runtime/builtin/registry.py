"""Which built-in checks there are, and how tables of settings become them."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.options import Common
from watchkeeper.runtime.builtin.own import Own
from watchkeeper.runtime.checks import DECLARED, Check

# Each is a module of this package with a function TYPE_check.
BUILT_IN: Final = (
    "certificate",
    "clock",
    "database",
    "disk",
    "dns",
    "http",
    "memory",
    "migrations",
    "queue_depth",
    "redis",
    "smtp",
    "tcp",
    "worker_heartbeat",
)
OWN: Final = "own"  # the parameter that gets this process' Watchkeeper; no option
_KEYS: Final[Mapping[str, str]] = {"url_or_engine": "url"}  # of a parameter, where they differ


def check_maker(kind: str) -> Callable[..., Check]:
    """Return the function that makes checks of this type; imports its module."""
    module = import_module(f"watchkeeper.runtime.builtin.{kind}")
    found: Callable[..., Check] = getattr(module, f"{kind}_check")
    return found


def options_of(kind: str) -> list[str]:
    """Return the keys that a table of this type may have, beside `type`."""
    own = [_KEYS.get(name, name) for name in _parameters(kind) if name != OWN]
    return [*own, *(key for key in Common.__annotations__ if key != "name")]


def open_check(
    name: str, options: Mapping[str, Any], *, where: str, own: Own | None = None
) -> Check:
    """Return the built-in check that a table of settings describes. Raises ConfigurationError."""
    kind = options.get("type")
    if not isinstance(kind, str) or kind not in BUILT_IN:
        close = get_close_matches(str(kind), BUILT_IN, n=1)
        cure = f'write type = "{close[0]}"' if close else f"use one of {', '.join(BUILT_IN)}"
        raise ConfigurationError(f"{where}.type: {kind!r} is not a built-in check; {cure}")
    known = options_of(kind)
    for key in options:
        if key != "type" and key not in known:
            close = get_close_matches(str(key), known, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigurationError(
                f"{where}.{key}: unknown key{meant}; a {kind} check has: {', '.join(known)}"
            )
    parameters = _parameters(kind)
    given = {key: value for key, value in options.items() if key != "type"}
    for parameter, one in parameters.items():
        key = _KEYS.get(parameter, parameter)
        if parameter == OWN:
            given[OWN] = own
        elif key in given:
            given[parameter] = given.pop(key)
        elif one.default is inspect.Parameter.empty:
            given[parameter] = None  # which is refused with the cure
    try:
        return check_maker(kind)(name=name, **given)
    except ConfigurationError as error:
        message = str(error).removeprefix(f"health check {name!r}: ")
        dot = ":" if message.startswith("a name ") else "."
        raise ConfigurationError(f"{where}{dot}{' ' * (dot == ':')}{message}") from None


def open_checks(
    config: Mapping[str, Mapping[str, Any]],
    *,
    problems: list[str] | None = None,
    own: Own | None = None,
) -> Iterable[Check]:
    """Return the built-in checks of the settings, followed by the declared ones of each moment.

    A wrong table is added to `problems` and left out; without such a list it raises
    ConfigurationError. `own` is this process' Watchkeeper, for the checks that look at it.
    """
    built_in = []
    for name, options in config.items():
        try:
            built_in.append(_open_table(name, options, own=own))
        except ConfigurationError as error:
            if problems is None:
                raise
            problems.append(f"{error}; this check is off")
    return _Joined(built_in)


class _Joined:
    """The built-in checks of the settings, then the declared ones of the moment."""

    def __init__(self, built_in: list[Check]) -> None:
        self._built_in = {check.name: check for check in built_in}

    def __iter__(self) -> Iterator[Check]:
        """Iterate; the settings win over a declared check of the same name."""
        yield from self._built_in.values()
        yield from (check for check in DECLARED if check.name not in self._built_in)


def _open_table(name: str, options: object, *, own: Own | None) -> Check:
    where = f"health.checks.{name}"
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f'{where}: {options!r} is not a table; write {{ type = "database", url = "…" }}'
        )
    return open_check(name, options, where=where, own=own)


def _parameters(kind: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a type's function, without those that all types share."""
    return {
        name: one
        for name, one in inspect.signature(check_maker(kind)).parameters.items()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    }
