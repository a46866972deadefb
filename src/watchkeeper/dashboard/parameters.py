"""What the query string of a JSON address may say besides its window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError

LIMIT: Final = 100  # rows unless asked otherwise
MAX_LIMIT: Final = 500
MAX_OFFSET: Final = 1_000  # of samples, all before it are read as well
APDEX: Final = "500ms"
MIN_OVER_S: Final = 60.0
MAX_OVER_S: Final = 90 * 86_400.0  # as long as transitions of health checks are kept
MIN_APDEX_S: Final = 0.001
MAX_APDEX_S: Final = 3_600.0
MAX_ID_DIGITS: Final = 18
MAX_TEXT: Final = 200  # characters of a value that rows are chosen by

_Row = TypeVar("_Row")


class ParameterError(ValueError):
    """A parameter of an address that cannot be read; the text is for the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a list are wanted."""

    limit: int = LIMIT
    offset: int = 0

    def of(self, rows: Sequence[_Row]) -> tuple[_Row, ...]:
        """Return this page's rows."""
        return tuple(rows[self.offset : self.offset + self.limit])


def parse_page(query: Mapping[str, str]) -> Page:
    """Read `limit` (1 to 500, else 100) and `offset` (0 to 1,000); raises ParameterError."""
    return Page(
        limit=parse_number(query, "limit", LIMIT, low=1, high=MAX_LIMIT),
        offset=parse_number(query, "offset", 0, low=0, high=MAX_OFFSET),
    )


def parse_over(query: Mapping[str, str]) -> float | None:
    """Read `over`, such as 30d, as seconds; None without it. Raises ParameterError."""
    if "over" not in query:
        return None
    try:
        over_s = parse_duration(query["over"], where="over")
    except ConfigurationError as error:
        raise ParameterError(str(error)) from None
    if not MIN_OVER_S <= over_s <= MAX_OVER_S:
        raise ParameterError("over must be between 1m and 90d, such as 30d")
    return over_s


def parse_apdex(query: Mapping[str, str]) -> float:
    """Read the threshold `apdex` as seconds, such as 500ms or 2s; raises ParameterError."""
    try:
        threshold_s = parse_duration(query.get("apdex", APDEX), where="apdex")
    except ConfigurationError as error:
        raise ParameterError(str(error)) from None
    if not MIN_APDEX_S <= threshold_s <= MAX_APDEX_S:
        raise ParameterError("apdex lies between 1ms and 1h")
    return threshold_s


def parse_choice(query: Mapping[str, str], name: str) -> str | None:
    """Read a value that rows are chosen by; None: all. Raises ParameterError if too long."""
    text = query.get(name)
    if text is not None and len(text) > MAX_TEXT:
        raise ParameterError(f"{name} has at most {MAX_TEXT} characters")
    return text


def parse_id(query: Mapping[str, str], name: str) -> int | None:
    """Read a number that the store gave; None: all. Raises ParameterError."""
    text = query.get(name)
    if text is None:
        return None
    if not _is_number(text) or len(text) > MAX_ID_DIGITS:
        raise ParameterError(f"{name} is a number, such as 12")
    return int(text)


def parse_number(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """Read a whole number between two bounds; raises ParameterError."""
    text = query.get(name)
    if text is None:
        return default
    if not _is_number(text) or len(text) > MAX_ID_DIGITS or not low <= int(text) <= high:
        raise ParameterError(f"{name} is a number from {low} to {high}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
