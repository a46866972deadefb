"""Literals given to sensitive names in source code: the secrets that somebody wrote into it."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from watchkeeper.core.assigned import ASSIGNMENT, mask_values, names_sensitive
from watchkeeper.core.form import MASK
from watchkeeper.core.sensitive import Keys

MAX_TOKENS: Final = 100  # of one value that are looked at
MAX_BRACKETS: Final = 3  # within each other

_STRING: Final = (
    r"(?<![\w.])[A-Za-z]{0,2}(?:"
    r'"""(?s:.*?)(?:"""|\Z)|' + r"'''(?s:.*?)(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\(?s:.))*+(?:"|(?=\n)|\\?\Z)|'
    r"'(?:[^'\\\n]|\\(?s:.))*+(?:'|(?=\n)|\\?\Z))"
)
_LITERAL: Final = re.compile(_STRING)
_TOKEN: Final = re.compile(
    rf"(?P<literal>{_STRING}|(?<![\w.\"'])\d[\d_]{{3,}}(?![\w.]))|"
    r"(?P<opening>[\[({])|(?P<closing>[\])}])|(?P<end>[,;#\n]|(?<![=!<>])=(?!=))|\\\n"
)
_ANNOTATION: Final = re.compile(r"(?:[\w.| ]|\[[\w.\[\]|, ]{0,60}\]){1,60}=(?!=)\s{0,4}")
_OPERATORS: Final = frozenset(
    {"or", "and", "not", "in", "is", "if", "else", "return", "yield", "await", "lambda"}
)

_GIVEN: Final = re.compile(r"\s{0,4}=(?!=)\s{0,4}")
_SIGNS: Final = frozenset({"=", ":=", ":", ",", "==", "!="})

Span = tuple[int, int]


def mask_literals(source: str, keys: Keys) -> str:
    """Return source in which literals given to sensitive names are masked.

    Assigned, as default, keyword argument or value of a dict, compared, or as the fallback of
    `getenv("NAME", …)`; and what strings hold in the manner of texts. Lines stay as many.
    """
    if not keys.may_occur(source):
        return source
    kept: list[str] = []
    done = inside_until = 0
    strings = (string.span() for string in _LITERAL.finditer(source))
    begins, ends = next(strings, (len(source), 0))
    for match in ASSIGNMENT.finditer(source):
        sign = match.start("sign")
        while begins < sign:
            inside_until = ends
            begins, ends = next(strings, (len(source), 0))
        if sign < inside_until or match.start() < done:
            continue  # within a string, which is looked at as a text
        if not names_sensitive(source, match, keys):
            continue
        for start, end in _spans(source, match):
            kept += (source[done:start], MASK, "\n" * source.count("\n", start, end))
            done = end
    kept.append(source[done:])
    return _LITERAL.sub(lambda match: _inside(match.group(), keys), "".join(kept))


def _inside(literal: str, keys: Keys) -> str:
    """Mask what a string holds in the manner of texts; fields of an f-string are code."""
    is_formatted = "f" in literal[:2].lower()
    return literal if is_formatted else mask_values(literal, keys)


def _spans(source: str, match: re.Match[str]) -> Iterator[Span]:
    """Find the literals of the value that follows a name and its sign."""
    start, sign = match.end(), match["sign"]
    if sign not in _SIGNS:
        return
    if sign == ",":
        is_first = source[: match.start()].rstrip("bu")[-2:-1] in ("(", "[")
        if not (is_first and match["closing"] in ("'", '"')):
            return
    if sign in (",", "==", "!="):
        literal = _TOKEN.match(source, start)
        if literal is not None and literal["literal"] and len(literal.group()) > 2:
            yield literal.span()
        return
    if sign == ":" and not match["closing"]:
        annotation = _ANNOTATION.match(source, start)
        if annotation is not None:
            start = annotation.end()
        else:
            literal = _LITERAL.match(source, start)
            if literal is None:
                return
            yield literal.span()
            given = _GIVEN.match(source, literal.end())
            if given is None:
                return
            start = given.end()
    yield from _literals(source, start)


def _literals(source: str, start: int) -> Iterator[Span]:
    """Find the literals of an expression that are not arguments of a call within it."""
    calls: list[bool] = []  # of the open brackets, whether it is a call or a subscript
    for token in islice(_TOKEN.finditer(source, start), MAX_TOKENS):
        if token["literal"]:
            if not any(calls) and token.end() - token.start() > 2:
                yield token.span()
        elif token["opening"]:
            calls.append(_is_call(source[max(start, token.start() - 12) : token.start()]))
        elif token["closing"]:
            if not calls:
                return
            calls.pop()
        elif token["end"] and not calls:
            return
        if len(calls) > MAX_BRACKETS:
            return


def _is_call(before: str) -> bool:
    """Tell whether a bracket calls or subscripts what stands before it."""
    word = before.rstrip()
    ends_value = word[-1:].isalnum() or word[-1:] in tuple("_)]\"'")
    return ends_value and word.rsplit(None, 1)[-1] not in _OPERATORS
