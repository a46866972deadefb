"""The values of an alert's fields, read one by one; what is wrong names its key and the cure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from watchkeeper.core.conditions import Condition
from watchkeeper.core.grammar import parse_condition
from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError

MAX_TEXT: Final = 500  # characters of a description, an address, a label or a pattern
MAX_TEXTS: Final = 50  # of one field
MAX_COUNT: Final = 1e12


@dataclass(frozen=True, slots=True)
class Values:
    """Reads values that may be of any type, for a file may hold anything anywhere."""

    where: str  # the place in messages: "alert[2]"

    def condition(self, key: str, text: object) -> Condition:
        """Read a condition."""
        if not isinstance(text, str):
            raise self.error(key, f"{text!r} is not a condition; write 'error_rate > 5%'")
        return parse_condition(text, where=f"{self.where}.{key}")

    def text(self, key: str, value: object) -> str:
        """Read a text of one line."""
        if not isinstance(value, str) or len(value) > MAX_TEXT or not _is_line(value):
            raise self.error(key, f"write a text of one line, at most {MAX_TEXT} characters")
        return value.strip()

    def texts(self, key: str, value: object) -> tuple[str, ...]:
        """Read one text or a list of texts."""
        if isinstance(value, str):
            value = (value,)
        if not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
            raise self.error(key, f"{value!r} is neither a text nor a list of texts")
        if len(value) > MAX_TEXTS:
            raise self.error(key, f"at most {MAX_TEXTS} texts")
        return tuple(self.text(key, part) for part in value)

    def names(self, key: str, value: object) -> tuple[str, ...]:
        """Read names, each once, in the order written."""
        names = self.texts(key, value)
        if not all(names):
            raise self.error(key, "a name is missing")
        return tuple(dict.fromkeys(names))

    def duration(self, key: str, value: object) -> float:
        """Read a duration as seconds."""
        return parse_duration(str(value), where=f"{self.where}.{key}")

    def choice(self, key: str, value: object, among: Sequence[str]) -> str:
        """Read one of several words."""
        if isinstance(value, str) and value in among:
            return value
        near = get_close_matches(str(value), among, n=1)
        cure = f"did you mean '{near[0]}'?" if near else f"choose {', '.join(among)}"
        raise self.error(key, f"'{value}' is not known; {cure}")

    def whole(self, key: str, value: object, *, least: int, most: int) -> int:
        """Read a whole number."""
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise self.error(key, f"{value!r} is not a whole number from {least} to {most}")

    def count(self, key: str, value: object) -> float:
        """Read how many it takes."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, int | float) and is_number and 0 <= value < MAX_COUNT:
            return float(value)
        raise self.error(key, f"{value!r} is not a count; write 20")

    def flag(self, key: str, value: object) -> bool:
        """Read yes or no."""
        if isinstance(value, bool):
            return value
        raise self.error(key, f"{value!r} is neither true nor false")

    def patterns(self, key: str, value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Read label → globs."""
        if not isinstance(value, Mapping) or len(value) > MAX_TEXTS:
            raise self.error(key, 'write { route = ["/reports/*"] }')
        return tuple(
            (self.text(key, label), self.texts(f"{key}.{label}", patterns))
            for label, patterns in sorted(value.items(), key=lambda item: str(item[0]))
        )

    def error(self, key: str, problem: str) -> ConfigurationError:
        """Return the error with place and key."""
        return ConfigurationError(f"{self.where}.{key}: {problem}")


def _is_line(text: str) -> bool:
    return not any(char < " " or "\ud800" <= char <= "\udfff" for char in text)
