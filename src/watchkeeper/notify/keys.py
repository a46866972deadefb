"""What channels ask of their settings: known keys, texts, numbers; each error names its cure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from watchkeeper.exceptions import ConfigurationError

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def check_keys(options: Mapping[str, object], known: Sequence[str], *, where: str) -> None:
    """Raise ConfigurationError for the first key that is not one of `known`."""
    for key in options:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigurationError(
                f"{where}.{key}: unknown key{meant}; it has: type, {', '.join(known)}"
            )


def text(options: Mapping[str, object], key: str, default: str = "", *, where: str) -> str:
    """Return a text on one line. Raises ConfigurationError, which does not show the value."""
    value = options.get(key, default)
    if not isinstance(value, str) or any(not char.isprintable() for char in value):
        raise ConfigurationError(f"{where}.{key}: must be a text on one line")
    return value


def texts(value: object, *, where: str, most: int) -> tuple[str, ...]:
    """Return a text or a list of texts as a tuple. Raises ConfigurationError."""
    given = (value,) if isinstance(value, str) else value
    if (
        not isinstance(given, list | tuple)
        or len(given) > most
        or not all(isinstance(one, str) and one.isprintable() for one in given)
    ):
        raise ConfigurationError(f"{where}: must be a text, or a list of at most {most} texts")
    return tuple(given)


def choice(
    kind: type[ChoiceT],
    options: Mapping[str, object],
    key: str,
    usual: ChoiceT,
    *,
    where: str,
) -> ChoiceT:
    """Return what a key chooses of an enumeration. Raises ConfigurationError with all of them."""
    value = options.get(key, usual)
    try:
        return kind(str(value))
    except ValueError:
        known = ", ".join(f'"{one.value}"' for one in kind)
        raise ConfigurationError(
            f"{where}.{key}: {value!r} is unknown; use one of {known}"
        ) from None


def time_zone(options: Mapping[str, object], *, where: str) -> tzinfo:
    """Return the zone that moments are shown in: key `time_zone`, UTC if there is none."""
    name = text(options, "time_zone", "UTC", where=where)
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # LookupError: there is no zone of this name
        raise ConfigurationError(
            f'{where}.time_zone: {name!r} is not a time zone; write it as "Europe/Berlin"'
        ) from None
