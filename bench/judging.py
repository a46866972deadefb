"""What evaluating rules costs, and how often rules wake somebody for nothing.

python bench/judging.py 500 3                      CPU of evaluations by 500 routes, in ms, as JSON
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Any, Final

import children
import evaluating
import goals
import simulation

ROUTES: Final = evaluating.ROUTES
MOST_MS: Final = 100.0
A_DAY: Final = 0.5


def measure(*, days: float, runs: int, routes: int = ROUTES) -> dict[str, Any]:
    """Measure evaluations, and simulate days of services that are well."""
    with ProcessPoolExecutor() as processes:
        healthy = list(processes.map(simulation.simulate, repeat(days), simulation.RATES))
    spent = children.measured("judging.py", routes, runs)
    return {
        "evaluation": {
            "rules": spent["rules"],
            "routes": spent["routes"],
            "workers": spent["workers"],
            "cpu_ms": goals.at_most(MOST_MS, spent["evaluation_cpu_ms"], "ms"),
        },
        "healthy": {
            "days": days,
            "error_rate": simulation.HEALTHY,
            "false_alarms_a_day": {
                str(each): goals.at_most(A_DAY, found.alarms_per_day, "alarms")
                for each, found in zip(simulation.RATES, healthy, strict=True)
            },
        },
    }


if __name__ == "__main__":
    routes, runs = map(int, sys.argv[1:])
    print(json.dumps(evaluating.measure(rounds=runs, routes=routes)))
