"""Values given to sensitive names in a text: `name=value`, headers, JSON, reprs, forms, XML.

Whoever writes a text has many ways to give a name a value; here one pattern finds names with the
sign that follows, and for the sensitive ones a function says where the value ends. Where a value
was cut off it ends with the text.
"""

import re
from collections.abc import Callable
from typing import Final

from watchkeeper.core.effort import Effort
from watchkeeper.core.form import CHARS_PER_STEP, MASK, without_rest
from watchkeeper.core.sensitive import Keys, words_of

STEPS_OF_VALUE: Final = 5  # finding where a value ends
MAX_PIECES: Final = 1_000  # of one bracketed value; a longer one is masked up to the text's end

# A name and the sign that gives it a value. No name begins within another one, and nothing is
# looked at twice (possessive), so this takes linear time; looking ahead at one character is what
# makes it fast where there is nothing.
BEGINS: Final = r"(?<![\w.-])"
NAME: Final = (
    r"(?P<key>[\w.-]++)(?P<closing>(?:(?=[\\\"'`%&\]\[])"
    r"\\{0,7}+(?:[\"'`]|%22|&(?:quot|#3[49]|#x27);)?+(?:\]|%5[Dd])?+"
    r"(?:\[\d{0,4}\](?==(?!=))|%5[Bb]\d{0,4}%5[Dd](?==|%3[Dd]))?+)?+)\s{0,4}+"
)
SIGN: Final = r"(?P<sign>=>|[+|]=|[=!]==?|:=|=|%3[DdAa]|:(?!=)|,|>)\s{0,4}+"
ASSIGNMENT: Final = re.compile(rf"{BEGINS}{NAME}(?=[=+|!:%,>]){SIGN}")
_QUOTED: Final = re.compile(
    r"[A-Za-z]{0,2}(?:"
    r'"""(?s:.*?)(?:"""|\Z)|' + r"'''(?s:.*?)(?:'''|\Z)|"
    r"(?P<escape>\\{1,7})(?P<quote>[\"'])(?s:.*?)(?:(?<!\\)(?P=escape)(?P=quote)|\Z)|"
    r"%22(?:[^%\s]|%(?!22))*+(?:%22)?|"
    r"(?P<entity>&(?:quot|#3[49]|#x27);)(?:[^&\n]|&(?!quot;|#3|#x27;))*+(?:(?P=entity))?|"
    r'"(?:[^"\\]|\\(?s:.))*+(?:"|\\?\Z)|'
    r"'(?:[^'\\]|\\(?s:.))*+(?:'|\\?\Z))"
)
_QUOTE: Final = r"(?:\\{0,7}[\"']|%22|&(?:quot|#3[49]|#x27);)"
_OPENING: Final = re.compile(r"[A-Za-z]{0,2}(?P<quote>\\{0,7}[\"'])")
# A literal beside a literal is a part of it: pprint splits long texts, SQL doubles quotes. Another
# quote before anything but a letter closes what the first one stands in.
_BESIDE: Final = re.compile(
    r"(?:\s|\\{1,4}n){0,80}+(?=[A-Za-z]{0,2}(?P<quote>\\{0,7}[\"'])(?P<letter>\w?))"
)
MAX_LITERALS: Final = 100  # beside each other; more are masked up to the text's end
_TUPLE: Final = re.compile(rf"\(\s{{0,80}}[A-Za-z]{{0,2}}{_QUOTE}")
_OF_TEXTS: Final = re.compile(rf"[\[({{]\s{{0,80}}[A-Za-z]{{0,2}}{_QUOTE}")
_COMPARISONS: Final = frozenset({"==", "!=", "===", "!=="})
_COLONS: Final = frozenset({":", "%3A", "%3a"})
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_REST_OF_LINE: Final = re.compile(r"(?:[^\r\n\\]|\\(?![rn]))++")
_BARE: Final = re.compile(r"[^\s&;,'\"<>]++")
_BARE_ENCODED: Final = re.compile(r"(?:[^\s&;,'\"<>%]|%(?!26|22|2[Cc]|7[Dd]))++")
_CODED: Final = re.compile(
    r"(?![\[(/])(?=[^\s,;:'\"<>]*\d)(?=[^\s,;:'\"<>]*[A-Za-z])"
    r"[^\s,;:'\"<>]{6,}+(?=[\s,;]|\Z)"
)
_OF_PATH: Final = "jsessionid"  # /cart;jsessionid=…?lang=de
_NUMBER: Final = re.compile(r"\d{3,10}+(?=[\s,;.)\]}]|\Z)(?!\.\d)")
_NUMBERS: Final = frozenset({"pin", "otp", "totp", "mfa", "cvv", "cvc", "passcode"})
_OPENED: Final = re.compile(r"[\w.]*+(?P<bracket>[\[({<])")
_ODBC: Final = re.compile(r"\{(?:[^{}]|\}\})*+\}")
_PIECES: Final = {
    opening: re.compile(
        rf"[{re.escape(opening + closing)}]|"
        r"(?P<escape>\\{1,7})(?P<quote>[\"'])(?s:.*?)(?:(?<!\\)(?P=escape)(?P=quote)|\Z)|"
        r"""'(?:[^'\\]|\\(?s:.))*+'?|"""
        r""""(?:[^"\\]|\\(?s:.))*+"?"""
    )
    for opening, closing in ("()", "[]", "{}", "<>")
}
# Placeholders and nothing at all are no secrets.
_HARMLESS: Final = re.compile(
    r"(?:none|null|nil|true|false|undefined|\.{3}|…|\*{1,80}|\?|%s|%\(\w{1,80}\)s|\$\d+|"
    r"\$\{\w{1,80}\}|\{\}|\x01\d{1,4}\x01|:\w{1,80}|@p\d*|<\w{1,80}>)(?=[\s&;,'\"<>)\]}.]|\Z)",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"\\{0,3}[\"']?(?:Bearer |Basic |Token )?(?:\x01\d{1,4}\x01|\{\}|%[sr]|\*{1,80})?\\{0,3}[\"']?"
)
_EMPTY: Final = frozenset({"''", '""', r"\"\"", r"\'\'"})
_PLAIN_WORD: Final = re.compile(r"[bu]?[\"'][a-z_]{1,40}[\"']")

