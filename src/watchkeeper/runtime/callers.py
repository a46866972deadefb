"""From where in the application something is called: looked for now and then, never per call."""

import sys
from types import CodeType, FrameType
from typing import Final

from watchkeeper.runtime.places import Places

MAX_FRAMES: Final = 60  # libraries between a statement and the code that wants it
MAX_KNOWN: Final = 5_000


class Callers:
    """Finds the innermost frame of the application in a stack."""

    def __init__(self, places: Places) -> None:
        """Tell the application's code by its places."""
        self._places = places
        self._known: dict[CodeType, str] = {}

    def find(self, frame: FrameType | None = None) -> str:
        """Return "module:function:line" of the caller outside of libraries, or ""."""
        at: FrameType | None = frame or sys._getframe(1)
        waiting = _waiting()
        for _ in range(MAX_FRAMES):
            if at is None:
                at, waiting = waiting, None
                if at is None:
                    break
            place = self._place(at)
            if place:
                return f"{place}:{at.f_lineno}"
            at = at.f_back
        return ""

    def _place(self, frame: FrameType) -> str:
        """Return "module:function" of a frame of the application, "" for one of a library."""
        code = frame.f_code
        place = self._known.get(code)
        if place is None:
            found = self._places.frame(code, frame.f_globals)
            name = found.qualname or found.function
            place = f"{found.module or found.file}:{name}" if found.application else ""
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[code] = place
        return place


def _waiting() -> FrameType | None:
    """Return the frame that awaits what runs here, where SQLAlchemy's asyncio cut the stack."""
    greenlets = sys.modules.get("greenlet")
    if greenlets is None:
        return None
    here = greenlets.getcurrent()
    if not hasattr(here, "__sqlalchemy_greenlet_provider__"):
        return None
    frame: FrameType | None = here.parent.gr_frame
    return frame
