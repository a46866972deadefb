"""The text that Python's faulthandler leaves of a process that crashed: what, and where."""

import re
from dataclasses import dataclass
from typing import Final, Self

MAX_CRASH_CHARS: Final = 64_000  # of its text; a hundred threads of a hundred frames are more
MAX_CRASH_FRAMES: Final = 100  # of one thread; faulthandler stops there, too
MAX_KIND_CHARS: Final = 100

_BEGINNINGS: Final = ("Fatal Python error: ", "Windows fatal exception: ")
_CRASHED: Final = ("Current thread ", "Stack ")
_OTHER: Final = "Thread "
_FRAME: Final = re.compile(r'  File "([^\n]{0,2000})", line (\d{1,9}|\?\?\?) in ([^\n]{1,500})')


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashFrame:
    """A function that the crashed thread was in; line 0: not known."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """What a process crashed with ("Segmentation fault"), and where; outermost frame first."""

    kind: str
    frames: tuple[CrashFrame, ...] = ()

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what faulthandler wrote; None if it is no crash, as an empty file.

        It may be cut off anywhere.
        """
        kind = ""
        frames: list[CrashFrame] = []
        inside = False
        for row in text[:MAX_CRASH_CHARS].splitlines():
            if not kind:
                kind = _kind(row)
            elif row.startswith(_CRASHED) and not frames:
                inside = True
            elif row.startswith(_OTHER) or not row.strip():
                inside = False
            elif inside and len(frames) < MAX_CRASH_FRAMES:
                frames += _frame(row)
        return cls(kind=kind, frames=tuple(reversed(frames))) if kind else None


def _kind(row: str) -> str:
    for beginning in _BEGINNINGS:
        if row.startswith(beginning):
            return row.removeprefix(beginning).strip()[:MAX_KIND_CHARS]
    return ""


def _frame(row: str) -> list[CrashFrame]:
    """Read a row of a stack; nothing from any other, such as "..." for what was left out."""
    found = _FRAME.fullmatch(row)
    if found is None:
        return []
    file, line, function = found.groups()
    return [CrashFrame(file=file, line=int(line) if line.isdigit() else 0, function=function)]