_ELEMENT: Final = re.compile(r"<(?:[\w.-]{1,80}:)?(?P<key>[\w.-]++)\s[^<>]*+>")
_LABELLED: Final = re.compile(
    r"\b(?:name|key)\\{0,3}[\"']?\s{0,4}[=:]\s{0,4}\\{0,3}[\"']"
    r"(?P<key>[^\"'\\\r\n;]{1,100}+)\\{0,3}[\"']"
)
_BLANK_LINE: Final = re.compile(r"(?:\r?\n|\\{1,4}(?:r\\{1,4})?n){2}")
_PART_ENDS: Final = re.compile(r"\s{0,2}--|(?:\\{1,4}r)?\\{1,4}n--")
_VALUE_SIGN: Final = re.compile(r"value\\{0,3}[\"']?\s{0,4}[=:]\s{0,4}(?=\\{0,3}[\"'])")
# Of <entry key="password">text</entry>; what is shown to users has labels and buttons.
_TAG_ENDS: Final = re.compile(
    r"[^<>]{0,200}+(?<!/)>(?=(?P<text>[^<>]++)</(?!(?:a|button|label|legend|option|t[dh])\b))"
)
MAX_BETWEEN_CHARS: Final = 200  # from a label to its value

_OPTION: Final = re.compile(
    r"(?<![\w-])--(?P<key>[A-Za-z][\w-]*+)"
    r"(?:[\"'],\s{0,4}(?=[\"'])|[ ]{1,4}(?![a-z_-]+(?:[^\w-]|\Z)))"
)

Spans = Callable[[str, re.Match[str]], tuple[int, int]]


def mask_values(text: str, keys: Keys, effort: Effort) -> str:
    """Return a text in which the values given to sensitive names are masked."""
    if not keys.may_occur(text):
        return text
    text = _masked(text, keys, effort, ASSIGNMENT, _assigned)
    if "</" in text or "CDATA" in text:
        text = _masked(text, keys, effort, _ELEMENT, _element)
    if "name" in text or "key" in text:
        text = _masked(text, keys, effort, _LABELLED, _labelled)
    if "--" in text:
        text = _masked(text, keys, effort, _OPTION, _option)
    return text


