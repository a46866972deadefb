"""Quantities with units: durations, shares, sizes and rates, read from text and shown as text.

`parse_*` reads what a user wrote and raises ConfigurationError, naming the place and the cure.
`write_*` is its exact inverse (`parse(write(x)) == x`). `format_*` is for people, and rounded.
Inside Watchkeeper quantities are floats of the base unit: seconds, 0 to 1, bytes, per second.
"""

import re
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from watchkeeper.exceptions import ConfigurationError

MAX_DURATION_S: Final = 10 * 365 * 86_400.0  # ten years: beyond it a duration is a slip
MAX_SIZE_BYTES: Final = 2**53  # 8 PiB: the largest that a float counts exactly
GROUPED_FROM: Final = 10_000.0  # numbers from here on are shown in groups of three digits
MAX_WHOLE: Final = 1e15  # above it a float counts no single ones
MAX_TEXT: Final = 40  # characters of a quantity; longer text is a slip and is cut in messages

_NUMBER = re.compile(
    r"(-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?)\s*(.*)", re.IGNORECASE
)

_DURATIONS: Final[Mapping[str, float]] = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
}
_DURATION_SLIPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
}
# Below which number of seconds a duration is shown in which pair of units, rounding included.
_STEPS: Final = (
    (3_599.5, ("min", 60, "s", 1)),
    (86_370.0, ("h", 3_600, "min", 60)),
    (inf, ("d", 86_400, "h", 3_600)),
)
_SIZES: Final[Mapping[str, float]] = {
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
    "TiB": 1024.0**4,
}
_SIZE_SLIPS: Final[Mapping[str, str]] = {
    **{unit.casefold(): unit for unit in _SIZES},
    "": "B",
    "bytes": "B",
    "k": "kB",
    "m": "MB",
    "g": "GB",
    "t": "TB",
}
_RATES: Final[Mapping[str, float]] = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_RATE_SLIPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("sec", "second"), "s"),
    **dict.fromkeys(("m", "minute"), "min"),
    **dict.fromkeys(("hr", "hour"), "h"),
    "day": "d",
}


def parse_duration(text: str, *, where: str = "") -> float:
    """Read "250ms", "1s", "5m", "2h" or "7d" as seconds.

    Raises ConfigurationError for anything else, negative or above ten years.
    """
    number, unit = _split(text)
    if unit in _DURATIONS and number is not None:
        seconds = float(number) * _DURATIONS[unit] if unit != "ms" else _scaled(number, -3)
        if 0 <= seconds <= MAX_DURATION_S and number[0] != "-":
            return seconds
        raise _error(where, text, "is out of range; a duration lies between 0s and 3650d")
    cure = _respelled(number, unit, _DURATION_SLIPS) or "5m"
    raise _error(where, text, f"is not a duration; write '{cure}'")


def parse_share(text: str, *, where: str = "") -> float:
    """Read "5%" or "0.05" as 0.05.

    Raises ConfigurationError for anything else; a bare "1" or "5" is refused as ambiguous.
    """
    number, unit = _split(text)
    if number is None or unit not in ("%", ""):
        raise _error(where, text, "is not a share; write 5% or 0.05")
    share = _scaled(number, -2) if unit else float(number)
    if not unit and 1 <= share <= 100:
        raise _error(where, text, f"is not a share; write {number}% or {_scaled(number, -2):g}")
    if not 0 <= share <= 1:
        raise _error(where, text, "is out of range; a share lies between 0% and 100%")
    return share


def parse_size(text: str, *, where: str = "") -> int:
    """Read "512MB", "1GiB" or "100B" as bytes (kB = 1000 bytes, KiB = 1024).

    Raises ConfigurationError for anything else, negative or above 2^53 bytes.
    """
    number, unit = _split(text)
    if unit in _SIZES and number is not None:
        size = float(number) * _SIZES[unit]
        if 0 <= size <= MAX_SIZE_BYTES and number[0] != "-":
            return round(size)
        raise _error(where, text, "is out of range; a size lies between 0B and 2^53 bytes")
    cure = _respelled(number, unit.casefold(), _SIZE_SLIPS) or "512MB"
    raise _error(where, text, f"is not a size; write '{cure}'")


def parse_rate(text: str, *, where: str = "") -> float:
    """Read "1/min", "5/s", "100/h" or "2/d" as occurrences per second.

    Raises ConfigurationError for anything else or negative.
    """
    number, unit = _split(text)
    span = unit.removeprefix("/").strip()
    if number is not None and number[0] != "-" and unit.startswith("/") and span in _RATES:
        return float(number) / _RATES[span]
    cure = f"{number or 1}/{_RATE_SLIPS.get(span, 'min')}".replace("-", "")
    raise _error(where, text, f"is not a rate; write '{cure}'")


