"""Made traffic: requests over routes by Zipf's law, seeded, as values of slots and of hours."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S, MINUTE_S, by_series, summed
from watchkeeper.core.made import make
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.store import ALL_WORKERS, SealedHour

SCOPE: Final = Scope(service="bench", environment="bench", release="1")
SEED: Final = 20
PER_MINUTE: Final = 20_000  # requests, unless said otherwise
SLOT_S: Final = 10
PER_SLOT: Final = PER_MINUTE * SLOT_S // MINUTE_S
FASTEST_S: Final = 0.004  # median of the fastest route
OCTAVES: Final = 6.0  # from the fastest route to the slowest: 4 to 256 ms
SPREAD: Final = 0.5  # sigma of the logarithm: 95 % within a factor of 2.7 of the median


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the number of its route, and how long it took."""

    route: int
    duration_s: float


class Traffic:
    """Endless traffic on so many routes; the same for the same seed.

    Route n is asked for in proportion to 1 / n. Latencies are log-normal about a median of each
    route's own.
    """

    def __init__(self, routes: int, *, seed: int = SEED) -> None:
        """Start the traffic."""
        self._rng = random.Random(seed)  # noqa: S311  # made figures, no secret
        self._weights = list(accumulate(1 / rank for rank in range(1, routes + 1)))
        self._medians = [FASTEST_S * 2 ** self._rng.uniform(0, OCTAVES) for _ in range(routes)]
        self.series = [_duration(f"/shop/section-{at % 17}/page-{at}") for at in range(routes)]

    def requests(self, count: int) -> list[Request]:
        """Return the next requests."""
        draw, medians = self._rng.lognormvariate, self._medians
        chosen = self._rng.choices(range(len(medians)), cum_weights=self._weights, k=count)
        return [Request(route, medians[route] * draw(0.0, SPREAD)) for route in chosen]

    def values(self, requests: int) -> dict[Series, Value]:
        """Return what the next requests add up to, by series; of those asked for only."""
        durations: dict[int, list[float]] = {}
        for one in self.requests(requests):
            durations.setdefault(one.route, []).append(one.duration_s)
        return {self.series[route]: Histogram(some) for route, some in sorted(durations.items())}

    def record(self, recorder: Recorder, requests: int) -> None:
        """Record the next requests as an instrumented application would."""
        for one in self.requests(requests):
            labels = dict(self.series[one.route].labels)
            recorder.series(
                HTTP_DURATION, {name: labels[name] for name in HTTP_DURATION.labels}
            ).record(one.duration_s)

    def hour(self, per_minute: int) -> list[Frame]:
        """Return the minute frames of an hour, the first of all hours."""
        return [
            Frame(
                key=FrameKey(MINUTE_S, minute * MINUTE_S, ALL_WORKERS, 0),
                values=self.values(per_minute),
            )
            for minute in range(HOUR_S // MINUTE_S)
        ]


def sealed(minutes: Sequence[Frame], *, pause: Callable[[], object]) -> list[SealedHour]:
    """Make what a roller writes of an hour's minute frames, the made series among it."""
    turned = by_series(minutes, pause=pause)
    make(minutes, turned, pause=pause)
    return [
        SealedHour(series=series, hour=summed(values), chunk=pack_minutes(values))
        for series, values in turned.items()
    ]


def _duration(route: str) -> Series:
    own = (("method", "GET"), ("route", route), ("status", "200"))
    labels = tuple(sorted((*own, *SCOPE.labels)))
    return Series(HTTP_DURATION.name, HTTP_DURATION.kind, labels, HTTP_DURATION.across)