def names_sensitive(text: str, match: re.Match[str], keys: Keys) -> bool:
    """Tell whether the name that was found is sensitive, without an escape that it begins with."""
    key = match["key"]
    if keys.is_sensitive(key):
        return True
    before = text[match.start("key") - 1 : match.start("key")]
    return (before == "%" and keys.is_sensitive(key[2:])) or (
        before == "\\" and keys.is_sensitive(key[1:])
    )


def value_end(text: str, start: int, *, key: str = "") -> int:
    """Return where a value ends, quoted or not, that is known to be a secret."""
    end = _quoted_end(text, start)
    return _bare_end(text, start, key=key) if end is None else end


def _quoted_end(text: str, start: int, *, is_argument: bool = False) -> int | None:
    """Return where a quoted value ends, or a tuple that begins with one; None if there is none.

    With the literals beside it, but for a command's argument, which others follow.
    """
    if _TUPLE.match(text, start):
        return _bracketed_end(text, start)
    quoted = _QUOTED.match(text, start)
    if quoted is None or is_argument:
        return quoted.end() if quoted else None
    opening = _OPENING.match(text, start)
    quote = opening["quote"] if opening else ""
    for _ in range(MAX_LITERALS):
        beside = _BESIDE.match(text, quoted.end())
        if beside is None or not (beside["letter"] or beside["quote"] == quote):
            return quoted.end()
        quoted = _QUOTED.match(text, beside.end()) or quoted
    return len(text)


def _assigned(text: str, match: re.Match[str]) -> tuple[int, int]:
    return match.end(), _assigned_end(text, match)


def _assigned_end(text: str, match: re.Match[str]) -> int:
    """Return where the value given by an ASSIGNMENT ends: at its start if it is no secret."""
    start, sign, closing = match.end(), match["sign"], match["closing"]
    if sign == ",":
        return _second_end(text, match)
    if sign == ">":
        return _element_end(text, match)
    end = _quoted_end(text, start, is_argument=match["key"].startswith("-"))
    if end is not None:
        return start if text[start:end] in _EMPTY or _FIELD.fullmatch(text, start, end) else end
    if sign in _COMPARISONS:
        return start
    if sign in _COLONS:
        if _is_header(text, match):
            end = _line_end(text, match)
            return start if _FIELD.fullmatch(text, start, end) else end
        if not closing:
            coded = _CODED.match(text, start) or _number(text, start, match["key"])
            return coded.end() if coded else start
    return _bare_end(text, start, key=match["key"], encoded=sign[0] == "%")


def _number(text: str, start: int, key: str) -> re.Match[str] | None:
    """Find a number that is the whole secret, as PINs and codes are."""
    return None if _NUMBERS.isdisjoint(words_of(key)) else _NUMBER.match(text, start)


