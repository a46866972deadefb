"""The literals of an expression that become its value, as far as brackets and names tell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from watchkeeper.core.effort import Effort
from watchkeeper.core.sensitive import Keys

MAX_BRACKETS: Final = 8  # within each other
MAX_NAME_CHARS: Final = 40  # of what is called

_STRING: Final = (
    r"(?<![\w.])[A-Za-z]{0,2}(?:"
    r'"""(?s:.*?)(?:"""|\Z)|' + r"'''(?s:.*?)(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\(?s:.))*+(?:"|(?=\n)|\\?\Z)|'
    r"'(?:[^'\\\n]|\\(?s:.))*+(?:'|(?=\n)|\\?\Z))"
)
LITERAL: Final = re.compile(_STRING)
TOKEN: Final = re.compile(
    rf"(?P<literal>{_STRING}|(?<![\w.\"'])\d[\d_]{{3,}}(?![\w.]))|"
    r"(?P<opening>[\[({])|(?P<closing>[\])}])|(?P<end>[,;#\n]|(?<![=!<>])=(?!=))|\\\n"
)
_OPERATORS: Final = frozenset(
    {"or", "and", "not", "in", "is", "if", "else", "return", "yield", "await", "lambda"}
)
_CALLED: Final = re.compile(r"(\w{1,40})\s{0,4}$")
_PLAIN_NAME: Final = re.compile(r"[bu]?[\"']([A-Za-z_-]{1,40})[\"']")

# Calls whose first argument says where the value is, or how it is made: no part of it.
_LOOK_UP_LIST: Final = """
    get getenv getlist get_all getattr pop setdefault getpass input prompt ask open read read_text
    load loads fetch find first lookup search match fullmatch compile findall sub split rsplit
    partition rpartition replace strip lstrip rstrip startswith endswith removeprefix removesuffix
    encode decode query execute filter_by url_for reverse gettext _ Session session sessionmaker
    Column mapped_column CharField TextField StringField PasswordField
"""
_LOOK_UPS: Final = frozenset(_LOOK_UP_LIST.split())
_VALUE_NAMES: Final = frozenset({"default", "value", "initial", "fallback", "secret_value"})

Span = tuple[int, int]


@dataclass(slots=True)
class _Bracket:
    """An open bracket: whether what stands in it now is a part of the value."""

    counts: bool
    is_call: bool = False


def literals_of(
    source: str, start: int, keys: Keys, effort: Effort, *, element: int | None = None
) -> Iterator[Span]:
    """Find the literals of the value that begins at `start`.

    Those of calls too, but for the names that a value is looked up by, options of the call and
    subscripts. Of `a, b = …` only those of one element, if the elements can be told apart.
    """
    walk = _Walk(source, start, keys, element)
    for token in TOKEN.finditer(source, start):
        if not effort.spend():
            yield token.start(), len(source)
            return
        if token["literal"]:
            if walk.is_value(token.group()):
                yield token.span()
        elif token["opening"]:
            walk.open(token)
        elif token["closing"]:
            walk.close()
        elif token["end"]:
            walk.move_on(token)
        if walk.is_over:
            return


class _Walk:
    """Where in an expression we are."""

    def __init__(self, source: str, start: int, keys: Keys, element: int | None) -> None:
        self.is_over = False
        self._source, self._start, self._keys = source, start, keys
        self._element = element
        self._passed = 0  # elements
        self._open: list[_Bracket] = []

    def is_value(self, literal: str) -> bool:
        """Tell whether a literal is a part of the value, and not empty."""
        if len(literal) <= 2 or self._element not in (None, self._passed):
            return False
        return all(bracket.counts for bracket in self._open) and not self._is_name(literal)

    def open(self, token: re.Match[str]) -> None:
        """Go into a bracket."""
        if self._element is not None and not self._source[self._start : token.start()].strip():
            self._element = None  # all elements are in brackets
        self._open.append(_opened(token.group(), self._before(token)))
        self.is_over = len(self._open) > MAX_BRACKETS

    def close(self) -> None:
        """Go out of one, maybe of the one that the whole expression is in."""
        if self._open:
            self._open.pop()
        else:
            self.is_over = True

    def move_on(self, token: re.Match[str]) -> None:
        """Go past a comma, "=" or the end of a line."""
        sign = token.group()
        if self._open:
            _move_on(self._open[-1], sign, self._before(token))
        elif sign == "," and self._element is not None:
            self._passed += 1
        elif sign != "=":  # of `a = b = …`
            self.is_over = True

    def _before(self, token: re.Match[str]) -> str:
        return self._source[max(self._start, token.start() - MAX_NAME_CHARS) : token.start()]

    def _is_name(self, literal: str) -> bool:
        """Tell whether an argument is the name of the value rather than itself."""
        if not any(bracket.is_call for bracket in self._open):
            return False
        name = _PLAIN_NAME.fullmatch(literal)
        return name is not None and self._keys.is_sensitive(name[1])


def _opened(sign: str, before: str) -> _Bracket:
    word = before.rstrip()
    ends_value = word[-1:].isalnum() or word[-1:] in tuple("_)]\"'")
    if not ends_value or word.rsplit(None, 1)[-1] in _OPERATORS:
        return _Bracket(counts=True)
    called = _CALLED.search(before)
    is_look_up = called is not None and called[1] in _LOOK_UPS
    return _Bracket(counts=sign == "(" and not is_look_up, is_call=sign == "(")


def _move_on(bracket: _Bracket, sign: str, before: str) -> None:
    """Go to the next argument, or to the value of a named one."""
    if not bracket.is_call:
        return
    if sign == ",":
        bracket.counts = True
    elif sign == "=":
        named = _CALLED.search(before)
        bracket.counts = named is not None and named[1] in _VALUE_NAMES
