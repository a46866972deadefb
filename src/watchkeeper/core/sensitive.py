"""Sensitive keys: names whose values are masked, told by their words."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_KEY_CHARS: Final = 200
MAX_JUDGED: Final = 4_096  # keys whose verdict is remembered

_WORD_LIST: Final = """
    password passwd passphrase passcode pwd pswd pass pw secret token credential auth authorization
    cookie session sessionid sid csrf csrftoken xsrf apikey privatekey signature otp totp pin
    cvv cvc ssn iban jwt dsn mfa mnemonic passwort kennwort contrasena
"""
_PAIR_LIST: Final = """
    api+key private+key secret+key access+key account+key master+key encryption+key signing+key
    ssh+key two+factor card+number credit+card security+code recovery+code backup+code
    forwarded+for real+ip client+ip connecting+ip remote+ip remote+addr remote+address
    client+addr client+address ip+address password+hash license+key licence+key seed+phrase
    mot+de+passe
"""
_EXEMPT_LIST: Final = """
    token_count max_tokens token_type auth_method auth_type session_count active_sessions
    prompt_tokens completion_tokens input_tokens output_tokens total_tokens token_limit
    tokens_used token_usage auth_provider auth_backend cookie_consent session_duration
    password_length password_min_length password_changed_at shared_access_key_name
    mfa_enabled mfa_required mfa_method mfa_type
"""
# No harmless word ends so: PGPASSWORD, clientsecret, authtoken, stripeapikey.
_ENDINGS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "passwort",
    "sessionid",
    "sessid",
)

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
# Letters of other scripts that look like Latin ones, beside those that Unicode itself folds.
_LOOKALIKES: Final = str.maketrans(
    "аеорсухіѕјкмтвнгԁɡԛԝοανρικτυχ\u0131",  # the very point
    "aeopcyxisjkmtbhrdgqwoavpiktuxi",
)


def holds_any(text: str, marks: Iterable[str]) -> bool:
    """Tell whether one of the marks is in a text; looking for single signs first is faster."""
    for mark in marks:  # noqa: SIM110  # a generator costs more than most looks
        if mark[-1] in text and mark[0] in text and mark in text:
            return True
    return False


def _holds(word: str, others: Iterable[str]) -> bool:
    """Tell whether another word is a part of this one, so that finding that one is enough."""
    return any(other in word and other != word for other in others)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keys:
    """Which keys hide their values: by a word, by some words in a row; and which never do.

    All in lower case; exempt keys are whole ones with "_" between their words. A word stands for
    its plural and a pair for its words written as one too.
    """

    words: frozenset[str] = frozenset(_WORD_LIST.split())
    pairs: frozenset[tuple[str, ...]] = frozenset(
        tuple(pair.split("+")) for pair in _PAIR_LIST.split()
    )
    exempt: frozenset[str] = frozenset(_EXEMPT_LIST.split())
    _whole: frozenset[str] = field(init=False, repr=False)
    _marks: tuple[str, ...] = field(init=False, repr=False)
    _may_hold: re.Pattern[str] = field(init=False, repr=False)
    _judged: dict[str, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out what every look needs."""
        whole = self.words | {"".join(pair) for pair in self.pairs}
        marks = {*self.words, *_ENDINGS, *(max(pair, key=len) for pair in self.pairs)}
        object.__setattr__(self, "_whole", whole | {word + "s" for word in whole})
        shortest = tuple(sorted(mark for mark in marks if not _holds(mark, marks)))
        object.__setattr__(self, "_marks", shortest)
        object.__setattr__(self, "_may_hold", re.compile("|".join(map(re.escape, shortest))))
        object.__setattr__(self, "_judged", {})

    def extended(self, *, added: Iterable[str] = (), exempt: Iterable[str] = ()) -> "Keys":
        """Return these keys with more that are masked, and more that never are.

        Each is written as a key is: one word masks every key that holds it, several those that
        hold them in a row; an exempt key is a whole one. Who exempts what is masked otherwise
        gets to see it.
        """
        rows = [tuple(words_of(key)) for key in added]
        return Keys(
            words=self.words | {row[0] for row in rows if len(row) == 1},
            pairs=self.pairs | {row for row in rows if len(row) > 1},
            exempt=self.exempt | {"_".join(words_of(key)) for key in exempt},
        )

    def is_sensitive(self, key: str) -> bool:
        """Tell whether the value under a key is masked whatever it is."""
        known = self._judged.get(key)
        if known is None:
            if key.isascii() and self._may_hold.search(key.lower()) is None:
                return False
            known = self._judge(words_of(key))
            if len(self._judged) >= MAX_JUDGED:
                self._judged.clear()
            if len(key) <= MAX_KEY_CHARS:
                self._judged[key] = known
        return known

    def may_occur(self, text: str) -> bool:
        """Tell whether a text may name a sensitive key: a fast look that most texts fail."""
        if not text.isascii():
            return True
        lowered = text.lower()
        if len(text) <= MAX_KEY_CHARS:
            return self._may_hold.search(lowered) is not None
        return holds_any(lowered, self._marks)

    def _judge(self, words: list[str]) -> bool:
        if "_".join(words) in self.exempt:
            return False
        if not self._whole.isdisjoint(words):
            return True
        if any(word.removesuffix("s").endswith(_ENDINGS) for word in words):
            return True
        return any(
            tuple(words[at : at + length]) in self.pairs
            for length in {len(pair) for pair in self.pairs}
            for at in range(len(words) - length + 1)
        )


DEFAULT_KEYS: Final = Keys()


def words_of(key: str) -> list[str]:
    """Split a key at "_", "-", ".", space, digits and camelCase into words of lower case.

    Letters that look like Latin ones count as such; of a long key both ends are looked at.
    """
    if len(key) > 2 * MAX_KEY_CHARS:
        key = f"{key[:MAX_KEY_CHARS]} {key[-MAX_KEY_CHARS:]}"
    if not key.isascii():
        key = _latin(key)
    return [word.lower() for word in _WORD.findall(key)]


def is_sensitive(key: str, keys: Keys = DEFAULT_KEYS) -> bool:
    """Tell whether the value under a key is masked whatever it is."""
    return keys.is_sensitive(key)


def shortened(key: str) -> str:
    """Return a key of at most MAX_KEY_CHARS with both its ends, where its words are told."""
    if len(key) <= MAX_KEY_CHARS:
        return key
    return key[: MAX_KEY_CHARS // 2] + "…" + key[1 - MAX_KEY_CHARS // 2 :]


def _latin(key: str) -> str:
    """Fold full-width and accented letters, drop invisible signs, replace look-alikes."""
    folded = unicodedata.normalize("NFKD", key)
    visible = "".join(
        sign for sign in folded if unicodedata.category(sign) not in ("Mn", "Cf", "Cc")
    )
    return "".join(_look(sign) for sign in visible)


def _look(sign: str) -> str:
    latin = sign.lower().translate(_LOOKALIKES)
    return latin.upper() if sign.isupper() else latin
