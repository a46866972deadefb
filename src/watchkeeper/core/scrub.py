"""Scrubbing: secrets are masked before anything is written, harmless text is left alone.

Keys are judged by their words; texts by patterns of which each is sure. Every function takes
linear time (no nested quantifiers; texts are cut to 64 kB first) and raises nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from math import isfinite
from typing import Any, Final

MASK: Final = "[masked]"
CUT: Final = "…"
MAX_SCRUBBED_CHARS: Final = 64 * 1024  # of one text or value; the rest is dropped, not kept raw
MAX_TEXT_CHARS: Final = 2_000
MAX_KEY_CHARS: Final = 200
MAX_DEPTH: Final = 5
MAX_BREADTH: Final = 50
_ELEMENT_CHARS: Final = 16  # what an element costs of MAX_SCRUBBED_CHARS beside its text
_MAX_INT_BITS: Final = 63  # what every database and JSON reader takes

_WORD_LIST: Final = """
    password passwd passphrase pwd pass secret token credential auth authorization cookie session
    sessionid sid csrf csrftoken xsrf apikey privatekey signature otp pin cvv cvc ssn iban jwt dsn
"""
_PAIR_LIST: Final = """
    api+key private+key secret+key access+key encryption+key signing+key two+factor card+number
    credit+card security+code forwarded+for real+ip remote+addr ip+address password+hash
"""
_EXEMPT_LIST: Final = """
    token_count max_tokens token_type auth_method auth_type session_count active_sessions
    prompt_tokens completion_tokens input_tokens output_tokens total_tokens
"""
_WORDS: Final = frozenset(_WORD_LIST.split())
_PAIRS: Final = frozenset(tuple(pair.split("+")) for pair in _PAIR_LIST.split())
_EXEMPT: Final = frozenset(_EXEMPT_LIST.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Which keys hide their values: by a word, by two words in a row; and which never do.

    All in lower case; exempt keys are whole ones with "_" between their words. A word stands for
    its plural and a pair for its two words written as one too.
    """

    words: frozenset[str] = _WORDS
    pairs: frozenset[tuple[str, ...]] = _PAIRS
    exempt: frozenset[str] = _EXEMPT


DEFAULT_KEYS: Final = Keys()

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


def words_of(key: str) -> list[str]:
    """Split a key at "_", "-", ".", space and camelCase into words of lower case."""
    return [word.lower() for word in _WORD.findall(key[:MAX_KEY_CHARS])]


def is_sensitive(key: str, keys: Keys = DEFAULT_KEYS) -> bool:
    """Tell whether the value under a key is masked whatever it is."""
    words = words_of(key)
    if "_".join(words) in keys.exempt:
        return False
    if not _whole_words(keys).isdisjoint(words):
        return True
    return any(pair in keys.pairs for pair in pairwise(words))


def scrub(value: object, *, keys: Keys = DEFAULT_KEYS) -> Any:
    """Return a JSON-like value with everything secret masked, cut to the caps.

    Mappings and two-element [key, value] pairs are judged by key, texts by pattern. What is not
    JSON becomes the name of its type; at most MAX_DEPTH levels of MAX_BREADTH elements.
    """
    return _mask(_Copier().copy(value, MAX_DEPTH), keys)


def plain(value: object) -> Any:
    """Return a copy of a JSON-like value, bounded but not scrubbed, that holds nothing alive."""
    return _Copier().copy(value, MAX_DEPTH)


def scrub_text(text: str, *, limit: int = MAX_TEXT_CHARS, keys: Keys = DEFAULT_KEYS) -> str:
    """Return a text with its secrets masked, then cut to `limit` characters."""
    text = text[:MAX_SCRUBBED_CHARS]
    if _is_suspicious(text, keys):
        for pattern, replacement in _VALUES:
            text = pattern.sub(replacement, text)
        text = _mask_assigned(text, keys, _assigned_value)
    return cut(clean(text), limit)


def scrub_source(source: str, *, keys: Keys = DEFAULT_KEYS) -> str:
    """Return source code in which literals assigned to sensitive names are masked.

    The number of lines stays the same; expressions stay as they are.
    """
    source = source[:MAX_SCRUBBED_CHARS]
    if _is_suspicious(source, keys):
        for pattern, replacement in _VALUES:
            source = pattern.sub(_keeping_lines(replacement), source)
        source = _mask_assigned(source, keys, _assigned_literal)
    return clean(source)


