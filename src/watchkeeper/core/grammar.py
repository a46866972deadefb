"""The grammar of conditions: from a line of text to the tree, in linear time.

`EBNF` is what it reads; the page "Rules" shows the same.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from math import isfinite
from typing import Final

from watchkeeper.core import units
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    FUNCTIONS,
    WORDS,
    And,
    CheckFailing,
    Comparison,
    Condition,
    Filter,
    Measure,
    Operator,
    Or,
    Past,
    Selector,
    Term,
    Unit,
    WorkerMissing,
    read_quantile,
)
from watchkeeper.exceptions import ConfigurationError

EBNF: Final = """\
condition  = all { "or" all }
all        = term { "and" term }
term       = [ "not" ] comparison | "check" [ filters ] "failing" | "worker" [ filters ] "missing"
comparison = measure operator ( value | factor past )
measure    = word [ filters ] | function "(" METRIC [ filters ] ")"
word       = "error_rate" | "requests" | "errors" | "apdex" | percentile
           | "memory_used" | "cpu_used" | "disk_used"
function   = percentile | "share" | "increase" | "rate" | "last" | "min" | "max"
percentile = "p0.1" … "p50" … "p95" … "p99.9"
filters    = "{" filter { "," filter } "}"
filter     = LABEL ( "=" | "!=" | "=~" ) STRING | past
operator   = ">" | ">=" | "<" | "<=" | "==" | "!="
value      = number with its unit: 5%, 250ms, 512MB, 1/min, 100
factor     = number "x"
past       = "same_time_last_week"
"""
MAX_TEXT: Final = 500  # characters of a condition
MAX_TERMS: Final = 8  # comparisons in a condition
MAX_FILTERS: Final = 10
MAX_FACTOR: Final = 1e6

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_:.]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_OPERATOR = re.compile(r"=~|!=|=")
_OPERATOR = re.compile(r">=|<=|==|!=|>|<")
_STRING = re.compile(r"""'((?:[^'\\]|\\.)*)'|("(?:[^"\\]|\\.)*")""")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,3})?")
_JOIN = re.compile(r"(and|or)(?![A-Za-z0-9_:.])")
_NOT = re.compile(r"not(?![A-Za-z0-9_:.])")
_VALUE_END = re.compile(r"\s(?:and|or)(?:\s|$)")
_AGAINST = re.compile(r"(\S+)x\s+same_time_last_week")

