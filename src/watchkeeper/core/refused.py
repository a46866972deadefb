"""What pydantic tells of a value that it refused: beside the name of the field, not after it."""

import re
from typing import Any, Final

from watchkeeper.core.assigned import value_end
from watchkeeper.core.effort import Effort
from watchkeeper.core.form import MASK, without_rest
from watchkeeper.core.sensitive import MAX_KEY_CHARS, Keys

MAX_MESSAGE_CHARS: Final = 600  # from the name of a field to the value that was refused
MAX_INPUT_CHARS: Final = 200  # that pydantic shows of a value; it cuts at 50
_STEPS: Final = 8

_INPUT_VALUE: Final = re.compile(
    r"(?P<value>\binput_value=)|(?P<path>[\"']loc\\{0,3}[\"']\s{0,4}:)"
)
_INPUT_ENDS: Final = re.compile(r", input_type=|\]?(?=\n|\\n|\Z)")
_PATH: Final = re.compile(r"\s{0,4}[(\[](?P<names>[^()\[\]\n]{1,300}+)[)\]]")
_INPUT: Final = re.compile(r"[\"']input\\{0,3}[\"']\s{0,4}:\s{0,4}|[\"']loc\\{0,3}[\"']")
_NAME: Final = re.compile(r"[\"']([^\"'\\]{1,200}+)")


def mask_refused(text: str, keys: Keys, effort: Effort) -> str:
    """Return a text without the values that pydantic refused for sensitive fields.

    Nor those that it cut in the middle ("…"): the name of what is left may be what is missing.
    """
    if "input" not in text:
        return text
    kept: list[str] = []
    done = 0
    effort.begin_pass()
    for match in _INPUT_VALUE.finditer(text):
        if match.start() < done:
            continue
        if not effort.spend(_STEPS):
            return without_rest(kept, text, done, match.start())
        start, end = (_line if match["value"] else _described)(text, match, keys)
        if end > start:
            kept += (text[done:start], MASK)
            done = end
    kept.append(text[done:])
    return "".join(kept)


def is_refused_secret(described: dict[str, Any], keys: Keys) -> bool:
    """Tell whether "input" is the value of a sensitive field, as in `ValidationError.errors()`."""
    path = described.get("loc")
    return isinstance(path, list) and any(
        isinstance(name, str) and keys.is_sensitive(name) for name in path
    )


def _line(text: str, match: re.Match[str], keys: Keys) -> tuple[int, int]:
    r"""Find the value in "\npassword\n  … [type=…, input_value='…', input_type=str]"."""
    start = match.end()
    before = text[max(match.start() - MAX_MESSAGE_CHARS, 0) : match.start()]
    field = before.replace("\\n", "\n").rsplit("\n", 2)[-2:][0]
    if not keys.is_sensitive(field[-MAX_KEY_CHARS:]):
        until = _end(text, start, start + MAX_INPUT_CHARS)
        if "..." not in text[start:until]:
            return start, start
    return start, _end(text, start, len(text))


def _end(text: str, start: int, until: int) -> int:
    ends = _INPUT_ENDS.search(text, start, until)
    return ends.start() if ends else until


def _described(text: str, match: re.Match[str], keys: Keys) -> tuple[int, int]:
    """Find the value in {'loc': ('body', 'password'), 'msg': …, 'input': '…'}."""
    at = match.end()
    path = _PATH.match(text, at)
    if path is None or not any(map(keys.is_sensitive, _NAME.findall(path["names"]))):
        return at, at
    given = _INPUT.search(text, path.end(), path.end() + MAX_MESSAGE_CHARS)
    if given is None or "loc" in given.group():
        return at, at
    return given.end(), value_end(text, given.end())
