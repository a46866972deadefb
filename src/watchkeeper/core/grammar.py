"""The grammar of conditions: from a line of text to the tree, in linear time.

condition = measure operator value | "check" [filters] "failing"
measure   = WORD [filters] | function "(" METRIC [filters] ")"
function  = "p50" … "p99.9" | "rate" | "last" | "min" | "max"
filters   = "{" LABEL ("=" | "!=" | "=~") STRING { "," … } "}"
operator  = ">" | ">=" | "<" | "<=" | "==" | "!="
value     = a number with its unit: 5%, 250ms, 512MB, 1/min, 100
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from watchkeeper.core import units
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    WORDS,
    CheckFailing,
    Comparison,
    Condition,
    Filter,
    Measure,
    Operator,
    Selector,
    Unit,
    read_quantile,
)
from watchkeeper.exceptions import ConfigurationError

MAX_TEXT: Final = 500  # characters of a condition
MAX_FILTERS: Final = 10

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_:.]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_OPERATOR = re.compile(r"=~|!=|=")
_OPERATOR = re.compile(r">=|<=|==|!=|>|<")
_STRING = re.compile(r"""'((?:[^'\\]|\\.)*)'|("(?:[^"\\]|\\.)*")""")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,3})?")
_LATER = re.compile(r"\s(and|or)\s|\bsame_time_|^\s*not\s|[0-9]x(\s|$)")

_FUNCTIONS: Final = ("rate", "last", "min", "max")
_EXAMPLES: Final[Mapping[Unit, str]] = {
    Unit.SHARE: "a rate is a share: write 5% or 0.05",
    Unit.SECONDS: "a duration needs its unit: write 1s or 250ms",
    Unit.BYTES: "a size needs its unit: write 512MB",
    Unit.RATE: "a rate per time needs its unit: write 1/min or 5/s",
    Unit.NUMBER: "write a plain number such as 100",
}


def parse_condition(text: str, *, where: str = "") -> Condition:
    """Read a condition; raises ConfigurationError that names the place, the text and the cure."""
    return _Parser(text, where).condition()


class _Parser:
    """One pass over the text, left to right, without going back."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.text = text
        self.at = 0
        if len(text) > MAX_TEXT:
            self.text = text[:60] + "…"
            raise self.error(f"a condition has at most {MAX_TEXT} characters")

    def condition(self) -> Condition:
        """Read the whole text."""
        later = _LATER.search(_STRING.sub("''", self.text))
        if later:
            raise self.error(
                f"'{later[0].strip()}' is not understood by this version: "
                "write one plain comparison per rule"
            )
        word = self.take(_WORD)
        if word is None:
            raise self.error("a condition starts with what is measured: write error_rate > 5%")
        if word == "check":
            return self.check()
        selector = self.selector(word)
        operator = self.take(_OPERATOR)
        if operator is None:
            raise self.error(f"after {word} comes >, >=, <, <=, == or != and a value")
        return Comparison(selector, Operator(operator), self.threshold(selector.unit))

    def check(self) -> CheckFailing:
        """Read what follows the word "check"."""
        filters = self.filters()
        if self.take(_WORD) != "failing" or self.text[self.at :].strip():
            raise self.error("write check failing")
        return CheckFailing(filters)

    def selector(self, word: str) -> Selector:
        """Read the rest of a measure whose first word is known."""
        base = self.known(word)
        if not self.accept("("):
            if base.measure in (Measure.RATE, Measure.LAST, Measure.MIN, Measure.MAX) and (
                word not in WORDS
            ):
                raise self.error(f"{word} needs a metric: write {word}(metric_name)")
            return replace(base, filters=self.filters())
        if word in WORDS:
            raise self.error(f"{word} takes no metric in brackets")
        metric = self.take(_WORD)
        if metric is None or "." in metric:
            raise self.error(f"{word}( needs the name of a metric: write {word}(metric_name)")
        filters = self.filters()
        if not self.accept(")"):
            raise self.error("a closing bracket ) is missing")
        return replace(base, metric=metric, filters=filters)

    def known(self, word: str) -> Selector:
        """Return what a word stands for, or raise with the nearest known one."""
        if word in WORDS:
            return WORDS[word]
        if word in _FUNCTIONS:
            return Selector(measure=Measure(word), metric=HTTP_DURATION.name)
        if re.match(r"p[0-9]", word):
            try:
                quantile = read_quantile(word)
            except ValueError as error:
                raise self.error(f"{error}; write p95") from None
            return Selector(measure=Measure.QUANTILE, metric=HTTP_DURATION.name, quantile=quantile)
        names = (*WORDS, *_FUNCTIONS, "p50", "p95", "p99", "check")
        near = get_close_matches(word, names, n=1)
        if near:
            raise self.error(f"'{word}' is not known; did you mean '{near[0]}'?")
        raise self.error(
            f"'{word}' is not known; use {', '.join(WORDS)}, p95, or for a metric of your own "
            f"rate({word}), last({word}) or p95({word})"
        )

    def filters(self) -> tuple[Filter, ...]:
        """Read a label filter in braces, if there is one."""
        if not self.accept("{"):
            return ()
        filters: list[Filter] = []
        while not self.accept("}"):
            if filters and not self.accept(","):
                raise self.error("between two label filters stands a comma, at the end a }")
            label, operator = self.take(_LABEL), self.take(_LABEL_OPERATOR)
            value = self.string()
            if label is None or operator is None or value is None:
                raise self.error('a label filter is written {route="/checkout"}, with =, != or =~')
            filters.append(Filter(label, operator, value))
            if len(filters) > MAX_FILTERS:
                raise self.error(f"at most {MAX_FILTERS} label filters")
        # Sorted, so that the same condition has the same hash however it was written.
        return tuple(sorted(filters, key=lambda part: (part.label, part.operator, part.value)))

    def string(self) -> str | None:
        """Read a quoted text; backslashes as in JSON."""
        quoted = self.take(_STRING)
        if quoted is None:
            return None
        if quoted[0] == "'":
            body = quoted[1:-1].replace("\\'", "'")
            quoted = '"' + re.sub(r'\\.|"', _requote, body) + '"'
        try:
            return str(json.loads(quoted, strict=False))
        except ValueError:
            raise self.error(f"{quoted} has a backslash that means nothing") from None

    def threshold(self, unit: Unit) -> float:
        """Read the value up to the end of the text."""
        text = self.text[self.at :].strip()
        try:
            return _READERS[unit](text)
        except ConfigurationError:
            raise self.error(_EXAMPLES[unit]) from None

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Take what matches here, after any space."""
        self._skip_space()
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def accept(self, mark: str) -> bool:
        """Take one mark if it stands here, after any space."""
        self._skip_space()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def error(self, problem: str) -> ConfigurationError:
        """Return the error with place and text."""
        place = f"{self.where}: " if self.where else ""
        end = "" if problem.endswith("?") else "."
        return ConfigurationError(f'{place}"{self.text}" — {problem}{end}')

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at


def _requote(match: re.Match[str]) -> str:
    return '\\"' if match[0] == '"' else match[0]


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ConfigurationError
    return float(text)


_READERS: Final[Mapping[Unit, Callable[[str], float]]] = {
    Unit.SHARE: units.parse_share,
    Unit.SECONDS: units.parse_duration,
    Unit.BYTES: units.parse_size,
    Unit.RATE: units.parse_rate,
    Unit.NUMBER: _number,
}
