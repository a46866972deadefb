"""How often `watchkeeper verdict --wait 30m` is wrong, and what it finds, by simulated releases.

make bench-verdict                        100 releases of each of twelve kinds, 6 minutes of CPU
make bench-verdict ARGS=--quick           the same with fewer, for a first impression
make bench-verdict ARGS=--markdown        and the tables of docs/deploys.md

Each is the usual case: a release of ten routes that is looked at four times within 30 minutes,
beside an hour of the one before it and beside the same half hour of last week. One client of a
hundred leaves before it is answered. In "calm" minutes requests are independent; in "restless" and
"lasting" ones the shares of errors and of clients that leave, and the latency, of each minute
wander by 30 % (a first-order autoregression with 0.6 and 0.9 from minute to minute).
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, sqrt
from typing import Any, Final

import goals
import options
import report
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.looks import looks
from watchkeeper.core.release_verdict import ALPHA, Against, Outcome, judge
from watchkeeper.core.route_minutes import Minute, Route

MINUTES, MINUTES_BEFORE = 30, 60
WAITED = looks(MINUTES * 60.0, ALPHA)
P95_S: Final = 0.200
Z_95: Final = 1.6448536  # of the normal distribution
SIGMA: Final = 0.6  # of log seconds: p95 is 2.7 times the median
RATES: Final = (10, 40)  # requests of a route each minute
SHARES: Final = (0.002, 0.02)
ROUTES: Final = tuple(("GET", f"/{number}") for number in range(10))
CHANGED: Final = ROUTES[0]
LEFT: Final = 0.01
FACTORS: Final = {
    "errors": (2.0, 3.0, 10.0),
    "p95": (1.5, 2.0, 3.0, 10.0),
    "left": (5.0, 20.0),
}
DRAWN: Final = [exp(random.Random(number).gauss(0, SIGMA)) for number in range(20_000)]  # noqa: S311
MOST_FALSE: Final = 0.05
ALARMS: Final = (Outcome.WORSE, Outcome.DOUBTFUL)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far minutes wander, how much of it is in the next one, and whether that is covered."""

    deviation: float
    again: float
    covered: bool = True


NOISE: Final = {
    "calm": Noise(deviation=0.0, again=0.0),
    "restless": Noise(deviation=0.3, again=0.6),
    "lasting": Noise(deviation=0.3, again=0.9, covered=False),
}


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How many releases of each kind: without a change, and how many of these with each one."""

    same: int
    changed: int
    routes: int = len(ROUTES)


FULL: Final = Extent(same=100, changed=40)
QUICK: Final = Extent(same=30, changed=10)
TINY: Final = Extent(same=1, changed=1, routes=2)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of application."""

    noise: Noise
    rate: float
    share: float
    routes: Sequence[Route]

    def minutes(
        self, dice: random.Random, number: int, *, changed: str = "", factor: float = 1.0
    ) -> list[Minute]:
        """Draw the minutes of one route, of which `changed` is so many times what it was."""
        deviation, again, drift = self.noise.deviation, self.noise.again, dice.gauss(0, 1)
        bad = self.share * (factor if changed == "errors" else 1.0)
        leaving = LEFT * (factor if changed == "left" else 1.0)
        median_s = P95_S / exp(Z_95 * SIGMA) * (factor if changed == "p95" else 1.0)
        found = []
        for _ in range(number):
            drift = again * drift + sqrt(1 - again**2) * dice.gauss(0, 1)
            wander = exp(deviation * drift - deviation**2 / 2)
            requests = max(round(dice.gauss(self.rate, sqrt(self.rate))), 0)
            errors = sum(dice.random() < bad * wander for _ in range(requests))
            left = sum(dice.random() < leaving * wander for _ in range(requests - errors))
            middle_s = median_s * wander
            times = Histogram([middle_s * one for one in dice.choices(DRAWN, k=requests - left)])
            found.append(Minute(requests=requests, errors=errors, durations=times))
        return found

    def sample(self, dice: random.Random, number: int) -> dict[Route, list[Minute]]:
        """Draw all routes."""
        return {route: self.minutes(dice, number) for route in self.routes}


Routes = Mapping[Route, Sequence[Minute]]


def waited_for(new: Routes, references: Mapping[Against, Routes]) -> Outcome:
    """Return what `--wait 30m` ends with: the first look that finds it worse, or the last one."""
    for look in WAITED:
        upto = round(MINUTES * look.after_s / WAITED[-1].after_s)
        part = {route: minutes[:upto] for route, minutes in new.items()}
        last_week = {
            route: minutes[:upto] for route, minutes in references[Against.LAST_WEEK].items()
        }
        found = judge(part, {**references, Against.LAST_WEEK: last_week}, alpha=look.alpha).outcome
        if found is Outcome.WORSE:
            break
    return found


def simulate(kind: Kind, extent: Extent, *, name: str) -> dict[str, Any]:
    """Wait for releases that changed nothing, then judge them with one route that is worse.

    What is found at the end of the wait counts; the early looks may find it as well.
    """
    dice = random.Random(name)  # noqa: S311
    alarms = Counter[Outcome]()
    found = Counter[tuple[str, float]]()
    for number in range(extent.same):
        new = kind.sample(dice, MINUTES)
        references = {
            Against.PREVIOUS: kind.sample(dice, MINUTES_BEFORE),
            Against.LAST_WEEK: kind.sample(dice, MINUTES),
        }
        alarms[waited_for(new, references)] += 1
        if number >= extent.changed:
            continue
        for changed, factors in FACTORS.items():
            for factor in factors:
                worse = kind.minutes(dice, MINUTES, changed=changed, factor=factor)
                verdict = judge(new | {CHANGED: worse}, references, alpha=WAITED[-1].alpha)
                outcome = next(one.outcome for one in verdict.routes if one.route == CHANGED[1])
                found[changed, factor] += outcome is Outcome.WORSE
    wrong = sum(alarms[one] for one in ALARMS)
    return {
        "worse": alarms[Outcome.WORSE],
        "wrong": wrong,
        "power": {
            changed: {str(factor): found[changed, factor] for factor in factors}
            for changed, factors in FACTORS.items()
        },
    }


def run(extent: Extent) -> dict[str, Any]:
    """Simulate every kind."""
    found: dict[str, Any] = options.head() | {"releases": extent.same, "changed": extent.changed}
    found["kinds"] = {
        f"{noise} {rate} {share:.1%}": simulate(
            Kind(noise=NOISE[noise], rate=rate, share=share, routes=ROUTES[: extent.routes]),
            extent,
            name=f"{noise} {rate} {share}",
        )
        for noise, rate, share in product(NOISE, RATES, SHARES)
    }
    found["false_alarms"] = {}
    for noise, about in NOISE.items():
        some = [one["wrong"] for name, one in found["kinds"].items() if name.startswith(noise)]
        wrong, of = sum(some), extent.same * len(some)
        found["false_alarms"][noise] = {"wrong": wrong, "of": of}
        share = round(wrong / of, 4)
        found[noise] = (
            goals.at_most(MOST_FALSE, share, "of all verdicts") if about.covered else share
        )
    return options.judged(found)


def main() -> None:
    """Run the simulation and print what it found."""
    asked = options.parse(
        __doc__, extents={"full": FULL, "quick": QUICK, "tiny": TINY}, parts=(), names=()
    )
    found = run(asked.extent)
    options.show(found, markdown=asked.markdown, write=report.write_verdict)


if __name__ == "__main__":
    main()