def write_duration(seconds: float) -> str:
    """Write a duration so that `parse_duration` reads the same number: 300.0 → "5m"."""
    forms = [f"{_number(seconds / span)}{unit}" for unit, span in _DURATIONS.items()]
    return _shortest(forms, seconds, parse_duration, f"{seconds!r}s")


def write_share(share: float) -> str:
    """Write a share so that `parse_share` reads the same number: 0.05 → "5%"."""
    return _shortest([f"{_number(share * 100)}%"], share, parse_share, repr(share))


def write_size(size_bytes: float) -> str:
    """Write a size so that `parse_size` reads the same number: 512_000_000 → "512MB"."""
    forms = [f"{_number(size_bytes / span)}{unit}" for unit, span in _SIZES.items()]
    return _shortest(forms, size_bytes, parse_size, f"{size_bytes:.0f}B")


def write_rate(per_second: float) -> str:
    """Write a rate so that `parse_rate` reads the same number: 1 / 60 → "1/min"."""
    forms = [f"{_number(per_second * span)}/{unit}" for unit, span in _RATES.items()]
    return _shortest(forms, per_second, parse_rate, f"{per_second!r}/s")


def format_duration(seconds: float) -> str:
    """Show a duration to people, to two units: "250 ms", "1.25 s", "5 min", "1 h 30 min"."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    name, span, small, part = next(names for limit, names in _STEPS if seconds < limit)
    whole, rest = divmod(round(seconds / part), span // part)
    return f"{whole} {name} {rest} {small}" if rest else f"{whole} {name}"


def format_share(share: float) -> str:
    """Show a share to people, to three digits: "12.4 %", "5 %", "100 %"."""
    percent = share * 100
    return f"{percent:.0f} %" if percent >= 99.95 else f"{percent:.3g} %"


def format_size(size_bytes: float) -> str:
    """Show a size to people, to three digits, in powers of 1000: "512 MB", "1.07 GB"."""
    for unit, span in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size_bytes) >= span * 0.9995:
            return f"{_three_digits(size_bytes / span)} {unit}"
    return f"{size_bytes:.0f} B"


def format_rate(per_second: float) -> str:
    """Show a rate to people, to three digits: "12.5/s", "3/min", "1/h"."""
    if not per_second:
        return "0/min"
    unit = next((name for name, span in _RATES.items() if per_second * span >= 0.9995), "d")
    return f"{_three_digits(per_second * _RATES[unit])}/{unit}"


def format_number(value: float) -> str:
    """Show a number to people, to the unit if large: "0.99", "3.14159", "5000", "2,534,567"."""
    if GROUPED_FROM <= abs(value) < MAX_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.6g}"


def _split(text: str) -> tuple[str | None, str]:
    """Part a quantity into number and unit; (None, "") when there is no number."""
    # Settings hand over what a TOML file held: a bare number there is a user's slip as well.
    text = str(text).strip()
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_TEXT else None
    if match is None:
        return None, ""
    number, unit = match.groups()
    if unit and text[len(number)] != unit[0]:
        unit = f" {unit}"  # "5 min", "5 %": a space is a slip that the message mends
    return number, unit


def _respelled(number: str | None, unit: str, slips: Mapping[str, str]) -> str | None:
    unit = unit.strip()
    right = slips.get(unit.casefold(), unit if unit in slips.values() else None)
    if number is None or right is None:
        return None
    return f"{number.removeprefix('-')}{right}"


def _error(where: str, text: object, problem: str) -> ConfigurationError:
    shown = str(text)
    shown = shown if len(shown) <= MAX_TEXT else f"{shown[:MAX_TEXT]}…"
    return ConfigurationError(f"{where}: '{shown}' {problem}" if where else f"'{shown}' {problem}")


def _scaled(number: str, power: int) -> float:
    """Multiply by a power of ten in decimal, so that "1.1%" is exactly 0.011."""
    mantissa, _, exponent = number.casefold().partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + power}")


def _number(value: float) -> str:
    return f"{value:.12g}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def _shortest(forms: list[str], value: float, parse: Callable[[str], float], exact: str) -> str:
    # Fewest digits first, then the shortest unit: "1/min" before "60/h".
    for form in sorted(forms, key=lambda form: (sum(map(str.isdigit, form)), len(form))):
        try:
            if parse(form) == value:
                return form
        except ConfigurationError:
            continue  # a form out of range or with too many digits
    return exact
