"""What watching costs: CPU per request, memory, and the longest pause, each against the bare app.

make bench                        everything, as JSON; about ten minutes
make bench ARGS=--quick           the same in a minute, for a first impression
make bench ARGS="--only cpu"      one part: cpu, memory or stall
make bench ARGS=--markdown        everything, and the table of docs/what-it-costs.md written anew
"""

from dataclasses import dataclass
from typing import Any, Final

import apps
import cpu
import memory
import options
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
    stall_s=0.05,
    stall_runs=1,
)


def run(extent: Extent, parts: list[str]) -> dict[str, Any]:
    """Measure, and say on what and when."""
    found: dict[str, Any] = options.head() | {"slot": extent.slot}
    if "cpu" in parts:
        found["cpu"] = cpu.measure(extent.slot, rounds=extent.rounds, least_s=extent.least_s)
    if "memory" in parts:
        found["memory"] = memory.measure(extent.slot, extent.requests, runs=extent.memory_runs)
    if "stall" in parts:
        found["stall"] = stall.measure(extent.slot, extent.stall_s, runs=extent.stall_runs)
    return found


def main() -> None:
    """Run the benchmark and print what it found."""
    asked = options.parse(
        __doc__, extents={"full": FULL, "quick": QUICK, "tiny": TINY}, parts=PARTS, names=()
    )
    found = run(asked.extent, asked.parts)
    options.show(found, markdown=asked.markdown, write=report.write)


if __name__ == "__main__":
    main()
