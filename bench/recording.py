"""What watching costs: CPU per request, memory, and the longest pause, each against the bare app.

make bench                        everything, as JSON; about ten minutes
make bench ARGS=--quick           the same in a minute, for a first impression
make bench ARGS="--only cpu"      one part: cpu, memory or stall
make bench ARGS=--markdown        everything, and the table of docs/what-it-costs.md written anew
"""

import argparse
import datetime
import json
import os
import platform
from dataclasses import dataclass
from typing import Any, Final

import apps
import cpu
import memory
import report
import stall

PARTS: Final = ("cpu", "memory", "stall")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured: more is surer."""

    slot: str
    rounds: int
    least_s: float  # for each framework: so long that the own thread has its turns
    requests: int
    memory_runs: int
    stall_s: float
    stall_runs: int


FULL: Final = Extent(
    slot=apps.DEFAULT_SLOT,
    rounds=150,
    least_s=60.0,
    requests=200_000,
    memory_runs=3,
    stall_s=25.0,
    stall_runs=3,
)
QUICK: Final = Extent(
    slot="1s",
    rounds=30,
    least_s=3.0,
    requests=20_000,
    memory_runs=1,
    stall_s=3.0,
    stall_runs=1,
)
TINY: Final = Extent(
    slot="1s",
    rounds=1,
    least_s=0.0,
    requests=1_000,
    memory_runs=1,
    stall_s=0.2,
    stall_runs=1,
)


def run(extent: Extent, parts: list[str]) -> dict[str, Any]:
    """Measure, and say on what and when."""
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "slot": extent.slot,
    }
    if "cpu" in parts:
        found["cpu"] = cpu.measure(extent.slot, rounds=extent.rounds, least_s=extent.least_s)
    if "memory" in parts:
        found["memory"] = memory.measure(extent.slot, extent.requests, runs=extent.memory_runs)
    if "stall" in parts:
        found["stall"] = stall.measure(extent.slot, extent.stall_s, runs=extent.stall_runs)
    return found


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    extents = parser.add_mutually_exclusive_group()
    extents.add_argument("--quick", dest="extent", action="store_const", const=QUICK)
    extents.add_argument("--tiny", dest="extent", action="store_const", const=TINY)
    parser.add_argument("--only", choices=PARTS, action="append", default=[])
    parser.add_argument("--markdown", action="store_true", help="write the page of the docs")
    options = parser.parse_args()
    if options.markdown and options.only:
        parser.error("--markdown needs every part")
    found = run(options.extent or FULL, options.only or list(PARTS))
    print(json.dumps(found, indent=2))
    if options.markdown:
        report.write(found)


if __name__ == "__main__":
    main()
