"""Scrubbing: secrets are masked before anything is written, harmless text is left alone.

Keys are judged by their words (`sensitive`), texts by forms of which each is sure
(`secret_forms`) and by the values given to sensitive names (`assigned`). Every function takes
linear time and raises nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchkeeper.core.assigned import mask_values
from watchkeeper.core.command_forms import is_secret_argument
from watchkeeper.core.copying import (
    MAX_BREADTH,
    MAX_DEPTH,
    MAX_SCRUBBED_CHARS,
    clean,
    cut,
    plain,
)
from watchkeeper.core.effort import Effort
from watchkeeper.core.form import CUT, MASK, Form, masked
from watchkeeper.core.literals import mask_literals
from watchkeeper.core.refused import is_refused_secret, mask_refused
from watchkeeper.core.secret_forms import FORMS
from watchkeeper.core.sensitive import DEFAULT_KEYS, MAX_KEY_CHARS, Keys, is_sensitive, words_of
from watchkeeper.exceptions import ConfigurationError

MAX_TEXT_CHARS: Final = 2_000
MAX_LINE_CHARS: Final = 300  # of a line of source; a longer one was not written by hand
_LOOKED_AT: Final = 5  # times the limit: masks are shorter than secrets
_MIN_LOOKED_AT: Final = 2_048
_MARGIN: Final = 256  # what the end of a text that was cut before may hold of a secret

_LONGEST_NAME: Final = 16  # of a key that is surely no secret itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is masked: the values under `keys`, and texts of these forms."""

    keys: Keys = DEFAULT_KEYS
    forms: tuple[Form, ...] = FORMS

    @classmethod
    def made_of(
        cls, *, keys: Sequence[str] = (), exempt: Sequence[str] = (), values: Sequence[str] = ()
    ) -> "Rules":
        """Return the usual rules with what the settings of these names (`scrub_…`) add.

        Raises ConfigurationError for what is no key or no kind of value.
        """
        if not (keys or exempt or values):
            return DEFAULT_RULES
        for setting, given in (("scrub_keys", keys), ("scrub_exempt", exempt)):
            for key in _texts(given, setting):
                if not words_of(key):
                    raise ConfigurationError(f"{setting}: {key!r} holds no word; write a key")
        kinds = _texts(values, "scrub_values")
        return cls(
            keys=DEFAULT_KEYS.extended(added=keys, exempt=exempt),
            forms=FORMS + tuple(_personal(kind) for kind in kinds),
        )


DEFAULT_RULES: Final = Rules()


def scrub(value: object, *, rules: Rules = DEFAULT_RULES) -> Any:
    """Return a JSON-like value with everything secret masked, cut to the caps.

    Mappings and two-element [key, value] pairs are judged by key, texts by form. What is not
    JSON becomes the name of its type; at most MAX_DEPTH levels of MAX_BREADTH elements.
    """
    return _mask(plain(value), rules, Effort())


def scrub_text(text: str, *, limit: int = MAX_TEXT_CHARS, rules: Rules = DEFAULT_RULES) -> str:
    """Return a text with its secrets masked, then cut to `limit` characters.

    Of a long text only the first MAX_SCRUBBED_CHARS, and no more than five times the limit, are
    looked at, and nothing behind them is kept.
    """
    return _text(text, limit, rules, Effort())


def scrub_source(source: str, *, rules: Rules = DEFAULT_RULES) -> str:
    """Return source code in which literals given to sensitive names are masked.

    The number of lines stays the same, each cut to MAX_LINE_CHARS; expressions stay as they are.
    """
    lines = source.split("\n")
    source = "\n".join(line[:MAX_LINE_CHARS] for line in lines)[:MAX_SCRUBBED_CHARS]
    effort = Effort()
    source = masked(source, rules.forms, effort, keeping_lines=True)
    return clean(mask_literals(source, rules.keys, effort))


def _text(text: str, limit: int, rules: Rules, effort: Effort) -> str:
    looked_at = min(MAX_SCRUBBED_CHARS, max(_LOOKED_AT * limit, _MIN_LOOKED_AT))
    is_cut = len(text) > looked_at
    text = masked(text[:looked_at], rules.forms, effort)
    text = mask_values(mask_refused(text, rules.keys, effort), rules.keys, effort)
    if is_cut and len(text) < limit + _MARGIN:
        text = text[: max(len(text) - _MARGIN, 0)] + CUT
    return cut(clean(text), limit)


def _mask(value: Any, rules: Rules, effort: Effort) -> Any:
    """Mask a copy: it holds plain values of bounded depth only."""
    if isinstance(value, str):
        return _text(value, MAX_TEXT_CHARS, rules, effort)
    if isinstance(value, dict):
        secret = _described_secret(value, rules.keys)
        return {
            _masked_key(key, rules, effort): MASK
            if (secret and key == secret) or rules.keys.is_sensitive(key)
            else _mask(inner, rules, effort)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and rules.keys.is_sensitive(value[0]):
            return [value[0], MASK]
        return [
            MASK
            if is_secret_argument(value, at, rules.keys, effort)
            else _mask(inner, rules, effort)
            for at, inner in enumerate(value)
        ]
    return value


def _described_secret(value: dict[str, Any], keys: Keys) -> str:
    """Return the key of what another one's value calls a secret: {"name": "pin", "value": …}."""
    names_value = any(
        isinstance(value.get(label), str) and keys.is_sensitive(value[label])
        for label in ("name", "key")
    )
    if names_value:
        return "value"
    return "input" if is_refused_secret(value, keys) else ""


def _masked_key(key: str, rules: Rules, effort: Effort) -> str:
    is_name = len(key) <= _LONGEST_NAME and key.isidentifier()
    return key if is_name else _text(key, MAX_KEY_CHARS, rules, effort)


def _texts(given: Sequence[str], setting: str) -> Sequence[str]:
    if isinstance(given, str):
        raise ConfigurationError(f'{setting}: write a list: ["{given}"]')
    for one in given:
        if not isinstance(one, str):
            raise ConfigurationError(f"{setting}: {one!r} is not a text")
    return given


def _personal(kind: str) -> Form:
    from watchkeeper.core.personal_forms import PERSONAL  # only for who asks for them

    if kind not in PERSONAL:
        known = ", ".join(PERSONAL)
        raise ConfigurationError(f"scrub_values: {kind!r} is not known; write some of {known}")
    return PERSONAL[kind]


__all__ = [
    "CUT",
    "DEFAULT_KEYS",
    "DEFAULT_RULES",
    "MASK",
    "MAX_BREADTH",
    "MAX_DEPTH",
    "MAX_KEY_CHARS",
    "MAX_LINE_CHARS",
    "MAX_SCRUBBED_CHARS",
    "MAX_TEXT_CHARS",
    "Keys",
    "Rules",
    "clean",
    "cut",
    "is_sensitive",
    "plain",
    "scrub",
    "scrub_source",
    "scrub_text",
    "words_of",
]
