"""Literals given to sensitive names in source code: the secrets that somebody wrote into it."""

import re
from collections.abc import Iterator
from typing import Final

from watchkeeper.core.assigned import (
    BEGINS,
    NAME,
    SIGN,
    STEPS_OF_VALUE,
    mask_values,
    names_sensitive,
)
from watchkeeper.core.effort import Effort
from watchkeeper.core.expression import (
    CALL,
    LITERAL,
    PLAIN,
    TOKEN,
    Span,
    bracket_end,
    is_harmless,
    literals_of,
    strings_of,
)
from watchkeeper.core.form import MASK, without_rest
from watchkeeper.core.sensitive import Keys

# A name that is given something, sought in something or compared, or a call that takes secrets.
_USE: Final = re.compile(
    rf"{BEGINS}(?:{NAME}(?=[=+|!:%,>(in])(?:{SIGN}|"
    r"(?P<sought>(?<=\s)(?:not\s{1,4}+)?in\s{0,4}+[\[({])|"
    r"(?P<called>\((?:(?<=_password.)|(?<=compare_digest.)|(?<=Auth.)|(?<=SecretStr.)|"
    r"(?<=SecretBytes.))))|(?P<compared>[=!]=)\s{0,4}+)"
)
_TAKES_SECRETS: Final = re.compile(
    r"(?:^|\.)(?:compare_digest|(?:set|check|verify|make|hash)_password|"
    r"HTTP(?:Basic|Digest|Proxy)Auth|(?:Basic|Digest)Auth|Secret(?:Str|Bytes))\Z"
)
_AFTER: Final = re.compile(
    r"(?:[\w.]++[\[(][\"'](?P<item>[\w.-]++)[\"']|(?P<name>[\w.]++))(?![\w(\[])"
)
_TAKING: Final = "compare_digest"  # whatever its arguments are called
_TYPES: Final = re.compile(r"[\w.| ]{0,60}+")
MAX_TYPES: Final = 8  # with brackets, of one annotation
_CLAUSE: Final = re.compile(r"[ \t]*(?:if|elif|else|while|for|with|case|except|try|finally)\b")
_BLANK: Final = re.compile(r"\s{0,4}[=!]=\s{0,4}")
_GIVEN: Final = re.compile(r"\s{0,4}=(?!=)\s{0,4}")
_COMPARISONS: Final = frozenset({"==", "!="})
_SIGNS: Final = frozenset({"=", "+=", "|=", ":=", ":", ",", "==", "!="})
# a, *b = …
_TARGETS_BEFORE: Final = re.compile(r"[ \t]*\(?(?:\*?[\w.]{1,80}\s{0,4},\s{0,4}){0,10}\*?")
_TARGETS_AFTER: Final = re.compile(
    r"(?:\*?[\w.]{1,80}+\s{0,4},?\s{0,4}){1,10}\)?\s{0,4}=(?!=)\s{0,4}"
)
MAX_BEFORE_CHARS: Final = 300  # of a line
_ENDS_PAIR: Final = re.compile(r"\s{0,20},?\s{0,20}[)\]]")
_PLAIN_WORD: Final = re.compile(r"[bu]?[\"']([a-z_]{1,40})[\"']")
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
    if not keys.may_occur(source) and _TAKING not in source:
        return source
    return _strings_masked(_values_masked(source, keys, effort), keys, effort)


def _values_masked(source: str, keys: Keys, effort: Effort) -> str:
    kept: list[str] = []
    effort.begin_pass()
    done = 0
    literal = (len(source), 0)  # the last one before what we look at
    strings = strings_of(source)
    following = next(strings, (len(source), 0))
    for match in _USE.finditer(source):
        sign = match.end() if match["sign"] is None else match.start("sign")
        while following[0] < sign:
            literal = following
            if not effort.spend():
                return without_rest(kept, source, done, max(done, min(literal[0], match.start())))
            following = next(strings, (len(source), 0))
        if sign < literal[1] or match.start() < done:
            continue  # within a string, which is looked at as a text
        is_sensitive = _is_sensitive(source, match, keys)
        if not effort.spend(STEPS_OF_VALUE if is_sensitive else 1):
            return without_rest(kept, source, done, max(done, min(literal[0], match.start())))
        if not is_sensitive:
            continue
        for start, end in _spans(source, match, literal, keys, effort):
            if start >= done:
                kept += (source[done:start], MASK, "\n" * source.count("\n", start, end))
                done = end
        if effort.is_spent:
            return without_rest(kept, source, done, max(done, match.end()))
    kept.append(source[done:])
    return "".join(kept)


