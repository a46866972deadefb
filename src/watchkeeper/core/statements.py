"""The normal form of a SQL statement: the same for every execution, and without a single value.

Every literal and every placeholder becomes "?", lists and rows of values become one, comments go,
and what is left is spelled in one way. It never fails: what cannot be read becomes "?".

NULL, TRUE and FALSE stay (`IS NULL` is another statement than `= 'x'`), except in the lists of IN
and VALUES, where they are values like the others. Names in quotes stay as written.
"""

from bisect import bisect_right
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from watchkeeper.core.sql_tokens import VALUE, Token, dialect, tokens
from watchkeeper.core.sql_words import COMPARING, CONSTANTS, MADE_UP, OPERATIONS

MAX_RAW_CHARS: Final = 16_384  # that are read of a statement: lists shrink when they are folded
MAX_BYTES: Final = 4_096
CUT: Final = "…"
OTHER_OPERATION: Final = "OTHER"

_OPENING: Final = frozenset("([")
_CLOSING: Final = frozenset(")]")
_COMPARISONS: Final = frozenset({"=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "||"})
_MAIN: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_NAMES: Final = frozenset({Token.WORD, Token.QUOTED})
_TIGHT: Final = frozenset({",", ";", ")", "]"})  # no space before
_HINGES: Final = frozenset({".", "::"})  # no space around
_NEAR_LEFT: Final = _TIGHT | _HINGES | _OPENING
_NEAR_RIGHT: Final = _OPENING | _HINGES
_BEFORE_TABLE: Final = frozenset({"INTO", "TABLE", "COPY", "REFERENCES"})
_IN_BETWEEN: Final = frozenset({".", "IF", "NOT", "EXISTS"})  # CREATE TABLE IF NOT EXISTS t
_QUERIES: Final = frozenset({"SELECT", "WITH"})


def normalise(text: str, *, db: str = "") -> str:
    """Return the normal form of a statement; normalising it again changes nothing.

    `db` tells how it is written: "postgresql", "mysql", "mariadb", "sqlite", "oracle", "mssql";
    anything else is read as standard SQL. At most MAX_BYTES of UTF-8, ending in "…" where more
    was cut off; only the first MAX_RAW_CHARS are read.
    """
    how = dialect(db)
    folder = _Folder(loose_quotes=how.loose_quotes)
    for kind, part in tokens(text[:MAX_RAW_CHARS], how):
        folder.add(kind, part)
    return _join(folder.end(cut=len(text) > MAX_RAW_CHARS))


def fingerprint(normal: str) -> str:
    """Return the 16 hexadecimal digits that stand for a statement's normal form."""
    return blake2b(normal.encode("utf-8", "replace"), digest_size=8).hexdigest()


def operation(text: str, *, db: str = "") -> str:
    """Return what a statement does, in one word ("SELECT", "INSERT", …), else "OTHER".

    `WITH …` is named after its main statement. Takes a raw text or its normal form.
    """
    depth, common_tables = 0, False
    for kind, part in tokens(text[:MAX_RAW_CHARS], dialect(db)):
        if kind is Token.MARK:
            depth += (part == "(") - (part == ")")
        elif kind in (Token.WORD, Token.KEYWORD):
            word = part.upper()
            if common_tables:
                if depth <= 0 and word in _MAIN:
                    return word
            elif word == "WITH":
                common_tables, depth = True, 0
            else:
                return OPERATIONS.get(word, OTHER_OPERATION)
    return OTHER_OPERATION


@dataclass(slots=True)
class _Bracket:
    """An open bracket: where its present element begins, and the one before, in a list."""

    listed: bool = False  # of IN or ARRAY: an element like the one before goes
    row: bool = False  # of VALUES: the rows after the first go
    constants: bool = True  # NULL and the like stay
    start: int = 0
    before: tuple[int, int] | None = None


class _Folder:
    """Takes the tokens of a statement, one after the other, and keeps those of its normal form."""

    def __init__(self, *, loose_quotes: bool) -> None:
        self._kept: list[tuple[Token, str]] = []
        self._brackets = [_Bracket()]
        self._loose_quotes = loose_quotes
        self._doubtful = False  # the last one is a name or a value: what follows will tell
        self._compared = False  # what comes next is compared with something
        self._between = False  # the next AND belongs to a BETWEEN
        self._verb = ""  # the first word of the statement
        self._after_row = False
        self._comma = False  # after a row, held back until it is known what follows
        self._skipped = 0  # open brackets of a row that is left out

    def add(self, kind: Token, text: str) -> None:
        """Take the next text."""
        if self._skipped:
            self._skipped += (text in _OPENING) - (text in _CLOSING)
            return
        if self._doubtful:
            self._settle(text)
        if self._after_row and self._is_row(text):
            return
        compared, self._compared = self._compared, False
        if kind is Token.MARK:
            self._add_mark(text)
        elif kind is Token.KEYWORD:
            self._add_keyword(text)
        elif kind is Token.VALUE:
            self._add_value()
        else:
            self._add_name(kind, text, compared=compared)

    def end(self, *, cut: bool) -> list[tuple[Token, str]]:
        """Return the tokens of the normal form; `cut`: the statement went on."""
        if self._doubtful:
            self._settle("")
        if cut:
            self._end_element()
        while self._kept and self._kept[-1][1] in (";", ","):
            self._kept.pop()
        if cut:
            self._kept.append((Token.MARK, CUT))
        return self._kept

    @property
    def _last(self) -> str:
        return self._kept[-1][1] if self._kept else ""

    def _add_mark(self, text: str) -> None:
        if text in _OPENING:
            self._open(text)
            return
        if text in _CLOSING:
            self._close(text)
            return
        if text == ",":
            self._end_element()
        elif text == ";":
            self._verb = ""
        self._kept.append((Token.MARK, text))
        self._compared = text in _COMPARISONS
        if text == ",":
            self._brackets[-1].start = len(self._kept)

    def _add_keyword(self, text: str) -> None:
        bracket = self._brackets[-1]
        if self._last == ".":  # `t.order` is a column
            self._kept.append((Token.WORD, text.lower()))
            return
        if text in CONSTANTS and not bracket.constants:
            self._add_value()
            return
        if text in _QUERIES:
            bracket.constants = True
        self._compared = text in COMPARING or (text == "AND" and self._between)
        self._between = text == "BETWEEN" or (self._between and text != "AND")
        self._verb = self._verb or text
        self._kept.append((Token.KEYWORD, text))

    def _add_value(self) -> None:
        """Keep a value, without the sign before it."""
        kept = self._kept
        while kept and kept[-1][1] in ("-", "+") and not _is_operand(kept[-2:-1]):
            kept.pop()
        kept.append((Token.VALUE, VALUE))

    def _add_name(self, kind: Token, text: str, *, compared: bool) -> None:
        if self._last in MADE_UP.get(self._verb, ()):
            self._add_value()
            return
        if self._loose_quotes and text[0] == '"' and self._last != ".":
            self._doubtful = compared or not self._brackets[-1].constants
        self._verb = self._verb or text
        self._kept.append((kind, text))

    def _settle(self, following: str) -> None:
        """Decide whether a text in double quotes was a name: only then a dot follows it here."""
        self._doubtful = False
        if following not in (".", CUT):
            self._kept.pop()
            self._add_value()

    def _open(self, text: str) -> None:
        parent, last = self._brackets[-1], self._last
        row = last == "VALUES" and text == "("
        listed = (last == "IN" and text == "(") or (last == "ARRAY" and text == "[")
        self._kept.append((Token.MARK, text))
        self._brackets.append(
            _Bracket(
                listed=listed,
                row=row,
                constants=parent.constants and not (row or listed),
                start=len(self._kept),
            )
        )

    def _close(self, text: str) -> None:
        self._end_element()
        self._kept.append((Token.MARK, text))
        if len(self._brackets) > 1:
            self._after_row = self._brackets.pop().row

    def _end_element(self) -> None:
        """Drop the element of a list that ends here if it is like the one before."""
        bracket, kept = self._brackets[-1], self._kept
        if not bracket.listed:
            return
        here = (bracket.start, len(kept))
        before = bracket.before
        if before is None or before[1] - before[0] != here[1] - here[0]:
            bracket.before = here
        elif kept[slice(*before)] == kept[slice(*here)]:
            del kept[bracket.start - 1 :]  # with the comma before it
        else:
            bracket.before = here

    def _is_row(self, text: str) -> bool:
        """Leave out a further row of VALUES; tell whether the text belongs to one."""
        if text == "," and not self._comma:
            self._comma = True
            return True
        if text == "(" and self._comma:
            self._comma, self._skipped = False, 1
            return True
        self._after_row = False
        if self._comma:
            self._comma = False
            self._add_mark(",")
        return False


def _is_operand(tokens: list[tuple[Token, str]]) -> bool:
    """Tell whether the only one of `tokens`, if any, is or ends something that has a value."""
    return any(
        text in _CLOSING or kind in (Token.WORD, Token.QUOTED, Token.VALUE)
        for kind, text in tokens
    )


def _join(kept: list[tuple[Token, str]]) -> str:
    """Spell the tokens in one way; what is longer than MAX_BYTES is cut between two of them."""
    parts = _parts(kept)
    whole = "".join(parts)
    if len(whole.encode()) <= MAX_BYTES:
        return whole
    sizes = accumulate(len(part.encode()) for part in parts)
    fitting = bisect_right(list(sizes), MAX_BYTES - len(f" {CUT}".encode()))
    return "".join(_parts([*kept[:fitting], (Token.MARK, CUT)]))


def _parts(kept: list[tuple[Token, str]]) -> list[str]:
    """Return the spelling of each token, with the space before it."""
    parts: list[str] = []
    before = (Token.MARK, "(")  # nothing stands between a bracket and what it opens
    into = False  # in the name of a table that columns follow, not arguments
    for piece in kept:
        kind, text = piece
        may_be_glued = text in _NEAR_LEFT or before[1] in _NEAR_RIGHT
        glued = may_be_glued and _is_glued(before, piece, into=into)
        parts.append(text if glued else f" {text}")
        into = text in _BEFORE_TABLE or (into and (kind in _NAMES or text in _IN_BETWEEN))
        before = piece
    return parts


def _is_glued(before: tuple[Token, str], piece: tuple[Token, str], *, into: bool) -> bool:
    """Tell whether no space stands between two tokens."""
    (left_kind, left), (kind, text) = before, piece
    if left in _OPENING or text in _TIGHT:
        return True
    if text in _HINGES:
        return _is_operand([before])
    if left in _HINGES:
        return kind in _NAMES or (left == "." and text == "*")
    if text == "(":
        return left_kind in _NAMES and not into
    return text == "[" and (left == "ARRAY" or _is_operand([before]))
