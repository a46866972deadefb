"""What evaluating rules costs, and how often rules wake somebody for nothing.

python bench/judging.py evaluation 500 3           CPU of evaluations by 500 routes, in ms, as JSON
python bench/judging.py healthy 10 30              false alarms in 10 days at 30 requests/min
"""

import json
import sys
from typing import Any, Final

import children
import evaluating
import goals
import simulation

ROUTES: Final = evaluating.ROUTES
MOST_MS: Final = 100.0
A_DAY: Final = 0.5


def measure(*, days: int, runs: int, routes: int = ROUTES) -> dict[str, Any]:
    """Measure evaluations, and simulate days of services that are well."""
    several = [("healthy", days, each) for each in simulation.RATES]
    healthy = [one["a_day"] for one in children.together("judging.py", several)]
    spent = children.measured("judging.py", "evaluation", routes, runs)
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
                str(each): goals.at_most(A_DAY, found, "alarms")
                for each, found in zip(simulation.RATES, healthy, strict=True)
            },
        },
    }


if __name__ == "__main__":
    if sys.argv[1] == "evaluation":
        routes, runs = map(int, sys.argv[2:])
        print(json.dumps(evaluating.measure(rounds=runs, routes=routes)))
    else:
        days, rate = map(int, sys.argv[2:])
        print(json.dumps({"a_day": simulation.simulate(days, rate).alarms_per_day}))
