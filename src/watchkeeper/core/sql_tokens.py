"""Reading a SQL statement as tokens, in which every literal and placeholder is "?" already."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from watchkeeper.core.sql_words import KEYWORDS

MAX_NAME_CHARS: Final = 128  # no database takes longer names: what is longer is no name
VALUE: Final = "?"


class Token(Enum):
    """What a token is."""

    WORD = 1  # a name without quotes, in lower case
    KEYWORD = 2  # in upper case
    QUOTED = 3  # a name with its quotes, as written
    VALUE = 4
    MARK = 5  # an operator or a bracket


_ANY_VALUE: Final = (Token.VALUE, VALUE)

# Each alternative begins differently from those after it, and none goes back: linear time.
_STANDARD: Final = r"""
    (?P<space>--[^\r\n]*+|\Z)
  | (?P<comment>/\*)
  | (?P<dollar>\$(?:[^\W\d]\w*+)?\$)
  | (?P<value>[eE]'(?:[^'\\]++|\\.?|'')*+'?
      | (?:[bBnNxX]|[uU]&)?'[^']*+(?:''[^']*+)*+'?
      | \?
      | %(?:[sbt](?!\w)|\([^()]{0,200}\)[a-z])
      | :(?:[^\W\d]\w*+|[0-9]++)
      | @\w++
      | \$\w++
      | (?:0[xX][0-9a-fA-F_]++
          |(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9]++)?)[\w$]*+)
  | (?P<quoted>"[^"]*+(?:""[^"]*+)*+"|`[^`]*+(?:``[^`]*+)*+`)
  | (?P<cut_off>["`].*+)
  | (?P<word>[^\W\d][\w$]*+|@@[\w.$]++)
  | (?P<mark>::|:=|<=>|->>|->|\#>>|\#>|@>|<@|@@|\|\||<=|>=|<>|!=|!~|~\*|&&|<<|>>|=>|%%|.)
"""
_MYSQL: Final = r"""
    (?P<remark>\#[^\r\n]*+)
  | (?P<text>[nN]?"(?:[^"\\]++|\\.?|"")*+"?|[bBnNxX]?'(?:[^'\\]++|\\.?|'')*+'?)
  |
"""
_SKIPPED: Final = frozenset({"space", "remark"})
_KEPT: Final = frozenset({"word", "quoted", "mark"})

# Names that are made at run time: all their numbers are one. Elsewhere only what looks random.
_TEMPORARY: Final = re.compile(
    r"[\"`]?(?:te?mp[_\d]|pg_temp_|_django_curs_|__asyncpg_)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"(?=[a-fA-F]{0,40}\d)[0-9a-fA-F]{6,}|\d+")
_RANDOM: Final = re.compile(r"(?=[a-fA-F]{0,16}\d)[0-9a-fA-F]{16,}")

_LOWER: Final = {ord(upper): ord(upper) + 32 for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the texts for one kind of database are to be read.

    `loose_quotes`: a text in double quotes is a value where no name fits (SQLite).
    """

    pattern: re.Pattern[str]
    nested_comments: bool
    loose_quotes: bool = False


def dialect(db: str) -> Dialect:
    """Return how to read statements for a database; unknown ones are read as standard SQL."""
    return _DIALECTS.get(db, _UNKNOWN)


def tokens(text: str, dialect: Dialect) -> Iterator[tuple[Token, str]]:
    """Yield what a statement is made of, without comments and whatever cannot be printed."""
    match, position, end = dialect.pattern.match, 0, len(text)
    while position < end and (found := match(text, position)):
        position = found.end()
        kind = found.lastgroup or ""
        if kind in _KEPT:
            token = _token(kind, found[kind])
            if token is not None:
                yield token
        elif kind == "comment":
            position = _after_comment(text, position, nested=dialect.nested_comments)
        elif kind not in _SKIPPED:
            if kind == "dollar":
                closing = text.find(found[kind], position)
                position = end if closing < 0 else closing + len(found[kind])
            yield _ANY_VALUE


@lru_cache(maxsize=4_096)
def _token(kind: str, text: str) -> tuple[Token, str] | None:
    if kind == "mark":
        return (Token.MARK, "%" if text == "%%" else text) if text.isprintable() else None
    if len(text) > MAX_NAME_CHARS or not text.isprintable():
        return _ANY_VALUE
    if kind == "quoted":
        return Token.QUOTED, _unnumbered(text)
    upper = text.upper()
    if upper in KEYWORDS:
        return Token.KEYWORD, upper
    return Token.WORD, _unnumbered(text.translate(_LOWER))


def _unnumbered(name: str) -> str:
    """Return a name with the numbers that differ each time replaced by 0."""
    return (_NUMBER if _TEMPORARY.match(name) else _RANDOM).sub("0", name)


def _after_comment(text: str, position: int, *, nested: bool) -> int:
    """Return where a comment that has begun before `position` is over; the end if it never is."""
    depth = 1
    while depth:
        closing = text.find("*/", position)
        if closing < 0:
            return len(text)
        opening = text.find("/*", position, closing) if nested else -1
        if opening >= 0:
            depth, position = depth + 1, opening + 2
        else:
            depth, position = depth - 1, closing + 2
    return position


def _dialect(
    more: str = "", *, nested_comments: bool = False, loose_quotes: bool = False
) -> Dialect:
    return Dialect(
        pattern=re.compile(rf"\s*+(?:{more}{_STANDARD})", re.VERBOSE | re.DOTALL),
        nested_comments=nested_comments,
        loose_quotes=loose_quotes,
    )


_UNKNOWN: Final = _dialect(nested_comments=True, loose_quotes=True)
_DIALECTS: Final = {
    "mariadb": _dialect(_MYSQL),
    "mssql": _dialect(nested_comments=True),
    "mysql": _dialect(_MYSQL),
    "oracle": _dialect(),
    "postgresql": _dialect(nested_comments=True),
    "sqlite": _dialect(loose_quotes=True),
}