def _is_sensitive(source: str, match: re.Match[str], keys: Keys) -> bool:
    """Tell whether what was found names something sensitive, before its sign or after it."""
    if match["called"] is not None:
        is_defined = source.endswith("def ", 0, match.start())
        return not is_defined and _TAKES_SECRETS.search(match["key"]) is not None
    if match["key"] is not None and names_sensitive(source, match, keys):
        return True
    return _names_after(source, match, keys)


def _names_after(source: str, match: re.Match[str], keys: Keys) -> bool:
    """Tell whether "==" or "!=" is followed by a sensitive name."""
    if match["compared"] is None and match["sign"] not in _COMPARISONS:
        return False
    after = _AFTER.match(source, match.end())
    return after is not None and keys.is_sensitive(after["item"] or after["name"])


def _strings_masked(source: str, keys: Keys, effort: Effort) -> str:
    """Mask what strings hold in the manner of texts."""
    kept: list[str] = []
    done = 0
    effort.begin_pass()
    for start, end in strings_of(source):
        if not effort.spend():
            return without_rest(kept, source, done, start)
        literal = source[start:end]
        if keys.may_occur(literal):
            kept += (source[done:start], _inside(literal, keys, effort))
            done = end
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


def _spans(
    source: str, match: re.Match[str], before: Span, keys: Keys, effort: Effort
) -> Iterator[Span]:
    """Find the literals that a use gives away; `before` is the literal before it."""
    if match["sought"] is not None:
        yield from literals_of(source, match.end(), keys, effort, inside=PLAIN)
    elif match["called"] is not None:
        yield from literals_of(source, match.end(), keys, effort, inside=CALL)
    elif match["key"] is not None and names_sensitive(source, match, keys):
        yield from _given(source, match, keys, effort)
    elif (
        before[0] < before[1]
        and _BLANK.fullmatch(source, before[1], match.end())
        and not is_harmless(source[before[0] : before[1]])
    ):
        yield before


def _given(source: str, match: re.Match[str], keys: Keys, effort: Effort) -> Iterator[Span]:
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
        if sign != "," or _names_next(source, match, literal, keys):
            yield literal.span()
    elif sign == ":" and not match["closing"]:
        if "\n" not in source[match.start("sign") : start]:  # "def token():", and its first line
            yield from _annotated(source, match, keys, effort)
    else:
        begins = match.start()
        is_later = sign == "=" and source[max(begins - 4, 0) : begins].rstrip(" *").endswith(",")
        element = _element(source, begins) if is_later else None
        yield from literals_of(source, start, keys, effort, element=element)


def _annotated(source: str, match: re.Match[str], keys: Keys, effort: Effort) -> Iterator[Span]:
    """Find the literals of `name: annotation = value`; a quoted annotation may be a value."""
    start = match.end()
    annotation = _annotation_end(source, start, effort)
    given = _GIVEN.match(source, annotation) if annotation > start else None
    if given is not None:
        if not _CLAUSE.match(_line_before(source, match.start())):  # if token: x = "y"
            yield from literals_of(source, given.end(), keys, effort)
        return
    literal = LITERAL.match(source, start)
    if literal is None:
        return
    if not is_harmless(literal.group()):
        yield literal.span()
    given = _GIVEN.match(source, literal.end())
    if given is not None:
        yield from literals_of(source, given.end(), keys, effort)


def _annotation_end(source: str, start: int, effort: Effort) -> int:
    """Return where an annotation ends: names and brackets, whatever is in these."""
    for _ in range(MAX_TYPES):
        types = _TYPES.match(source, start)
        end = types.end() if types else start
        if source[end : end + 1] not in ("[", "("):
            return end
        start = bracket_end(source, end, effort)
        if start == end:
            break
    return start


def _names_next(source: str, match: re.Match[str], literal: re.Match[str], keys: Keys) -> bool:
    """Tell whether a quoted name is the first of a call or a pair, or names what to set.

    What is beside it may be another name: in a list a plain word is.
    """
    if match["closing"] not in ("'", '"'):
        return False
    before = source[max(match.start() - MAX_BEFORE_CHARS, 0) : match.start() - 1].rstrip("bu")
    if before.endswith(("(", "[")) and _ENDS_PAIR.match(source, literal.end()):
        word = _PLAIN_WORD.fullmatch(literal.group())
        is_name = word is not None and (before[-1] == "[" or keys.is_sensitive(word[1]))
        return not is_name
    return _CALL_BEGINS.search(before) is not None or _SETATTR.search(before) is not None


def _element(source: str, start: int) -> int | None:
    """Return the place of a name among the targets that a statement begins with, if it is one."""
    line = _line_before(source, start)
    return line.count(",") if _TARGETS_BEFORE.fullmatch(line) else None


def _line_before(source: str, start: int) -> str:
    return source[max(start - MAX_BEFORE_CHARS, 0) : start].rpartition("\n")[2]
