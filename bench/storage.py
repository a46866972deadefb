"""What storing costs: flushes, room, pages, and the host's own transactions, each with its goal.

make bench-storage                                everything on SQLite and the servers there are
make bench-storage ARGS=--quick                   the same in two minutes, for a first impression
make bench-storage ARGS="--only room"             one part: flush, room, curves, reads, month, host
make bench-storage ARGS="--database sqlite"       on some databases only
make bench-storage ARGS=--markdown                and the tables of docs/what-storing-costs.md
"""

from dataclasses import dataclass
from typing import Any, Final

import databases
import flushing
import host
import options
import reading
import report
import room
import traffic

PARTS: Final = ("flush", "room", "curves", "reads", "month", "host")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured: more is surer."""

    flushes: int
    together_s: int
    workers: int  # that flush together
    slots: int
    other_slots: int  # of the designs that need more room
    hours: int  # that are made of requests
    per_minute: int  # requests of these hours
    curve_slots: int
    curve_minutes: int
    runs: int
    month_routes: int
    month_days: int
    host_s: float
    host_rounds: int


FULL: Final = Extent(
    flushes=500,
    together_s=60,
    workers=flushing.WORKERS,
    slots=720,
    other_slots=60,
    hours=12,
    per_minute=traffic.PER_MINUTE,
    curve_slots=90,
    curve_minutes=10,
    runs=15,
    month_routes=1_000,
    month_days=30,
    host_s=20.0,
    host_rounds=9,
)
QUICK: Final = Extent(
    flushes=100,
    together_s=10,
    workers=flushing.WORKERS,
    slots=180,
    other_slots=18,
    hours=3,
    per_minute=traffic.PER_MINUTE,
    curve_slots=60,
    curve_minutes=5,
    runs=5,
    month_routes=1_000,
    month_days=30,
    host_s=5.0,
    host_rounds=3,
)
TINY: Final = Extent(
    flushes=5,
    together_s=2,
    workers=2,
    slots=12,
    other_slots=2,
    hours=1,
    per_minute=200,
    curve_slots=1,
    curve_minutes=1,
    runs=1,
    month_routes=20,
    month_days=1,
    host_s=0.1,
    host_rounds=1,
)


def run(extent: Extent, parts: list[str], names: list[str]) -> dict[str, Any]:
    """Measure on each database in turn, and say on what and when."""
    found: dict[str, Any] = options.head() | {part: {} for part in parts}
    for name in names:
        with databases.place(name) as place:
            for part, figures in _on(place, extent, parts).items():
                found[part][name] = figures
    if "host" in parts:
        found["host"] = host.measure(seconds=extent.host_s, rounds=extent.host_rounds)
    return options.judged(found)


def _on(place: databases.Place, extent: Extent, parts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "flush" in parts:
        found["flush"] = {
            "alone": flushing.alone(place, flushes=extent.flushes),
            "together": flushing.together(
                place, workers=extent.workers, seconds=extent.together_s
            ),
        }
    if "room" in parts:
        found["room"] = _room(place, extent)
    if "curves" in parts and place.name == databases.SQLITE:
        found["curves"] = room.curves(
            place, slots=extent.curve_slots, minutes=extent.curve_minutes
        )
    if "reads" in parts:
        found["reads"] = reading.pages(place, per_minute=extent.per_minute, runs=extent.runs)
    if "month" in parts and place.name == databases.SQLITE:
        found["month"] = reading.month(
            place,
            routes=extent.month_routes,
            days=extent.month_days,
            per_minute=extent.per_minute,
            runs=extent.runs,
        )
    return found


def _room(place: databases.Place, extent: Extent) -> dict[str, Any]:
    designs = room.designs(place, slots=extent.slots, other_slots=extent.other_slots)
    frame = designs["frame_bytes"]
    return designs | room.ages(
        place,
        hours=extent.hours,
        per_minute=extent.per_minute,
        frame_bytes=frame["value"] if isinstance(frame, dict) else frame,
        request_bytes=designs["one_request_bytes"],
    )


def main() -> None:
    """Run the benchmark and print what it found."""
    asked = options.parse(
        __doc__,
        extents={"full": FULL, "quick": QUICK, "tiny": TINY},
        parts=PARTS,
        names=databases.NAMES,
    )
    found = run(asked.extent, asked.parts, asked.names)
    options.show(found, markdown=asked.markdown, write=report.write_storage)


if __name__ == "__main__":
    main()
