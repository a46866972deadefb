"""Secrets that tell themselves by their form, wherever they stand in a text.

Every pattern takes linear time: a run of signs is looked at once (possessive quantifiers, and a
look behind that lets nothing begin within a run), and what is unbounded ends where the next one
may begin.
"""

import re
from typing import Final

from watchkeeper.core.card_numbers import CARD
from watchkeeper.core.command_forms import COMMAND_FORMS
from watchkeeper.core.database_forms import DATABASE_FORMS
from watchkeeper.core.form import MASK, Form, after_start, between, whole

# Before these words "bearer" names no credential.
_WORD_LIST: Final = """
    auth authentication authorization bond bonds error errors expired header invalid missing
    realm required scheme share shares shall that token tokens type with
"""
_SCHEME_WORDS: Final = frozenset(_WORD_LIST.split())
_MIN_CODED_CHARS: Final = 8  # "Basic plan2" is no secret


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


# Lengths by country (the registry of ISO 13616), so that what follows is no part of the number.
_IBAN_LIST: Final = """
    NO15 BE16 DK18 FI18 FO18 GL18 NL18 SD18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 MN20 XK20 CH21
    CR22 HR21 LI21 LV21 BG22 BH22 DE22 GB22 GE22 IE22 ME22 RS22 VA22 AE23 GI23 IL23 IQ23 OM23 SO23
    TL23 AD24 CZ24 ES24 MD24 PK24 RO24 SA24 SE24 SK24 TN24 VG24 LY25 PT25 ST25 IS26 TR26 FR27 GR27
    IT27 MC27 MR27 SM27 BI27 DJ27 AL28 AZ28 BY28 CY28 DO28 GT28 HU28 LB28 NI28 PL28 SV28 BR29 EG29
    PS29 QA29 UA29 JO30 KW30 MU30 MT31 SC31 LC32 RU33
"""
_IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _IBAN_LIST.split()}


def _iban(match: re.Match[str]) -> str:
    text = match.group()
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    end = seen = 0
    for end, sign in enumerate(text, 1):  # noqa: B007  # where the number ends
        seen += sign not in " -"
        if seen == length:
            break
    compact = text[:end].replace(" ", "").replace("-", "").upper()
    if len(compact) != length or text[end : end + 1].isalnum():
        return text
    moved = compact[4:] + compact[:4]
    number = int("".join(str(int(sign, 36)) for sign in moved))
    return MASK + text[end:] if number % 97 == 1 else text


_PREFIX_LIST: Final = """
    gh[pousr]_ github_pat_ gl(?:pat|rt|dt|ptt|ft|soat|cbt|agent|imt)- xox[a-z]- xapp-
    [sr]k_live_ [sr]k_test_ whsec_ sk- AIza GOCSPX- ya29\\. hv[sbr]\\. do[op]_v1_
    shp(?:at|ca|pa|ss)_ dckr_pat_ sntrys_ glsa_ rubygems_ lin_api_ figd_ AGE-SECRET-KEY-
    PMAK- atlasv1\\. dapi(?=[0-9a-f]{12})
"""
_PREFIXES: Final = "|".join(_PREFIX_LIST.split())
_PREFIX_MARK_LIST: Final = """
    ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glrt- gldt- glptt- glft- glsoat- glcbt- glagent-
    glimt- xox xapp- k_live_ k_test_ whsec_ sk- aiza gocspx- ya29. hvs. hvb. hvr. _v1_ shpat_
    shpca_ shppa_ shpss_ dckr_pat_ sntrys_ glsa_ rubygems_ lin_api_ figd_ age-secret-key- pmak-
    atlasv1. dapi
"""

