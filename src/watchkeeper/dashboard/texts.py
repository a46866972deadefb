"""Numbers and moments as people read them; every moment is UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from watchkeeper.core.units import format_duration
from watchkeeper.dashboard.status import Level

NOTHING: Final = "–"  # where there is no figure
SAME: Final = 0.005  # relative changes below half a percent are none
TIMES: Final = 2.0  # from twice on a change reads better as a factor
BAR_WIDTH: Final = 4
BAR_HEIGHT: Final = 20

STATES: Final = {"came_back": "came back"}  # of issues, where they read otherwise
SYMBOLS: Final = {
    Level.CRITICAL: "▲",
    Level.WARNING: "▲",
    Level.UNKNOWN: "■",
    Level.OK: "●",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A change against the period before: a text with its sign, and whether it is for the worse.

    `word` says the direction for those who do not see the arrow.
    """

    text: str
    word: str
    is_worse: bool = False


def number(value: float | None) -> str:
    """Show a figure to three digits: 0.031, 41.2, 1,234."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def share(value: float | None) -> str:
    """Show a share to two digits: 0.42 %, 7.4 %, 38 %."""
    if value is None:
        return NOTHING
    percent = value * 100
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"


def seconds(value: float | None) -> str:
    """Show a duration: 162 ms, 2.1 s, 1 h 30 min."""
    return NOTHING if value is None else format_duration(value)


def span(value: float) -> str:
    """Show how long something lasted, in whole seconds or more: 42 s, 15 min, 3 d 4 h."""
    if value < 60:
        return f"{int(value)} s"
    whole = int(value // 60) * 60 if value < 86_400 else int(value // 3_600) * 3_600
    return format_duration(whole)


def ago(at: float, now: float) -> str:
    """Show how long ago a moment was: just now, 15 min ago."""
    return "just now" if now - at < 1 else f"{span(now - at)} ago"


def clock(at: float, now: float) -> str:
    """Show a moment: 18:57 on the same day, else 22 Nov 18:57, with the year if it is another."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    if moment.date() == today.date():
        return f"{moment:%H:%M}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M}"


def exact(at: float) -> str:
    """Show a moment to the second: 2026-11-22 18:57:04 UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: float) -> str:
    """Write a moment for machines (RFC 3339)."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def relative(
    now: float | None, before: float | None, *, more_is_worse: bool = False
) -> Delta | None:
    """Compare with the period before in percent, or as a factor: ▲ 4 %, ▲ ×3.1."""
    if now is None or before is None or before <= 0:
        return None
    change = now / before - 1
    if abs(change) < SAME:
        return Delta(text="± 0 %", word="unchanged")
    arrow, word = ("▲", "up") if change > 0 else ("▼", "down")
    size = f"×{now / before:.3g}" if now / before >= TIMES else f"{abs(change) * 100:.2g} %"
    if change <= -0.995:
        size = "100 %"
    return Delta(text=f"{arrow} {size}", word=word, is_worse=more_is_worse and change > 0)


def points(now: float | None, before: float | None) -> Delta | None:
    """Compare two shares in percentage points; more is worse: ▲ 1.9 pts."""
    if now is None or before is None:
        return None
    change = (now - before) * 100
    if abs(change) < 0.05:
        return Delta(text="± 0 pts", word="unchanged")
    arrow, word = ("▲", "up") if change > 0 else ("▼", "down")
    return Delta(text=f"{arrow} {abs(change):.2g} pts", word=word, is_worse=change > 0)


def bars(counts: Sequence[int]) -> str:
    """Draw counts as the path of an SVG, each bar four units wide and at most twenty high."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    drawn = []
    for index, count in enumerate(counts):
        if count:
            height = max(round(count / highest * BAR_HEIGHT, 1), 1)
            drawn.append(
                f"M{index * BAR_WIDTH} {BAR_HEIGHT}v-{height:g}h{BAR_WIDTH - 1}v{height:g}z"
            )
    return "".join(drawn)
