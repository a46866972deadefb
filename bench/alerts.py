"""How soon, how often and how surely somebody is told, each figure beside its goal.

make bench-alerts                                 everything on SQLite and PostgreSQL, 50 minutes
make bench-alerts ARGS=--quick                    the same in ten minutes, for a first impression
make bench-alerts ARGS="--only lag"               one part: lag, outages, judging
make bench-alerts ARGS="--database sqlite"        on one database only
make bench-alerts ARGS=--markdown                 and the tables of docs/how-fast-alerts-are.md

Servers are uvicorn's, requests come from outside at 50 a second, of which 20 % begin to fail, and
messages go to an HTTP server. The figures are JSON.
"""

from dataclasses import dataclass
from typing import Any, Final

import databases
import judging
import lags
import options
import outages
import report

PARTS: Final = ("lag", "outages", "judging")
DATABASES: Final = ("sqlite", "postgresql")


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured: more is surer."""

    rounds: int
    deployments: tuple[str, ...]
    per_s: float  # requests of the lag's load
    good_s: float  # before the trouble
    away_s: float
    hold_s: float
    days: float
    runs: int
    routes: int


FULL: Final = Extent(
    rounds=9,
    deployments=tuple(lags.DEPLOYMENTS),
    per_s=lags.PER_S,
    good_s=20.0,
    away_s=60.0,
    hold_s=60.0,
    days=10,
    runs=5,
    routes=judging.ROUTES,
)
QUICK: Final = Extent(
    rounds=1,
    deployments=tuple(lags.DEPLOYMENTS),
    per_s=lags.PER_S,
    good_s=15.0,
    away_s=60.0,
    hold_s=30.0,
    days=2,
    runs=2,
    routes=judging.ROUTES,
)
TINY: Final = Extent(
    rounds=1,
    deployments=("1",),
    per_s=10.0,
    good_s=2.0,
    away_s=1.0,
    hold_s=20.0,
    days=0.02,
    runs=1,
    routes=2,
)


def run(extent: Extent, parts: list[str], names: list[str]) -> dict[str, Any]:
    """Measure on each database in turn what depends on it, and say on what and when."""
    found: dict[str, Any] = options.head() | {part: {} for part in parts}
    for name in names:
        with databases.place(name) as place:
            if "lag" in parts:
                found["lag"][name] = lags.measure(
                    place,
                    rounds=extent.rounds,
                    per_s=extent.per_s,
                    good_s=extent.good_s,
                    names=list(extent.deployments),
                )
            if "outages" in parts:
                found["outages"][name] = outages.measure(
                    place, away_s=extent.away_s, hold_s=extent.hold_s
                )
    if "judging" in parts:
        found["judging"] = judging.measure(
            days=extent.days, runs=extent.runs, routes=extent.routes
        )
    return options.judged(found)


def main() -> None:
    """Run the benchmark and print what it found."""
    asked = options.parse(
        __doc__,
        extents={"full": FULL, "quick": QUICK, "tiny": TINY},
        parts=PARTS,
        names=DATABASES,
    )
    found = run(asked.extent, asked.parts, asked.names)
    options.show(found, markdown=asked.markdown, write=report.write_alerts)


if __name__ == "__main__":
    main()
