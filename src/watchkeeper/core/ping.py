"""Pings: what a job outside of Python says by calling an address, and what may be said.

The calls are those of healthchecks.io: `/ping/<token>`, and `/start`, `/fail`, `/log` or an exit
code behind it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchkeeper.core.job_facts import FAILED, OK

PATH: Final = "/ping/"
METHODS: Final = ("GET", "HEAD", "POST")
MAX_OUTPUT_CHARS: Final = 200
MAX_READ_BYTES: Final = 2_000  # of what comes with a call; the rest is thrown away
MAX_DRAINED_BYTES: Final = 1_000_000  # of it; who sends more is answered before its end
MAX_PER_MINUTE: Final = 60  # calls of one job that one process takes

# What `watchkeeper ping add` makes is 32 characters long.
_CALL: Final = re.compile(r"/ping/([A-Za-z0-9_-]{16,64})(?:/(start|fail|log|[0-9]{1,3}))?/?")
_MAX_EXIT_CODE: Final = 255


class Said(StrEnum):
    """What a call says."""

    START = "start"
    END = "end"
    LOG = "log"  # nothing about a run


class Heard(StrEnum):
    """What became of a call."""

    TAKEN = "taken"
    UNKNOWN = "unknown"  # no such address
    TOO_OFTEN = "too_often"
    FULL = "full"  # nothing was written for long, so that too much waits
    NOT_READY = "not_ready"  # no address that is known, and they were not read just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of an address: who, and what it says; a run's end has an outcome."""

    token: str
    said: Said
    outcome: str = ""
    output: str = ""


def parse_call(path: str, output: str = "") -> Call | None:
    """Read a path below the prefix; None for what is no such call."""
    found = _CALL.fullmatch(path)
    if found is None:
        return None
    token, word = found.groups()
    if word in ("start", "log"):
        return Call(token=token, said=Said(word))
    if word is None or (word.isdigit() and int(word) == 0):
        return Call(token=token, said=Said.END, outcome=OK)
    if word.isdigit() and int(word) > _MAX_EXIT_CODE:
        return None
    return Call(token=token, said=Said.END, outcome=FAILED, output=output)


def shown_output(body: bytes) -> str:
    """Return the beginning of what came with a call, in one line of printable characters.

    It is longer than what is kept, MAX_OUTPUT_CHARS, for secrets are masked before it is cut.
    """
    text = body[:MAX_READ_BYTES].decode("utf-8", "replace")
    line = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(line.split())