def _masked(
    text: str, keys: Keys, effort: Effort, pattern: re.Pattern[str], span_of: Spans
) -> str:
    kept: list[str] = []
    done = 0
    effort.begin_pass()
    for match in pattern.finditer(text):
        if match.start() < done:
            continue
        is_sensitive = names_sensitive(text, match, keys)
        if not effort.spend(STEPS_OF_VALUE if is_sensitive else 1):
            return without_rest(kept, text, done, match.start())
        if not is_sensitive:
            continue
        start, end = span_of(text, match)
        if end > start:
            kept += (text[done:start], MASK, "\n" * text.count("\n", start, end))
            done = end
            if not effort.spend((end - start) // CHARS_PER_STEP):
                return without_rest(kept, text, done, done)
    kept.append(text[done:])
    return "".join(kept)


def _bare_end(text: str, start: int, *, key: str, encoded: bool = False) -> int:
    """Find the end of a value without quotes: a word, or a repr with its brackets."""
    if _HARMLESS.match(text, start):
        return start
    opened = _OPENED.match(text, start)
    if opened is not None:
        return _bracketed_end(text, opened.start("bracket"))
    bare = (_BARE_ENCODED if encoded else _BARE).match(text, start)
    word = bare.group().rstrip(")]}.,") if bare else ""
    if key.lower() == _OF_PATH:
        word = word.partition("?")[0]
    if word.endswith("." + key.rpartition(".")[2]):  # ON a.token = b.token
        return start
    return start + len(word)


def _bracketed_end(text: str, start: int) -> int:
    """Find the bracket that closes the one at `start`, past others and quoted ones."""
    odbc = _ODBC.match(text, start)
    if odbc is not None:
        return odbc.end()
    opening = text[start]
    depth = 0
    for number, piece in enumerate(_PIECES[opening].finditer(text, start)):
        sign = piece.group()
        if number >= MAX_PIECES:
            break
        if sign == opening:
            depth += 1
        elif len(sign) == 1 and sign not in "\"'":
            depth -= 1
            if depth == 0:
                return piece.end()
    return len(text)


def _is_header(text: str, match: re.Match[str]) -> bool:
    """Tell whether this is a header: a well-known one, or a name with dashes at a line's start."""
    if match["closing"]:
        return False
    key, before = match["key"], text[max(match.start() - 2, 0) : match.start()]
    at_start = before == "" or before[-1] in "\n\"'" or before == "\\n"
    name = key[1:] if before.endswith("\\") else key
    return name.lower() in _HEADERS or ("-" in name and (at_start or name != key))


def _line_end(text: str, match: re.Match[str]) -> int:
    """Find the end of a header: of its line, or the quote that closes what stands before it."""
    rest = _REST_OF_LINE.match(text, match.end())
    end = rest.end() if rest else match.end()
    before = text[match.start() - 1 : match.start()]
    if before in ("'", '"'):
        closed = text.find(before, match.end(), end)
        return end if closed < 0 else closed
    return end


def _second_end(text: str, match: re.Match[str]) -> int:
    """Find the end of the second element of ("name", "value") or ["name", "value"]."""
    start = match.end()
    opening = text[max(match.start() - 10, 0) : match.start()].rstrip("\\")[:-1].rstrip("\\bu")
    if match["closing"][-1:] not in ("'", '"') or opening[-1:] not in ("(", "["):
        return start
    end = _quoted_end(text, start)
    if end is None and opening.endswith("(") and _OF_TEXTS.match(text, start):
        end = _bracketed_end(text, start)
    if end is None or text[end : end + 1] not in ("", ")", "]"):
        return start
    if opening.endswith("[") and _PLAIN_WORD.fullmatch(text, start, end):
        return start  # a list of names
    return end


def _element_end(text: str, match: re.Match[str]) -> int:
    """Find the end of <name>value</name>."""
    start = match.end()
    before = text[max(match.start() - 32, 0) : match.start()]
    tag = before.rpartition("<")[2]
    if "<" not in before or (tag and not tag.endswith(":")) or "/" in tag:
        return start
    return _content_end(text, start)


def _content_end(text: str, start: int) -> int:
    """Find where an element ends that holds text alone."""
    if text.startswith("<![CDATA[", start):
        end = text.find("]]>", start)
        return len(text) if end < 0 else end + len("]]>")
    end = text.find("<", start)
    if end < 0 and not any(sign.isspace() for sign in text[start:]):
        return len(text)
    return end if text[end : end + 2] == "</" else start


def _element(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Find the text of <name attribute="…">text</name>."""
    start = match.end()
    return start, start if text[start - 2] == "/" else _content_end(text, start)


def _labelled(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Find what belongs to name="…": the value="…" beside it, or that part of a form."""
    at, until = match.end(), match.end() + MAX_BETWEEN_CHARS
    sign = _VALUE_SIGN.match(text, text.find("value", at, until))
    if sign is not None and not re.search("[<>{}]", text[at : sign.start()]):
        return sign.end(), value_end(text, sign.end())
    tag = _TAG_ENDS.match(text, at)
    if tag is not None:
        return tag.end(), tag.end() + len(tag["text"])
    ends_line = text.find("\n", at, until) >= 0 or text.find("\\", at, until) >= 0
    blank = _BLANK_LINE.search(text, at, until) if ends_line else None
    if blank is None:
        return at, at
    ends = _PART_ENDS.search(text, blank.end())
    return blank.end(), ends.start() if ends else len(text)


def _option(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Find the value after --name."""
    start = match.end()
    end = _quoted_end(text, start, is_argument=True)
    return start, _bare_end(text, start, key=match["key"]) if end is None else end