def clean(text: str) -> str:
    """Replace what UTF-8 or a database does not take: lone surrogates and NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the last one telling that something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


@lru_cache(maxsize=16)
def _whole_words(keys: Keys) -> frozenset[str]:
    plurals = {word + "s" for word in keys.words}
    return keys.words | plurals | {"".join(pair) for pair in keys.pairs}


class _Copier:
    """Copies one value by the built-in types' own methods, until MAX_SCRUBBED_CHARS are spent.

    A subclass's overridden methods are never run.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_SCRUBBED_CHARS

    def copy(self, value: object, depth: int) -> Any:
        """Return a plain value; everything costs, so that many small ones end too."""
        self.left -= _ELEMENT_CHARS
        if value is None or value is True or value is False:
            return value
        if self.left <= 0:
            return CUT
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, bytes):
            start = bytes.__getitem__(value, slice(max(self.left, 1)))
            return self._text(bytes.decode(start, "utf-8", "replace"))
        if isinstance(value, (int, float)):
            return _number(value)
        return self._container(value, depth) if depth > 0 else f"({type(value).__name__})"

    def _text(self, text: str) -> str:
        kept = text[: self.left]
        self.left -= len(kept)
        return kept

    def _container(self, value: object, depth: int) -> Any:
        if isinstance(value, dict):
            items = tuple(islice(dict.items(value), MAX_BREADTH))
            copied = {self._key(key): self.copy(inner, depth - 1) for key, inner in items}
            missing = dict.__len__(value) - len(items)
            return copied | {CUT: f"{missing} more"} if missing > 0 else copied
        elements, length = _elements(value)
        if elements is None:
            return f"({type(value).__name__})"
        inner = [self.copy(one, depth - 1) for one in tuple(islice(elements, MAX_BREADTH))]
        return [*inner, f"{CUT} {length - len(inner)} more"] if length > len(inner) else inner

    def _key(self, key: object) -> str:
        copied = self.copy(key, 0)
        return clean(copied if isinstance(copied, str) else str(copied))[:MAX_KEY_CHARS]


def _number(value: int | float) -> Any:
    if isinstance(value, int):
        number = int.__index__(value)
        return number if number.bit_length() <= _MAX_INT_BITS else f"({number.bit_length()} bits)"
    number_f = float.__float__(value)
    return number_f if isfinite(number_f) else float.__repr__(number_f)


def _elements(value: object) -> tuple[Iterator[object] | None, int]:
    if isinstance(value, list):
        return list.__iter__(value), list.__len__(value)
    if isinstance(value, tuple):
        return tuple.__iter__(value), tuple.__len__(value)
    if isinstance(value, set):
        return set.__iter__(value), set.__len__(value)
    if isinstance(value, frozenset):
        return frozenset.__iter__(value), frozenset.__len__(value)
    return None, 0


def _mask(value: Any, keys: Keys) -> Any:
    """Mask a copy: it holds plain values of bounded depth only."""
    if isinstance(value, str):
        return scrub_text(value, keys=keys)
    if isinstance(value, dict):
        return {
            key: MASK if is_sensitive(key, keys) else _mask(inner, keys)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and is_sensitive(value[0], keys):
            return [value[0], MASK]
        return [_mask(inner, keys) for inner in value]
    return value


# ── secrets within texts ────────────────────────────────────────────────────────────────────────

Replacement = Callable[[re.Match[str]], str]

_SCHEME_WORDS: Final = frozenset(
    {"auth", "authentication", "authorization", "error", "header", "realm", "scheme", "token"}
)
_MIN_CODED_CHARS: Final = 8  # "Basic plan2" is no secret


def _url_password(match: re.Match[str]) -> str:
    return f"{match['user']}:{MASK}@"


def _scheme_value(match: re.Match[str]) -> str:
    """Mask the credentials of an HTTP scheme unless they read like an English word."""
    value = match["value"]
    if match["scheme"].lower() == "bearer":
        secret = value.rstrip(".,:;").lower() not in _SCHEME_WORDS
    else:
        mixed = value != value.lower() and value[1:] != value[1:].lower()
        coded = mixed or any(character.isdigit() or character in "+/=" for character in value)
        secret = coded and len(value) >= _MIN_CODED_CHARS
    return f"{match['scheme']}{match['gap']}{MASK}" if secret else match.group()


def _all(match: re.Match[str]) -> str:
    return MASK


_VALUES: Final[tuple[tuple[re.Pattern[str], Replacement], ...]] = (
    # PEM private key, also cut off at its end
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
            r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"
        ),
        _all,
    ),
    # JSON Web Token: two or three base64url runs
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*)?", re.ASCII), _all),
    # keys that tell their maker by a prefix
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), _all),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|sk_live_|rk_live_|AIza)"
            r"[A-Za-z0-9_-]{12,}"
        ),
        _all,
    ),
    # user:password@ in a URL: the user stays
    (re.compile(r"(?<=://)(?P<user>[^\s/:@]{0,256}):[^\s/?#]{1,256}@"), _url_password),
    (
        re.compile(r"(?P<scheme>\bDigest)(?P<gap>\s{1,4})(?P<value>\w{1,40}=[^\r\n]*)"),
        _scheme_value,
    ),
    (
        re.compile(
            r"(?P<scheme>\b(?:Bearer|Basic|Token))(?P<gap>\s{1,4}|%20|\+)"
            r"(?P<value>[A-Za-z0-9+/=._~-]{4,})",
            re.IGNORECASE,
        ),
        _scheme_value,
    ),
)

