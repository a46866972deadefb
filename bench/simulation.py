"""Days of a made-up service, judged slot by slot: false alarms, and how soon a fault is found.

`python bench/simulation.py` prints the table of the default rules; tests/simulation uses the same
functions with fewer days.
"""

import argparse
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from watchkeeper.core.alerts import Instance, Notice, evaluate
from watchkeeper.core.conditions import Measure
from watchkeeper.core.pack import PACK
from watchkeeper.core.rule import Rule
from watchkeeper.core.tallies import Tally, Window, comparisons_of

SLOT_S = 10
DAY_S = 86_400
RATES = (3, 10, 30, 100, 300, 3_000)  # requests a minute
HEALTHY = 0.01  # share of errors
FAULT = 0.2
GIVE_UP_S = 3_600
FAULTS = 100
DAYS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a healthy service: alarms by rule; and seconds until a fault was found."""

    rate_per_min: float
    days: float
    alarms: dict[str, int]
    found_s: list[float]
    missed: int

    @property
    def alarms_per_day(self) -> float:
        """False alarms a day, of all rules together."""
        return sum(self.alarms.values()) / self.days

    @property
    def median_s(self) -> float:
        """The median of the seconds until a fault was found; inf if none was."""
        return median(self.found_s) if self.found_s else math.inf

    @property
    def p95_s(self) -> float:
        """The 95th percentile of the seconds until a fault was found."""
        found = self.found_s
        return quantiles(found, n=20)[-1] if len(found) > 1 else self.median_s


def request_rules(rules: Sequence[Rule] = PACK) -> list[Rule]:
    """Return the rules that are about the share or number of failed requests, by slots alone."""
    measures = (Measure.ERROR_RATE, Measure.ERRORS, Measure.REQUESTS)
    return [
        rule
        for rule in rules
        if (found := comparisons_of(rule))
        and all(
            one.selector.measure in measures
            and not one.against
            and not one.selector.past
            and not one.selector.filters
            for one in found
        )
        and max(rule.over_s) <= 3_600
    ]


def simulate(
    days: float,
    rate_per_min: float,
    *,
    rules: Sequence[Rule] | None = None,
    faults: int = 0,
    share: float = HEALTHY,
    seed: int = 7,
) -> Result:
    """Serve `days` of Poisson traffic with a share of errors, then `faults` faults of 20 %.

    Each fault begins within a slot, after ten calm minutes, with nothing firing.
    """
    judged = list(rules) if rules is not None else request_rules()
    source = random.Random(seed)  # noqa: S311  # a simulation that repeats
    alarms = dict.fromkeys([rule.name for rule in judged], 0)
    service = _Service(judged, rate_per_min, source)
    for start in range(0, int(days * DAY_S), SLOT_S):
        for name in service.slot(start, share):
            alarms[name] += 1
    found, missed = [], 0
    for number in range(faults):
        service = _Service(judged, rate_per_min, source)
        begin = 600 + number * DAY_S
        for start in range(begin - 600, begin, SLOT_S):
            service.slot(start, share)
        service.before = dict.fromkeys(service.before, Instance())
        for start in range(begin, begin + GIVE_UP_S, SLOT_S):
            if service.slot(start, FAULT):
                found.append(float(start + SLOT_S - begin))
                break
        else:
            missed += 1
    return Result(
        rate_per_min=rate_per_min, days=days, alarms=alarms, found_s=found, missed=missed
    )


class _Service:
    """A service whose slots are judged by some rules."""

    def __init__(self, rules: Sequence[Rule], rate_per_min: float, source: random.Random) -> None:
        self.before = {rule.name: Instance() for rule in rules}
        self._rules = rules
        self._mean = rate_per_min * SLOT_S / 60
        self._source = source
        self._kept_s = int(max(window for rule in rules for window in rule.over_s)) + 3 * SLOT_S
        self._tallies: dict[int, Tally] = {}
        self._bad_slots = 0

    def slot(self, start: int, share: float) -> list[str]:
        """Serve one slot; return the rules that fired at its end."""
        total = poisson(self._mean * (1 - share), self._source)
        bad = poisson(self._mean * share, self._source)
        self._tallies[start] = Tally(total=total + bad, bad=bad)
        self._bad_slots += bad > 0
        gone = self._tallies.pop(start - self._kept_s, None)
        self._bad_slots -= gone is not None and gone.bad > 0
        window = Window(tallies=self._tallies, written=self._tallies.keys())
        fired = []
        for rule in self._rules:
            before = self.before[rule.name]
            if not self._bad_slots and before == Instance():
                continue  # no rule of these fires without an error
            transition = evaluate(
                rule, window, before, now=start + 9.5, slot_s=SLOT_S, settled_until=start
            )
            self.before[rule.name] = transition.after
            if transition.notice in (Notice.FIRING, Notice.FLAPPING):
                fired.append(rule.name)
        return fired


def poisson(mean: float, source: random.Random) -> int:
    """Draw a Poisson number: by Knuth for small means, by the normal approximation for large."""
    if mean > 30:
        return max(round(source.gauss(mean, math.sqrt(mean))), 0)
    limit, number, product = math.exp(-mean), 0, source.random()
    while product > limit:
        number += 1
        product *= source.random()
    return number


def main() -> None:
    """Print what the default rules do, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--days", type=float, default=DAYS)
    parser.add_argument("--faults", type=int, default=FAULTS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for rate in RATES:
        result = simulate(arguments.days, rate, faults=arguments.faults)
        rows.append(
            {
                "requests_per_min": rate,
                "false_alarms_per_day": round(result.alarms_per_day, 2),
                "by_rule": result.alarms,
                "median_s": result.median_s,
                "p95_s": result.p95_s,
                "missed": result.missed,
            }
        )
        if not arguments.json:
            print(rows[-1])
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
