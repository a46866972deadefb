"""The span of time that a page shows, as its URL states it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

PRESETS: Final = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
PRESET_NAMES: Final = {"15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d"}
DEFAULT: Final = "1h"
MIN_SPAN_S: Final = 60
MAX_SPAN_S: Final = 604_800
MAX_POINTS: Final = 360  # more than a chart has pixels to tell apart on a laptop
FINE_SPAN_S: Final = 900  # up to this span single slots are read: 90 frames a worker at 10 s
MINUTE_S: Final = 60
# The last one is that of the rows of hours.
_COARSE_STEPS_S: Final = (60, 120, 240, 3_600)
_FINE_STEPS_S: Final = (1, 2, 3, 5, 10, 15, 20, 30, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of `span_s` seconds that ends at `end`; `live` if it ends now and moves on.

    `range` is the span as the URL spells it: a preset such as "1h", or "730s".
    """

    range: str
    span_s: int
    end: float
    live: bool

    @property
    def start(self) -> float:
        """When the window begins, in seconds since the epoch."""
        return self.end - self.span_s

    @property
    def query(self) -> str:
        """The window as URL parameters; a frozen one names its end."""
        return f"range={self.range}" if self.live else f"range={self.range}&end={int(self.end)}"

    def moved(self, by_s: float, *, now: float) -> "Window":
        """Return the window `by_s` seconds later (earlier if negative), live from now on."""
        return _window(self.range, self.span_s, self.end + by_s, now=now)

    def at_now(self, *, now: float) -> "Window":
        """Return the window of the same span that ends now."""
        return _window(self.range, self.span_s, None, now=now)


def parse_window(query: Mapping[str, str], *, now: float) -> Window:
    """Read `range` (15m, 1h, 6h, 24h, 7d or seconds such as 730s) and `end` (since the epoch).

    Without `end`, or with one that lies ahead, the window ends now.
    Raises ValueError with a sentence for the reader if either cannot be understood.
    """
    text = query.get("range", DEFAULT)
    span_s = PRESETS.get(text)
    if span_s is None:
        number = text.removesuffix("s")
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            raise ValueError(f"range is one of {', '.join(PRESETS)}, or seconds such as 730s")
        span_s = min(max(int(number), MIN_SPAN_S), MAX_SPAN_S)
        text = f"{span_s}s"
    end_text = query.get("end", "")
    if not end_text:
        return _window(text, span_s, None, now=now)
    if not (end_text.isascii() and end_text.isdigit() and len(end_text) <= 12):
        raise ValueError("end is a moment in whole seconds since 1970, such as 1767225600")
    return _window(text, span_s, float(end_text), now=now)


def is_fine(span_s: float) -> bool:
    """Tell whether a window is short enough to be read slot by slot."""
    return span_s <= FINE_SPAN_S


def step_s(span_s: float, *, slot_s: int) -> int:
    """Return the seconds per point of a chart: few enough points, whole slots each."""
    if is_fine(span_s):
        for step in _FINE_STEPS_S:
            if step % slot_s == 0 and span_s / step <= MAX_POINTS:
                return step
        return MINUTE_S
    for step in _COARSE_STEPS_S:
        if span_s / step <= MAX_POINTS:
            return step
    return _COARSE_STEPS_S[-1]


def align_up(at: float, step: int) -> int:
    """Return the first multiple of `step` at or after `at`."""
    return ceil(at / step) * step


def _window(text: str, span_s: int, end: float | None, *, now: float) -> Window:
    live = end is None or end >= now
    return Window(range=text, span_s=span_s, end=now if live or end is None else end, live=live)