_PAST: Final = Past.SAME_TIME_LAST_WEEK
_STANDING: Final = {"check": "failing", "worker": "missing"}
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
        if not _is_whole(text):
            self.text = text.encode(errors="replace").decode()
            raise self.error("half of a character stands in it")

    def condition(self) -> Condition:
        """Read the whole text."""
        alternatives: list[list[Term]] = [[self.term()]]
        count = 1
        while join := self.take(_JOIN):
            term = self.term()
            count += 1
            if count > MAX_TERMS:
                raise self.error(f"at most {MAX_TERMS} comparisons; write two rules")
            if join == "and":
                alternatives[-1].append(term)
            else:
                alternatives.append([term])
        if self.text[self.at :].strip():
            raise self.error("between two comparisons stands and or or; there are no brackets")
        parts = [And(tuple(terms)) if len(terms) > 1 else terms[0] for terms in alternatives]
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def term(self) -> Term:
        """Read one comparison, turned round by "not", or what stands without one."""
        is_inverted = self.take(_NOT) is not None
        word = self.take(_WORD)
        if word is None:
            if self.accept("("):
                raise self.error("there are no brackets: and binds tighter than or")
            raise self.error("a condition starts with what is measured: write error_rate > 5%")
        if word in _STANDING:
            if is_inverted:
                raise self.error(f"{word} {_STANDING[word]} cannot be turned round; leave out not")
            return self.standing(word)
        selector = self.selector(word)
        sign = self.take(_OPERATOR)
        if sign is None:
            raise self.error(f"after {word} comes >, >=, <, <=, == or != and a value")
        operator = Operator(sign)
        threshold, against = self.value(selector)
        if selector.past is not Past.NONE and not selector.is_count:
            raise self.error(f"only counts have a {_PAST}: requests, errors, increase(…)")
        return Comparison(
            selector, operator.inverse if is_inverted else operator, threshold, against
        )

    def standing(self, word: str) -> CheckFailing | WorkerMissing:
        """Read what follows the word "check" or "worker"."""
        filters, past = self.filters()
        if self.take(_WORD) != _STANDING[word] or past is not Past.NONE:
            raise self.error(f"write {word} {_STANDING[word]}")
        return CheckFailing(filters) if word == "check" else WorkerMissing(filters)

    def selector(self, word: str) -> Selector:
        """Read the rest of a measure whose first word is known."""
        base = self.known(word)
        if not self.accept("("):
            if base.measure in FUNCTIONS and word not in WORDS:
                raise self.error(f"{word} needs a metric: write {word}(metric_name)")
            filters, past = self.filters()
            return replace(base, filters=filters, past=past)
        if word in WORDS:
            raise self.error(f"{word} takes no metric in brackets")
        metric = self.take(_WORD)
        if metric is None or "." in metric:
            raise self.error(f"{word}( needs the name of a metric: write {word}(metric_name)")
        filters, past = self.filters()
        if not self.accept(")"):
            raise self.error("a closing bracket ) is missing")
        if base.measure is Measure.SHARE and not filters:
            raise self.error('share needs a filter: write share(metric{outcome="failed"})')
        return replace(base, metric=metric, filters=filters, past=past)

    def known(self, word: str) -> Selector:
        """Return what a word stands for, or raise with the nearest known one."""
        if word in WORDS:
            return WORDS[word]
        if word in FUNCTIONS:
            return Selector(measure=Measure(word), metric=HTTP_DURATION.name)
        if re.match(r"p[0-9]", word):
            try:
                quantile = read_quantile(word)
            except ValueError as error:
                raise self.error(f"{error}; write p95") from None
            return Selector(measure=Measure.QUANTILE, metric=HTTP_DURATION.name, quantile=quantile)
        names = (*WORDS, *FUNCTIONS, "p50", "p95", "p99", *_STANDING)
        near = get_close_matches(word, names, n=1)
        if near:
            raise self.error(f"'{word}' is not known; did you mean '{near[0]}'?")
        raise self.error(
            f"'{word}' is not known; use {', '.join(WORDS)}, p95, or for a metric of your own "
            f"rate({word}), last({word}) or p95({word})"
        )

    def filters(self) -> tuple[tuple[Filter, ...], Past]:
        """Read a label filter in braces, if there is one, and which time is meant."""
        if not self.accept("{"):
            return (), Past.NONE
        filters: list[Filter] = []
        past = Past.NONE
        while not self.accept("}"):
            if (filters or past is not Past.NONE) and not self.accept(","):
                raise self.error("between two label filters stands a comma, at the end a }")
            label, operator = self.take(_LABEL), self.take(_LABEL_OPERATOR)
            if label == _PAST and operator is None and past is Past.NONE:
                past = _PAST
                continue
            value = self.string()
            if label is None or operator is None or value is None:
                raise self.error('a label filter is written {route="/checkout"}, with =, != or =~')
            filters.append(Filter(label, operator, value))
            if len(filters) > MAX_FILTERS:
                raise self.error(f"at most {MAX_FILTERS} label filters")
        # Sorted, so that the same condition has the same hash however it was written.
        key = sorted(filters, key=lambda part: (part.label, part.operator, part.value))
        return tuple(key), past

    def string(self) -> str | None:
        """Read a quoted text; backslashes as in JSON."""
        quoted = self.take(_STRING)
        if quoted is None:
            return None
        if quoted[0] == "'":
            body = quoted[1:-1].replace("\\'", "'")
            quoted = '"' + re.sub(r'\\.|"', _requote, body) + '"'
        try:
            value = str(json.loads(quoted, strict=False))
            if _is_whole(value):
                return value
        except ValueError:
            pass
        raise self.error(f"{quoted} has a backslash that means nothing")

    def value(self, selector: Selector) -> tuple[float, Past]:
        """Read the value up to the next "and" or "or", or what it is so many times as large as."""
        match = _VALUE_END.search(self.text, self.at)
        end = match.start() if match else len(self.text)
        text = self.text[self.at : end].strip()
        self.at = end
        if _PAST in text:
            return self.factor(text, selector), _PAST
        try:
            number = float(_READERS[selector.unit](text))
        except ConfigurationError:
            raise self.error(_EXAMPLES[selector.unit]) from None
        if not isfinite(number):
            raise self.error("a number so large is never reached")
        return number, Past.NONE

    def factor(self, text: str, selector: Selector) -> float:
        """Read "3x same_time_last_week"."""
        if not selector.is_count or selector.past is not Past.NONE:
            raise self.error(f"only counts have a {_PAST}: requests, errors, increase(…)")
        match = _AGAINST.fullmatch(text)
        try:
            factor = _number(match[1]) if match else 0.0
        except ConfigurationError:
            factor = 0.0
        if not 0 < factor <= MAX_FACTOR:
            raise self.error(f"write how many times as many: errors > 3x {_PAST}")
        return factor

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


def _is_whole(text: str) -> bool:
    """Tell whether a text can be stored: half of a surrogate pair is no character."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


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
