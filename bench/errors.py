"""What errors cost, and how well they are grouped, each figure beside its goal.

make bench-errors                                 everything on SQLite and PostgreSQL
make bench-errors ARGS=--quick                    the same in less than three minutes
make bench-errors ARGS="--only grouping"          one part: grouping, capture, storm, beside, many,
                                                  scrubbing, arrivals
make bench-errors ARGS=--markdown                 and the tables of docs/errors.md
"""

import argparse
import datetime
import json
import os
import platform
import sys
from dataclasses import dataclass
from typing import Any, Final

import arrivals
import children
import databases
import goals
import grouping
import report

PARTS: Final = ("grouping", "capture", "storm", "beside", "many", "scrubbing", "arrivals")
DATABASES: Final = ("sqlite", "postgresql")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured: more is surer."""

    whole_corpus: bool
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
    whole_corpus=True,
    rounds=200,
    storm_s=5.0,
    storms=9,
    beside_rounds=15,
    pairs=2_000,
    many=100_000,
    hostile_bytes=65_536,
    hostile_rounds=15,
    new_bugs=20,
)
QUICK: Final = Extent(
    whole_corpus=True,
    rounds=40,
    storm_s=2.0,
    storms=3,
    beside_rounds=3,
    pairs=1_000,
    many=100_000,
    hostile_bytes=65_536,
    hostile_rounds=5,
    new_bugs=20,
)
TINY: Final = Extent(
    whole_corpus=False,
    rounds=1,
    storm_s=0.2,
    storms=1,
    beside_rounds=1,
    pairs=50,
    many=1_000,
    hostile_bytes=2_048,
    hostile_rounds=1,
    new_bugs=1,
)


def run(extent: Extent, parts: list[str], names: list[str]) -> dict[str, Any]:
    """Measure, each part in processes of its own, and say on what and when."""
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    if "grouping" in parts:
        found["grouping"] = grouping.measure(quick=not extent.whole_corpus)
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
    reached = [figure["reached"] for _, figure in goals.every(found)]
    found["goals"] = {"of": len(reached), "reached": sum(reached)}
    return found


def _arrivals(name: str, extent: Extent) -> dict[str, Any]:
    with databases.place(name) as place:
        return arrivals.measure(place, bugs=extent.new_bugs)


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    extents = parser.add_mutually_exclusive_group()
    extents.add_argument("--quick", dest="extent", action="store_const", const=QUICK)
    extents.add_argument("--tiny", dest="extent", action="store_const", const=TINY)
    parser.add_argument("--only", choices=PARTS, action="append", default=[])
    parser.add_argument("--database", choices=DATABASES, action="append", default=[])
    parser.add_argument("--markdown", action="store_true", help="write the page of the docs")
    options = parser.parse_args()
    if options.markdown and (options.only or options.database):
        parser.error("--markdown needs every part and every database")
    names = options.database or [name for name in databases.available() if name in DATABASES]
    found = run(options.extent or FULL, options.only or list(PARTS), names)
    print(json.dumps(found, indent=2))
    if options.markdown:
        report.write_errors(found)


if __name__ == "__main__":
    main()
