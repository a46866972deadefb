"""Names and messages without what differs from one occurrence of an error to the next."""

import re
from typing import Final

TYPE_ALIASES: Final = {
    "EnvironmentError": "OSError",
    "IOError": "OSError",
    "asyncio.TimeoutError": "TimeoutError",
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "concurrent.futures.TimeoutError": "TimeoutError",
    "concurrent.futures._base.TimeoutError": "TimeoutError",
    "re.PatternError": "re.error",
    "select.error": "OSError",
    "socket.error": "OSError",
    "socket.timeout": "TimeoutError",
    "sre_constants.error": "re.error",
}
"""Names that one exception had in other versions of Python → the name it is grouped under."""

# One pass, each alternative begins with another character or is bounded: linear time.
_VARIABLE: Final = re.compile(
    r"(?P<email>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8})"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>]{1,2000})"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<jwt>\beyJ[\w-]{1,4000}\.[\w.-]{1,4000})"
    r"|(?P<address>\b0x[0-9a-fA-F]{1,32}\b)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b)"
    r"|(?P<path>(?<![\w/])(?:/[\w.@%+-]{1,255}){2,32}/?)"
    r"|(?P<text>'[^'\n]{0,500}'|\"[^\"\n]{0,500}\")"
    r"|(?P<hex>\b(?=[a-fA-F]{0,64}\d)[0-9a-fA-F]{7,64}\b)"
    r"|(?P<number>\d+(?:\.\d+)?)"
)
_DIGITS: Final = re.compile(r"[0-9a-fA-F]{7,}|\d+")
MAX_FIRST_LINE_CHARS: Final = 2_000


def type_name(module: str, qualname: str, *, made_at_run_time: bool = False) -> str:
    """Return the name that an exception's type is grouped under.

    Built-in types go without a module, old names go to the present one, and digits in the names
    of classes made at run time do not count.
    """
    name = qualname if module == "builtins" else f"{module}.{qualname}"
    name = TYPE_ALIASES.get(name, name)
    return mask_digits(name) if made_at_run_time else name


def mask_digits(name: str) -> str:
    """Replace every number, and every hexadecimal run of seven or more, by "#"."""
    return _DIGITS.sub(_masked_run, name)


def parametrize(message: str) -> str:
    """Return a message's first line with its values replaced by their kinds.

    E-mail, URL, UUID, JWT, 0x address, date and time, IP address, path, quoted text, long hex and
    number.
    """
    first_line = message.strip().partition("\n")[0][:MAX_FIRST_LINE_CHARS]
    return _VARIABLE.sub(lambda match: f"<{match.lastgroup}>", first_line).strip()


def _masked_run(match: re.Match[str]) -> str:
    run = match.group()
    return "#" if any(character.isdigit() for character in run) else run
