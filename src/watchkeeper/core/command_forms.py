"""Passwords that commands are given by options that do not say so: `curl -u`, `mysqldump -p…`.

In a command's text and in its list (`['curl', '-u', 'ann:…']`), which is how `subprocess` shows
and is given it. Options that name a secret, as `--password` does, are masked by their name.
"""

import re
from collections.abc import Sequence
from typing import Final

from watchkeeper.core.effort import Effort
from watchkeeper.core.form import MASK, Form, Replacement, after_start, masked
from watchkeeper.core.sensitive import Keys

MAX_COMMAND_CHARS: Final = 200  # from a command to its option
MAX_ARGUMENTS: Final = 8  # of a list, from a command to its option
MAX_WORD_CHARS: Final = 20  # of these: they fit into MAX_COMMAND_CHARS
MAX_VALUE_CHARS: Final = 100  # of the one that is judged
STEPS_OF_LIST: Final = 5

_BEGINS: Final = r"(?P<start>-(?<=[\s\"']-)"  # a pattern that begins with a sign is fast
# Between an option and its value: blanks or "=", maybe a quote; in a list a comma.
_GAP: Final = r"(?:\\{0,3}[\"'],\s{0,4}|[ =]{0,4})(?P<quote>\\{0,3}[\"'])?+"
_VALUE: Final = r"(?P<value>(?(quote)(?:[^\"'\\\n]|\\(?![\"']))++|[^\s\"']++))"
_NO_WORD: Final = r"(?(quote)|(?![a-z_-]+(?:[\s.,;:)\]\"']|\Z)))"  # of prose
_ENDING: Final = re.compile(r"[\s\"'\\|;&]")
# "-p8080:80" are ports, "-p'" before a blank or a comma closes what the command stands in.
_ATTACHED: Final = re.compile(
    rf"{_BEGINS}p)(?!\d{{1,5}}:\d)(?:(?<=[\"']-p)[^\"'\\\n]++|[^\s\"'\\]++|"
    r"(?<=\s-p)(?P<quote>\\{0,3}[\"'])(?![\s,;.)\]])[^\"'\\\n]++(?P=quote))"
)


def _taken_by(option: str, program: str) -> Form:
    return Form(
        hint=_hint(option),
        pattern=re.compile(rf"{_BEGINS}{option}(?=[\\\"' =]){_GAP}){_NO_WORD}{_VALUE}"),
        replacement=_of(program),
    )


def _hint(option: str) -> re.Pattern[str]:
    """Return the fast look for an option: programs' names would be looked for one by one."""
    return re.compile(rf"-(?<=[\s\"']-){option}")


def _of(program: str, *, separator: str = r"\n|[|;&](?![^\s|;&])") -> Replacement:
    """Return what masks the value of a program's option: of no other one's."""
    begins, separates = re.compile(program), re.compile(separator)

    def replaced(match: re.Match[str]) -> str:
        start = match.start()
        at = max(start - MAX_COMMAND_CHARS, 0)
        if begins.search(match.string, at, start) is None:
            return match.group()
        command = separates.split(match.string[at:start])[-1]
        return f"{match['start']}{MASK}" if begins.search(command) else match.group()

    return replaced


_ALONE: Final = r"(?=[\s\"',\\])"
_CURL_FLAGS: Final = "0-46afgijklnpqsvGILNORSZ#"  # that take no value, as in "-sSu ann:…"
_SSHPASS: Final = rf"\bsshpass{_ALONE}(?:[\s\"',\\]++|-[^\s\"',\\]++)*+\Z"  # no command yet

COMMAND_FORMS: Final = (
    Form(  # curl --user ann:password
        hint=("curl",),
        pattern=re.compile(
            rf"{_BEGINS}(?:[{_CURL_FLAGS}]{{0,8}}[uU]|-user|-proxy-user){_GAP}[^\s:\"']{{1,64}}+:){_VALUE}"
        ),
        replacement=_of(rf"\bcurl{_ALONE}", separator=r"\n"),  # its data may hold any sign
    ),
    Form(  # mysqldump -ppassword
        hint=_hint("p"),
        pattern=_ATTACHED,
        replacement=_of(rf"(?<![\w.-])(?:mysql|mariadb)[\w-]*+{_ALONE}|{_SSHPASS}"),
    ),
    _taken_by("p", _SSHPASS),
    _taken_by("a", rf"\bredis-cli{_ALONE}"),
    _taken_by("k", rf"\bopenssl{_ALONE}"),
    Form(  # openssl -passin pass:password
        hint=_hint("pass"),
        pattern=re.compile(rf"{_BEGINS}pass(?:in|out)?{_GAP}pass:){_VALUE}"),
        replacement=after_start,
    ),
)


def is_secret_argument(arguments: Sequence[object], at: int, keys: Keys, effort: Effort) -> bool:
    """Tell whether an element of a list is the secret that the option before it takes."""
    value, option = arguments[at], arguments[at - 1] if at else None
    if not isinstance(value, str) or not isinstance(option, str):
        return False
    if option.startswith("--") and not value.startswith("-") and keys.is_sensitive(option):
        return True
    if not (option.startswith("-") or value.startswith("-p")):
        return False
    before = [_word(one, MAX_WORD_CHARS) for one in arguments[max(at - MAX_ARGUMENTS, 0) : at]]
    line = "', '".join((*before, _word(value, MAX_VALUE_CHARS)))
    if not effort.spend(STEPS_OF_LIST):
        return True
    return masked(f"'{line}'", COMMAND_FORMS, effort).endswith(f"{MASK}'")


def _word(argument: object, limit: int) -> str:
    """Return the beginning of an argument, without what would end it or its line."""
    return _ENDING.sub("_", argument[:limit]) if isinstance(argument, str) else ""
