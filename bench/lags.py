"""How long after a threshold is crossed somebody is told, by real servers under real load.

python bench/lags.py URL hosts workers path seed per_s good_s      one round, as JSON
"""

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import children
import crossings
import databases
import goals
import shops

DEPLOYMENTS: Final = {
    "1": (1, 1, "/fail"),
    "4": (1, 4, "/fail"),
    "4, seen without the lease": (1, 4, "/elsewhere"),
    "2 x 4": (2, 4, "/fail"),
}
PER_S: Final = 50.0
FAILING: Final = 0.2
TOLD_WITHIN_S: Final = 45.0
SLOT_S: Final = 10.0
MEDIAN_S: Final = 2.0
WORST_S: Final = 12.0
AFTER_S: Final = 3.0  # in which a second copy would arrive


def measure(
    place: databases.Place, *, rounds: int, per_s: float, good_s: float, names: list[str]
) -> Any:
    """Measure every deployment, each round with servers of its own."""
    found = {}
    for name in names:
        several = []
        for number in range(rounds):
            with place.database(f"lags_{number}") as url:
                asked = (*DEPLOYMENTS[name], number, per_s, good_s)
                several.append(children.measured("lags.py", url, *asked))
        found[name] = {
            "rounds": rounds,
            **_figures(several, "plain"),
            **{f"sure_{key}": value for key, value in _figures(several, "sure").items()},
            "copies": goals.at_most(1, max(one["copies"] for one in several), "messages"),
        }
    return found


def _figures(several: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    lags = [one[rule] for one in several]
    return {
        "median_s": goals.at_most(MEDIAN_S, statistics.median(lags), "s"),
        "worst_s": goals.at_most(WORST_S, max(lags), "s"),
    }


def run(
    url: str, deployment: shops.Deployment, path: str, seed: int, *, per_s: float, good_s: float
) -> Any:
    """Serve well for a while, then badly; how long after the true crossing each rule told."""
    chance = random.Random(seed)  # noqa: S311  # when within a slot the trouble begins
    with shops.Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
        shop = shops.Shop(
            Path(folder),
            url,
            deployment,
            alerts=[shops.PLAIN, shops.SURE],
            channels=shops.webhook(receiver),
        )
        with shop, shops.Load(shop.urls, per_s=per_s, path=path) as load:
            time.sleep(good_s + chance.uniform(0, SLOT_S))
            load.failing = FAILING if path == "/fail" else FAILING * 4 / 3  # one in four holds it
            told = {
                rule: shops.wait_told(receiver, "firing", rule=rule, within_s=TOLD_WITHIN_S)
                for rule in ("plain", "sure")
            }
            time.sleep(AFTER_S)
            answers = list(load.answers)
        true = {"plain": crossings.plain(answers), "sure": crossings.sure(answers)}
        found = {rule: _lag(told[rule], true[rule]) for rule in told}
        copies = [len(shops.told(receiver, "firing", rule=rule)) for rule in told]
        return found | {"copies": max(copies), "answers": len(answers)}


def _lag(told: list[Any], crossed_at: float | None) -> float:
    """Return the seconds from the crossing to the message; what never came took all the time."""
    if not told or crossed_at is None:
        return TOLD_WITHIN_S
    return float(told[0].at - crossed_at)


if __name__ == "__main__":
    _, where, hosts, workers, fails_at, number, rate, good = sys.argv
    of = shops.Deployment(hosts=int(hosts), workers=int(workers))
    found = run(where, of, fails_at, int(number), per_s=float(rate), good_s=float(good))
    print(json.dumps(found))
