"""Literals given to sensitive names in source code: the secrets that somebody wrote into it."""

import re
from collections.abc import Iterator
from typing import Final

from watchkeeper.core.assigned import ASSIGNMENT, STEPS_OF_VALUE, mask_values, names_sensitive
from watchkeeper.core.effort import Effort
from watchkeeper.core.expression import LITERAL, TOKEN, Span, is_harmless, literals_of
from watchkeeper.core.form import MASK, without_rest
from watchkeeper.core.sensitive import Keys

_ANNOTATION: Final = re.compile(r"(?:[\w.| ]|\[[\w.\[\]|, ]{0,60}\]){1,60}=(?!=)\s{0,4}")
_GIVEN: Final = re.compile(r"\s{0,4}=(?!=)\s{0,4}")
_SIGNS: Final = frozenset({"=", "+=", ":=", ":", ",", "==", "!="})
# a, *b = …
_TARGETS_BEFORE: Final = re.compile(r"[ \t]*\(?(?:\*?[\w.]{1,80}\s{0,4},\s{0,4}){0,10}\*?")
_TARGETS_AFTER: Final = re.compile(
    r"(?:\*?[\w.]{1,80}+\s{0,4},?\s{0,4}){1,10}\)?\s{0,4}=(?!=)\s{0,4}"
)
MAX_BEFORE_CHARS: Final = 300  # of a line
_ENDS_PAIR: Final = re.compile(r"\s{0,20},?\s{0,20}[)\]]")
_CALL_BEGINS: Final = re.compile(r"\w\($")
_SETATTR: Final = re.compile(r"\bsetattr\(\s{0,20}[\w.]{1,80},\s{0,20}$")

_FIELD: Final = re.compile(r"\{\{|\}\}|\{(?:[^{}]|\{[^{}]*\}){1,500}\}")
_PLACE: Final = re.compile("\x01(\\d{1,4})\x01")
MAX_FIELDS: Final = 1_000  # of an f-string


def mask_literals(source: str, keys: Keys, effort: Effort) -> str:
    """Return source in which literals given to sensitive names are masked.

    Assigned, as default, keyword argument or value of a dict, compared, or as the fallback of
    `getenv("NAME", …)`; and what strings hold in the manner of texts. Lines stay as many.
    """
    if not keys.may_occur(source):
        return source
    return _strings_masked(_values_masked(source, keys, effort), keys, effort)


def _values_masked(source: str, keys: Keys, effort: Effort) -> str:
    kept: list[str] = []
    effort.begin_pass()
    done = inside_until = 0
    strings = (string.span() for string in LITERAL.finditer(source))
    begins, ends = next(strings, (len(source), 0))
    for match in ASSIGNMENT.finditer(source):
        sign = match.start("sign")
        while begins < sign:
            inside_until = ends
            if not effort.spend():
                return without_rest(kept, source, done, max(done, match.start()))
            begins, ends = next(strings, (len(source), 0))
        if sign < inside_until or match.start() < done:
            continue  # within a string, which is looked at as a text
        is_sensitive = names_sensitive(source, match, keys)
        if not effort.spend(STEPS_OF_VALUE if is_sensitive else 1):
            return without_rest(kept, source, done, match.start())
        if not is_sensitive:
            continue
        for start, end in _spans(source, match, keys, effort):
            kept += (source[done:start], MASK, "\n" * source.count("\n", start, end))
            done = end
        if effort.is_spent:
            return without_rest(kept, source, done, max(done, match.end()))
    kept.append(source[done:])
    return "".join(kept)


def _strings_masked(source: str, keys: Keys, effort: Effort) -> str:
    """Mask what strings hold in the manner of texts."""
    kept: list[str] = []
    done = 0
    effort.begin_pass()
    for match in LITERAL.finditer(source):
        if not effort.spend():
            return without_rest(kept, source, done, match.start())
        literal = match.group()
        if keys.may_occur(literal):
            kept += (source[done : match.start()], _inside(literal, keys, effort))
            done = match.end()
    kept.append(source[done:])
    return "".join(kept)


def _inside(literal: str, keys: Keys, effort: Effort) -> str:
    """Mask what a string holds; fields of an f-string are code."""
    if "f" not in literal[:2].lower() or "\x01" in literal:
        return mask_values(literal, keys, effort)
    fields: list[str] = []

    def put_away(field: re.Match[str]) -> str:
        if len(field.group()) == 2 or len(fields) >= MAX_FIELDS:
            return field.group()
        fields.append(field.group())
        return f"\x01{len(fields) - 1}\x01"

    masked = mask_values(_FIELD.sub(put_away, literal), keys, effort)
    return _PLACE.sub(lambda place: fields[int(place[1])], masked)


def _spans(source: str, match: re.Match[str], keys: Keys, effort: Effort) -> Iterator[Span]:
    """Find the literals of the value that follows a name and its sign."""
    start, sign = match.end(), match["sign"]
    if sign not in _SIGNS:
        return
    if sign == "," and not match["closing"]:
        element = _element(source, match.start())
        more = None if element is None else _TARGETS_AFTER.match(source, start)
        if more is not None:
            yield from literals_of(source, more.end(), keys, effort, element=element)
    elif sign in (",", "==", "!="):
        literal = TOKEN.match(source, start)
        if literal is None or not literal["literal"] or is_harmless(literal.group()):
            return
        if sign != "," or _names_next(source, match, literal):
            yield literal.span()
    elif sign == ":" and not match["closing"]:
        if "\n" not in source[match.start("sign") : start]:  # "def token():", and its first line
            yield from _annotated(source, start, keys, effort)
    else:
        begins = match.start()
        is_later = sign == "=" and source[max(begins - 4, 0) : begins].rstrip(" *").endswith(",")
        element = _element(source, begins) if is_later else None
        yield from literals_of(source, start, keys, effort, element=element)


def _annotated(source: str, start: int, keys: Keys, effort: Effort) -> Iterator[Span]:
    """Find the literals of `name: annotation = value`; a quoted annotation may be a value."""
    annotation = _ANNOTATION.match(source, start)
    if annotation is not None:
        yield from literals_of(source, annotation.end(), keys, effort)
        return
    literal = LITERAL.match(source, start)
    if literal is None:
        return
    if not is_harmless(literal.group()):
        yield literal.span()
    given = _GIVEN.match(source, literal.end())
    if given is not None:
        yield from literals_of(source, given.end(), keys, effort)


def _names_next(source: str, match: re.Match[str], literal: re.Match[str]) -> bool:
    """Tell whether a quoted name is the first of a call or a pair, or names what to set."""
    if match["closing"] not in ("'", '"'):
        return False
    before = source[max(match.start() - MAX_BEFORE_CHARS, 0) : match.start() - 1].rstrip("bu")
    if before.endswith(("(", "[")) and _ENDS_PAIR.match(source, literal.end()):
        return True
    return _CALL_BEGINS.search(before) is not None or _SETATTR.search(before) is not None


def _element(source: str, start: int) -> int | None:
    """Return the place of a name among the targets that a statement begins with, if it is one."""
    line = source[max(start - MAX_BEFORE_CHARS, 0) : start].rpartition("\n")[2]
    return line.count(",") if _TARGETS_BEFORE.fullmatch(line) else None
