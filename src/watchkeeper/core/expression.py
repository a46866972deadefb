"""The literals of an expression that become its value, as far as brackets and names tell."""

import re
from collections.abc import Iterator
from typing import Final

from watchkeeper.core.effort import Effort
from watchkeeper.core.form import CHARS_PER_STEP
from watchkeeper.core.sensitive import Keys

STEPS_OF_BRACKET: Final = 4
TOKENS_PER_STEP: Final = 3  # that are only counted
MAX_BRACKETS: Final = 8  # within each other
MAX_BRACKET_CHARS: Final = 1_000  # of an annotation's
MAX_NAME_CHARS: Final = 40  # of what is called

_DOUBLE: Final = r'""(?s:.*?)(?:"""|\Z)|(?:[^"\\\n]|\\(?s:.))*+(?:"|(?=\n)|\\?\Z)'
_SINGLE: Final = r"''(?s:.*?)(?:'''|\Z)|(?:[^'\\\n]|\\(?s:.))*+(?:'|(?=\n)|\\?\Z)"
_STRING: Final = rf"(?<![\w.])[A-Za-z]{{0,2}}+(?=[\"'])(?:\"(?:{_DOUBLE})|'(?:{_SINGLE}))"
LITERAL: Final = re.compile(_STRING)
# The same from its quote on, which is found faster: what is before it is looked at behind it.
_PREFIXED: Final = r"(?:(?<![\w.].)|(?<=(?<![\w.])[A-Za-z].)|(?<=(?<![\w.])[A-Za-z]{2}.))"
_QUOTED: Final = re.compile(rf"\"{_PREFIXED}(?:{_DOUBLE})|'{_PREFIXED}(?:{_SINGLE})")
TOKEN: Final = re.compile(
    rf"(?P<literal>{_STRING}|(?<![\w.\"'])\d[\d_]{{3,}}(?![\w.]))|"
    r"(?P<opening>[\[({])|(?P<closing>[\])}])|(?P<end>[,;#\n]|(?<![=!<>])=(?!=))|\\\n"
)
_OPERATORS: Final = frozenset(
    {"or", "and", "not", "in", "is", "if", "else", "return", "yield", "await", "lambda"}
)
_HARMLESS: Final = re.compile(
    r"[bru]{0,2}([\"'])(?:\*{0,80}|[^\w\"'\\]{1,4})\1|"
    r"(?i:rf|fr?)([\"'])(?:(?:Bearer|Basic|Token) )?\{[^{}]{1,200}\}\2"
)
_BEFORE_PLAIN: Final = frozenset("([{,=:+\n")
_ENDS_CALLED: Final = frozenset("_)]\"'")
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


# What an open bracket is, and whether what stands in it now is a part of the value.
_SUBSCRIPT: Final = 0
PLAIN: Final = 1
CALL: Final = 2
_CALL_PASSING: Final = 3  # an argument that is no part


def is_harmless(literal: str) -> bool:
    """Tell whether a literal is empty, a few signs, or an f-string of a field alone."""
    return _HARMLESS.fullmatch(literal) is not None


def strings_of(source: str) -> Iterator[Span]:
    """Find the texts in source: each as LITERAL finds it."""
    for quoted in _QUOTED.finditer(source):
        start = quoted.start()
        while start and source[start - 1].isascii() and source[start - 1].isalpha():
            start -= 1  # of its prefix
        yield start, quoted.end()


def literals_of(
    source: str,
    start: int,
    keys: Keys,
    effort: Effort,
    *,
    element: int | None = None,
    inside: int | None = None,
) -> Iterator[Span]:
    """Find the literals of the value that begins at `start`.

    Those of calls too, but for the names that a value is looked up by, options of the call and
    subscripts. Of `a, b = …` only those of one element, if the elements can be told apart. What
    ends with the bracket that it begins in is `inside` one of that kind: PLAIN or CALL.
    """
    walk = _Walk(source, start, keys, element, inside)
    for token in TOKEN.finditer(source, start):
        if not effort.spend(STEPS_OF_BRACKET if token["opening"] else 1):
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


def bracket_end(source: str, start: int, effort: Effort) -> int:
    """Return where the bracket that begins at `start` ends, or `start` if it is a long one."""
    depth = tokens = 0
    end = min(start + MAX_BRACKET_CHARS, len(source))
    for tokens, token in enumerate(TOKEN.finditer(source, start, end), 1):  # noqa: B007
        depth += (token["opening"] is not None) - (token["closing"] is not None)
        if depth == 0:
            end = token.end()
            break
    effort.spend((end - start) // CHARS_PER_STEP + tokens // TOKENS_PER_STEP)
    return start if depth else end


class _Walk:
    """Where in an expression we are."""

    def __init__(
        self, source: str, start: int, keys: Keys, element: int | None, inside: int | None
    ) -> None:
        self.is_over = False
        self._source, self._start, self._keys = source, start, keys
        self._element = element
        self._passed = 0  # elements
        self._open: list[int] = [] if inside is None else [inside]
        self._is_inside = inside is not None

    def is_value(self, literal: str) -> bool:
        """Tell whether a literal is a part of the value, and not empty."""
        if self._element not in (None, self._passed) or is_harmless(literal):
            return False
        if _SUBSCRIPT in self._open or _CALL_PASSING in self._open:
            return False
        return CALL not in self._open or not self._is_name(literal)

    def open(self, token: re.Match[str]) -> None:
        """Go into a bracket."""
        if self._element is not None and not self._source[self._start : token.start()].strip():
            self._element = None  # all elements are in brackets
        before = self._source[token.start() - 1]
        plain = before in _BEFORE_PLAIN
        self._open.append(PLAIN if plain else _opened(token.group(), self._before(token)))
        self.is_over = len(self._open) > MAX_BRACKETS

    def close(self) -> None:
        """Go out of one, maybe of the one that the whole expression is in."""
        if self._open:
            self._open.pop()
            self.is_over = self._is_inside and not self._open
        else:
            self.is_over = True

    def move_on(self, token: re.Match[str]) -> None:
        """Go past a comma, "=" or the end of a line."""
        sign = token.group()
        if self._open:
            if self._open[-1] >= CALL and sign in (",", "="):
                self._open[-1] = _moved_on(sign, self._before(token))
        elif sign == "," and self._element is not None:
            self._passed += 1
        elif sign != "=":  # of `a = b = …`
            self.is_over = True

    def _before(self, token: re.Match[str]) -> str:
        return self._source[max(self._start, token.start() - MAX_NAME_CHARS) : token.start()]

    def _is_name(self, literal: str) -> bool:
        """Tell whether an argument is the name of the value rather than itself."""
        name = _PLAIN_NAME.fullmatch(literal)
        return name is not None and self._keys.is_sensitive(name[1])


def _opened(sign: str, before: str) -> int:
    word = before.rstrip()
    if word[-1:] not in _ENDS_CALLED and not word[-1:].isalnum():
        return PLAIN
    if sign != "(":
        return _SUBSCRIPT
    called = _CALLED.search(word)
    if called is None:
        return CALL
    if called[1] in _OPERATORS:
        return PLAIN
    return _CALL_PASSING if called[1] in _LOOK_UPS else CALL


def _moved_on(sign: str, before: str) -> int:
    """Go to the next argument of a call, or to the value of a named one."""
    if sign == ",":
        return CALL
    named = _CALLED.search(before)
    return CALL if named is not None and named[1] in _VALUE_NAMES else _CALL_PASSING
