"""What errors cost, and how well they are grouped, each figure beside its goal.

make bench-errors                                 everything on SQLite and PostgreSQL
make bench-errors ARGS=--quick                    the same in five minutes
make bench-errors ARGS="--only grouping"          one part: grouping, capture, storm, beside, many,
                                                  scrubbing, arrivals
make bench-errors ARGS=--markdown                 and the tables of docs/errors.md
"""

import sys
from dataclasses import dataclass
from typing import Any, Final

import arrivals
import children
import databases
import grouping
import options
import report

PARTS: Final = ("grouping", "capture", "storm", "beside", "many", "scrubbing", "arrivals")
DATABASES: Final = ("sqlite", "postgresql")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured: more is surer."""

    rounds: int
    storm_s: float
    storms: int
    beside_rounds: int
    pairs: int
    many: int
    hostile_bytes: int
    hostile_rounds: int
    new_bugs: int


FULL: Final = Extent(
    rounds=200,
    storm_s=5.0,
    storms=9,
    beside_rounds=9,
    pairs=4_000,
    many=100_000,
    hostile_bytes=65_536,
    hostile_rounds=15,
    new_bugs=20,
)
QUICK: Final = Extent(
    rounds=40,
    storm_s=2.0,
    storms=3,
    beside_rounds=5,
    pairs=4_000,
    many=100_000,
    hostile_bytes=65_536,
    hostile_rounds=5,
    new_bugs=20,
)
TINY: Final = Extent(
    rounds=1,
    storm_s=0.2,
    storms=1,
    beside_rounds=1,
    pairs=20,
    many=1_000,
    hostile_bytes=2_048,
    hostile_rounds=1,
    new_bugs=1,
)


def run(extent: Extent, parts: list[str], names: list[str]) -> dict[str, Any]:
    """Measure, each part in processes of its own, and say on what and when."""
    found = options.head()
    if "grouping" in parts:
        found["grouping"] = grouping.measure()
        print(grouping.text(found["grouping"]), file=sys.stderr)
    if "capture" in parts:
        found["capture"] = children.measured("capture.py", extent.rounds)
    if "storm" in parts:
        found["storm"] = children.measured("storm.py", extent.storm_s, extent.storms)
    if "beside" in parts:
        found["beside"] = children.measured("beside.py", extent.beside_rounds, extent.pairs)
    if "many" in parts:
        found["many"] = children.measured("many.py", extent.many)
    if "scrubbing" in parts:
        found["scrubbing"] = children.measured(
            "scrubbing.py", extent.hostile_bytes, extent.hostile_rounds
        )
    if "arrivals" in parts:
        found["arrivals"] = {name: _arrivals(name, extent) for name in names}
    return options.judged(found)


def _arrivals(name: str, extent: Extent) -> dict[str, Any]:
    with databases.place(name) as place:
        return arrivals.measure(place, bugs=extent.new_bugs)


def main() -> None:
    """Run the benchmark and print what it found."""
    asked = options.parse(
        __doc__,
        extents={"full": FULL, "quick": QUICK, "tiny": TINY},
        parts=PARTS,
        names=DATABASES,
    )
    found = run(asked.extent, asked.parts, asked.names)
    options.show(found, markdown=asked.markdown, write=report.write_errors)


if __name__ == "__main__":
    main()