FORMS: Final = (
    Form(  # PEM private key, also cut off at its end
        hint=("private key",),
        pattern=re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
            r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"
        ),
        replacement=whole,
    ),
    Form(  # JSON Web Token: two or three base64url runs, five where it is encrypted
        hint=("eyj",),
        pattern=re.compile(
            r"(?<![A-Za-z0-9_-])eyJ[\w-]{5,}+\.[\w-]*+(?:\.[\w-]*+){0,3}", re.ASCII
        ),
        replacement=whole,
    ),
    Form(
        hint=("akia", "asia"),
        pattern=re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        replacement=whole,
    ),
    Form(  # keys that tell their maker by a prefix
        hint=tuple(_PREFIX_MARK_LIST.split()),
        pattern=re.compile(rf"(?<![A-Za-z0-9])(?:{_PREFIXES})[A-Za-z0-9_-]{{12,}}+"),
        replacement=whole,
    ),
    Form(  # longer ones, since their prefix may begin a name: SendGrid, PyPI, npm, Hugging Face
        hint=("sg.", "pypi-", "npm_", "hf_"),
        pattern=re.compile(
            r"(?<![A-Za-z0-9])(?:SG\.[\w-]{16,}+\.[\w-]{16,}+|pypi-[\w-]{32,}+|"
            r"(?:npm|hf)_[A-Za-z0-9]{30,}+)",
            re.ASCII,
        ),
        replacement=whole,
    ),
    Form(  # a password's hash: bcrypt, Argon2, crypt, Django's, Werkzeug's, passlib's
        hint=("$2", "$argon2", "pbkdf2", "scrypt", "$5$", "$6$", "$y$"),
        pattern=re.compile(
            r"\$2[abxy]\$\d\d\$[A-Za-z0-9./]{53}|\$argon2(?:id?|d)\$[\w=,]{1,20}\$[\w=,]{1,60}\$"
            r"[A-Za-z0-9+/$=]{16,}+|(?<!\w)pbkdf2[_:]\w{1,10}(?::\d{1,9}|(?=\$\d))"
            r"(?:\$\d{1,9})?+\$[^\s$\"']{1,80}\$[A-Za-z0-9+/=]{16,}+|"
            r"(?:(?<!\w)scrypt[:$]\d[\d:$]{1,40}|\$[56y]\$)[A-Za-z0-9./=,$]{24,}+",
            re.ASCII,
        ),
        replacement=whole,
    ),
    Form(  # the path of a webhook is its password
        hint=("//hooks.", "/api/webhooks/", "telegram.org/bot"),
        pattern=re.compile(
            r"(?P<start>//hooks\.[\w.-]{1,200}+(?::\d{1,5})?/|/api/webhooks/|"
            r"//api\.telegram\.org/bot)[^\s\"'<>?#\\)]++"
        ),
        replacement=after_start,
    ),
    Form(  # user:password@ in a URL: the user stays; a password may hold "@", and "/" if no port
        hint=("://",),
        pattern=re.compile(
            r"(?P<start>://[^\s/:@\[\]\"'<>]*+:)"
            r"(?:[^\s/?#\"'<>]+(?=@)|(?!\d{1,5}[/?#])[^\s:@\"'<>]+(?=@))(?P<end>@)"
        ),
        replacement=between,
    ),
    Form(
        hint=("%3a%2f%2f",),
        pattern=re.compile(
            r"(?P<start>%3A%2F%2F[^\s&;%]*+%3A)(?:[^\s&;%]|%(?!40|2F))++(?P<end>%40)",
            re.IGNORECASE,
        ),
        replacement=between,
    ),
    *DATABASE_FORMS,
    *COMMAND_FORMS,
    Form(  # the signature of a shared link
        hint=("sig=",),
        pattern=re.compile(r"(?P<start>[?&;]sig=)[^\s&;\"'<>]++", re.IGNORECASE),
        replacement=after_start,
    ),
    Form(
        hint=("digest",),
        pattern=re.compile(r"(?P<scheme>\bDigest)(?P<gap>\s{1,4})(?P<value>\w{1,40}=[^\r\n]*+)"),
        replacement=_scheme_value,
    ),
    Form(
        hint=("bearer", "basic", "token"),
        pattern=re.compile(
            r"(?P<scheme>[bt](?:(?<!\w[bt])(?:earer|asic|oken)))(?P<gap>\s{1,4}+|%20|\+)"
            r"(?P<value>[A-Za-z0-9+/=._~-]{4,}+)",
            re.IGNORECASE,
        ),
        replacement=_scheme_value,
    ),
    CARD,
    Form(
        hint=re.compile(r"\d\d[ -]?[a-z0-9]{4}", re.ASCII),
        pattern=re.compile(
            r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[A-Z0-9]{11,30}+|(?:[ -][A-Z0-9]{4}){2,7}"
            r"(?:[ -][A-Z0-9]{1,3}(?![A-Za-z0-9]))?)"
        ),
        replacement=_iban,
    ),
)
"""What is masked always, in this order."""