_STEMS: Final = sorted({word[:4] for word in _WORDS} | {pair[0][:4] for pair in _PAIRS})
_MARKS: Final = (
    *_STEMS,
    *("://", "eyj", "-----begin", "akia", "asia", "aiza", "bearer", "basic", "digest"),
    *(
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "sk_live",
        "rk_live",
    ),
)
"""Most texts hold nothing of the kind and are through after these fast looks."""


def _is_suspicious(text: str, keys: Keys) -> bool:
    if keys is not DEFAULT_KEYS:
        return True
    lowered = text.lower()
    return any(mark in lowered for mark in _MARKS)


# A name and the sign that gives it a value; who judges the name then looks for the value itself.
_ASSIGNMENT: Final = re.compile(
    r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2}))(?P<key>[A-Za-z_][\w.-]{0,80})"
    r"\\{0,3}[\"']?\]?\s{0,4}"
    r"(?P<sign>:=|=(?!=)|%3D|:(?!=))\s{0,4}"
)
_ANNOTATED: Final = re.compile(r"[\w.\[\]|, ]{1,60}=\s{0,4}")  # what follows "name:" in source
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_QUOTED: Final = re.compile(
    r"\(?\s{0,20}[A-Za-z]{0,2}(?:"
    r'"""(?s:.*?)(?:"""|\Z)|' + r"'''(?s:.*?)(?:'''|\Z)|"
    r'(?P<escape>\\{1,3})["\'][^"\']*(?:["\']|\Z)|'
    r'"(?:[^"\\]|\\(?s:.))*(?:"|\\?\Z)|'
    r"'(?:[^'\\]|\\(?s:.))*(?:'|\\?\Z))"
)
_REST_OF_LINE: Final = re.compile(r"[^\r\n]+")
_BRACED: Final = re.compile(r"\{[^}]*\}?")
_BARE: Final = re.compile(r"(?:(?!%26)[^\s&;,'\"<>])+")
_HARMLESS: Final = frozenset({"none", "null", "true", "false", "undefined"})


def _mask_assigned(text: str, keys: Keys, value_of: Callable[[str, re.Match[str]], int]) -> str:
    """Mask the values given to sensitive names; `value_of` says where a value ends."""
    kept: list[str] = []
    done = at = 0
    while (match := _ASSIGNMENT.search(text, at)) is not None:
        at = match.end()
        if not is_sensitive(match["key"], keys):
            continue
        end = value_of(text, match)
        if end > at:
            kept += (text[done:at], MASK, "\n" * text.count("\n", at, end))
            done = at = end
    kept.append(text[done:])
    return "".join(kept)


def _assigned_value(text: str, match: re.Match[str]) -> int:
    """Find the end of a value in a message: query string, DSN, JSON, repr, header."""
    start = match.end()
    quoted = _QUOTED.match(text, start)
    if quoted is not None:
        return quoted.end()
    if match["sign"] == ":":
        rest = _REST_OF_LINE.match(text, start) if match["key"].lower() in _HEADERS else None
        return rest.end() if rest else start
    bare = _BRACED.match(text, start) or _BARE.match(text, start)
    if bare is None or bare.group().rstrip(")]}.").lower() in _HARMLESS or MASK in bare.group():
        return start
    return bare.end()


def _assigned_literal(text: str, match: re.Match[str]) -> int:
    """Find the end of the string literals in source, past an annotation, adjacent ones too."""
    start = end = match.end()
    if match["sign"] == ":":
        annotated = _ANNOTATED.match(text, start)
        end = annotated.end() if annotated else end
    found = start
    while (quoted := _QUOTED.match(text, end)) is not None:
        found = end = quoted.end()
    return found


def _keeping_lines(replacement: Replacement) -> Replacement:
    def replace(match: re.Match[str]) -> str:
        return replacement(match) + "\n" * match.group().count("\n")

    return replace
