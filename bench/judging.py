"""What evaluating rules costs, and how often rules wake somebody for nothing.

python bench/judging.py evaluation 200 500 3       CPU of evaluations, in ms, as JSON
python bench/judging.py healthy 10 30              false alarms in 10 days at 30 requests/min
"""

import json
import random
import statistics
import sys
import time
from typing import Any, Final

import children
import goals
from watchkeeper.core.alerts import Instance, Notice, evaluate
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.pack import default_pack
from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.core.tallies import Tally, Window
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.storage.memory import MemoryStore

SCOPE: Final = Scope(service="bench", environment="bench", release="1")
SLOT_S: Final = 10
START: Final = 1_700_000_000
WARM_SLOTS: Final = 30  # the longest window
MOST_MS: Final = 100.0
RULES: Final = 200
ROUTES: Final = 500
PER_MINUTE: Final = (3, 10, 30, 100, 300, 1_000, 3_000)
ERROR_RATE: Final = 0.01
A_DAY: Final = 0.5
DAY_S: Final = 86_400
KEPT_S: Final = 400  # of tallies: more than the longest window
RULE: Final = "High error rate"
MANY: Final = 100  # from there on one distribution is as good as another


def measure(*, days: int, runs: int, routes: int = ROUTES) -> dict[str, Any]:
    """Measure evaluations, and simulate days of services that are well."""
    several = [("healthy", days, each) for each in PER_MINUTE]
    healthy = [one["a_day"] for one in children.together("judging.py", several)]
    spent = children.measured("judging.py", "evaluation", RULES, routes, runs)
    return {
        "evaluation": {
            "rules": RULES,
            "routes": routes,
            "cpu_ms": goals.at_most(MOST_MS, spent["cpu_ms"], "ms"),
        },
        "healthy": {
            "days": days,
            "error_rate": ERROR_RATE,
            "false_alarms_a_day": {
                str(each): goals.at_most(A_DAY, found, "alarms")
                for each, found in zip(PER_MINUTE, healthy, strict=True)
            },
        },
    }


def evaluation(rules: int, routes: int, runs: int) -> float:
    """Return the median CPU of one evaluation of rules by route, each route with new requests."""
    chance = random.Random(6)  # noqa: S311  # made figures
    store = MemoryStore()
    engine = AlertEngine(
        store,
        scope=SCOPE,
        rules=[_rule(number) for number in range(rules)],
        channels_for=lambda severity: (),
        slot_s=SLOT_S,
        link=lambda incident: "",
        installed_at=0.0,
    )
    for slot in range(WARM_SLOTS):
        frame = _frame(slot, routes, chance)
        store_now = START + (slot + 1) * SLOT_S
        if slot in (0, WARM_SLOTS - 1):
            engine.evaluate(now=store_now - 0.5, fresh=[frame])
        else:
            engine._windows.read(store, now=store_now - 0.5, fresh=[frame])
    spent = []
    for slot in range(WARM_SLOTS, WARM_SLOTS + runs):
        frame = _frame(slot, routes, chance)
        begun = time.process_time()
        engine.evaluate(now=START + (slot + 1) * SLOT_S - 0.5, fresh=[frame])
        spent.append((time.process_time() - begun) * 1e3)
    return statistics.median(spent)


def _rule(number: int) -> Rule:
    """Return one of many rules: of error rates, latencies and counts, each by route."""
    conditions = (
        f"error_rate > {5 + number % 20}%",
        f"p95 > {800 + number}ms",
        f"errors > {50 + number}",
        f"requests > {10_000 + number}",
    )
    alert = Alert(
        f"rule {number}",
        when=conditions[number % len(conditions)],
        by="route",
        over="5m" if number % 2 else "1m",
    )
    return compile_alert(alert, where="alerts", origin=Origin.CODE, slot_s=SLOT_S)


def _frame(slot: int, routes: int, chance: random.Random) -> Frame:
    values: dict[Series, Value] = {}
    for route in range(routes):
        for status, count in (("200", 20), ("500", 1)):
            own = (("method", "GET"), ("route", f"/page-{route}"), ("status", status))
            labels = tuple(sorted((*own, *SCOPE.labels)))
            series = Series(HTTP_DURATION.name, HTTP_DURATION.kind, labels, HTTP_DURATION.across)
            values[series] = Histogram(chance.lognormvariate(-3, 0.5) for _ in range(count))
    return Frame(key=FrameKey(SLOT_S, START + slot * SLOT_S, 1, 0), values=values)


def healthy(days: int, per_minute: int) -> float:
    """Return how often a day the pack's rule fires at a service with 1 % of errors."""
    (rule,) = (one for one in default_pack(slot_s=SLOT_S) if one.name == RULE)
    chance = random.Random(per_minute)  # noqa: S311  # made figures
    tallies: dict[int, Tally] = {}
    before, alarms = Instance(), 0
    for start in range(0, days * DAY_S, SLOT_S):
        total = _arrived(chance, per_minute * SLOT_S / 60)
        bad = _arrived(chance, total * ERROR_RATE) if total > MANY else _bad(chance, total)
        tallies[start] = Tally(total=total, bad=bad, unclear=bad)
        tallies.pop(start - KEPT_S, None)
        transition = evaluate(
            rule,
            Window(tallies=tallies, written=tallies.keys()),
            before,
            now=start + SLOT_S - 0.5,
            slot_s=SLOT_S,
            settled_until=start,
        )
        before = transition.after
        alarms += transition.notice is Notice.FIRING
    return alarms / days


def _bad(chance: random.Random, total: int) -> int:
    return sum(chance.random() < ERROR_RATE for _ in range(total))


def _arrived(chance: random.Random, mean: float) -> int:
    """Draw a count by Poisson, by gaps between arrivals; by Gauss where it is large."""
    if mean > MANY:
        return max(0, round(chance.gauss(mean, mean**0.5)))
    count, at = 0, chance.expovariate(1.0)
    while at < mean:
        count += 1
        at += chance.expovariate(1.0)
    return count


if __name__ == "__main__":
    if sys.argv[1] == "evaluation":
        print(json.dumps({"cpu_ms": evaluation(*map(int, sys.argv[2:]))}))
    else:
        print(json.dumps({"a_day": healthy(int(sys.argv[2]), int(sys.argv[3]))}))
