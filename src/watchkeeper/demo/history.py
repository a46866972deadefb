"""An hour that the demo shop has behind it: made, seeded, and written as finished minutes."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from watchkeeper.core.catalogue import (
    HOST_CPU,
    HOST_MEMORY,
    HTTP_ACTIVE,
    HTTP_DURATION,
    PROCESS_CPU,
    PROCESS_FDS,
    PROCESS_MEMORY,
    PROCESS_THREADS,
)
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import UNMATCHED, Metric, Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.demo.pages import PAGES
from watchkeeper.demo.profiles import ENVIRONMENT, SERVICE
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import RequestContext
from watchkeeper.runtime.triage import Triage
from watchkeeper.storage.issues import Search
from watchkeeper.storage.store import ALL_WORKERS, Batch, Store

MINUTE_S: Final = 60
MINUTES: Final = 60
RATE: Final = 20.0  # requests a second, on average
SEED: Final = 20
MEMORY_SHARE: Final = 0.5  # of the host's memory in use
HOST: Final = "tea-1"
PID: Final = 4_242
RELEASE: Final = "2.3.7"  # the one before what runs now
BAD_MINUTES: Final = range(22, 27)  # something that went by: slower answers, and errors with it
DEALT_MINUTE: Final = 59  # when somebody had looked at all of it
BAD_FACTOR: Final = 3.0
REFUSED: Final[Mapping[str, tuple[int, float]]] = {
    "product": (404, 0.012),
    "login": (401, 0.06),
    "order": (404, 0.02),
}
LOST_PER_MINUTE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An error of the past: on which page, how often in a given minute, and what raises it.

    `deal` is what somebody did with its issue.
    """

    page: str
    count: Callable[[int], int]
    fail: Callable[[ModuleType], object]
    culprit: str
    deal: Callable[[Triage, int], object]


PAST: Final = (
    Past(
        page="voucher",
        count=lambda minute: 1 if minute % 13 == 5 else 0,
        fail=lambda shop: shop.voucher_percent("TEAPOT"),
        culprit="voucher_percent",
        deal=lambda who, issue: who.mute(
            issue, events=100, comment="Customers mistype vouchers: tell me if many do."
        ),
    ),
    Past(
        page="invoice",
        count=lambda minute: 2 if 40 <= minute < 46 else 0,
        fail=lambda shop: shop.invoice_total([1_990, None]),
        culprit="invoice_total",
        deal=lambda who, issue: who.comment(issue, "Lines without a price: asked accounting."),
    ),
    Past(
        page="catalogue",
        count=lambda minute: 9 if minute in BAD_MINUTES else 0,
        fail=lambda shop: shop.thumbnail({}, "kettle-small.webp"),
        culprit="thumbnail",
        deal=lambda who, issue: who.resolve(
            issue, next_release=True, comment="Pictures are made before they are listed."
        ),
    ),
)


def mark_installed(store: Store, *, until: int) -> None:
    """Say that the installation began with the hour: what is new is told of at once."""
    store.set_meta("installed_at", str(float(until - MINUTES * MINUTE_S)))


def write_history(
    store: Store,
    *,
    shop: ModuleType,
    root: Path,
    until: int,
    memory_share: float = MEMORY_SHARE,
) -> None:
    """Write the hour before `until`, a whole minute since the epoch, into a migrated store.

    `shop` is the application whose errors are raised for real, `root` the folder it lies in.
    The host's memory ends at `memory_share`, so that the charts go on from there.
    The same arguments give the same hour.
    """
    begin = until - MINUTES * MINUTE_S
    scope = Scope(service=SERVICE, environment=ENVIRONMENT, release=RELEASE)
    store.add_frames(tuple(frames(scope, begin=begin, memory_share=memory_share)))
    _write_issues(store, scope, shop=shop, root=root, begin=begin)


def frames(scope: Scope, *, begin: int, memory_share: float = MEMORY_SHARE) -> Iterator[Frame]:
    """Make the frames of the hour from `begin` on, minute by minute."""
    rng = random.Random(SEED)  # noqa: S311  # made figures, no secret
    for minute in range(MINUTES):
        yield Frame(
            key=FrameKey(MINUTE_S, begin + minute * MINUTE_S, ALL_WORKERS, 0),
            values=dict(_values(scope, rng, minute, memory_share=memory_share)),
        )


def _values(
    scope: Scope, rng: random.Random, minute: int, *, memory_share: float
) -> Iterator[tuple[Series, Value]]:
    rate = RATE * _rhythm(minute) * rng.uniform(0.92, 1.08)
    yield from _requests(scope, rng, minute, rate=rate)
    yield from _resources(scope, rng, minute, load=rate / RATE, memory_share=memory_share)


def _requests(
    scope: Scope, rng: random.Random, minute: int, *, rate: float
) -> Iterator[tuple[Series, Value]]:
    """Make the requests of one minute, by page and status."""
    slower = BAD_FACTOR if minute in BAD_MINUTES else 1.0
    errors = {past.page: past.count(minute) for past in PAST}
    weights = sum(page.weight for page in PAGES.values())
    for name, page in PAGES.items():
        status, share = REFUSED.get(name, (0, 0.0))
        refused, good = Histogram(), Histogram()
        for _ in range(round(rate * MINUTE_S * page.weight / weights)):
            taken = refused if rng.random() < share else good
            taken.observe(page.draw_s(rng) * slower)
        failed = Histogram(page.draw_s(rng) * slower for _ in range(errors.get(name, 0)))
        for code, histogram in ((page.status, good), (status, refused), (500, failed)):
            if histogram.count:
                yield _duration(scope, page.method, page.template, code), histogram
    lost = Histogram(rng.uniform(0.0006, 0.002) for _ in range(rng.randrange(LOST_PER_MINUTE)))
    if lost.count:
        yield _duration(scope, "GET", UNMATCHED, 404), lost


def _resources(
    scope: Scope, rng: random.Random, minute: int, *, load: float, memory_share: float
) -> Iterator[tuple[Series, Value]]:
    """Make the gauges of one minute: memory grows a little all the time."""
    figures: tuple[tuple[Metric, float, float], ...] = (
        (PROCESS_CPU, 0.11 * load, 0.02),
        (PROCESS_MEMORY, 78e6 + 0.25e6 * minute, 0.4e6),
        (PROCESS_FDS, 31.0, 3.0),
        (PROCESS_THREADS, 14.0, 1.0),
        (HOST_CPU, 0.18 + 0.1 * load, 0.03),
        (HOST_MEMORY, memory_share * (1 - 0.001 * (MINUTES - minute)), memory_share * 0.008),
        (HTTP_ACTIVE, 2.0 * load, 1.0),
    )
    for metric, centre, width in figures:
        low, last, high = sorted(centre + rng.uniform(-width, width) for _ in range(3))
        if metric in (PROCESS_FDS, PROCESS_THREADS, HTTP_ACTIVE):
            low, last, high = float(round(low)), float(round(last)), float(round(high))
        labels = {"host": HOST, "worker": "1"}
        own = {name: labels[name] for name in metric.labels}
        yield _series(scope, metric, own), Gauge(last=last, min=low, max=high)


def _write_issues(store: Store, scope: Scope, *, shop: ModuleType, root: Path, begin: int) -> None:
    """Raise the errors of the past for real, each at its time, and store them as issues."""
    at = float(begin)
    issues = Issues(scope, places=Places(str(root)), clock=lambda: at)
    worker = store.register(scope, host=HOST, pid=PID, at=at)
    for minute in range(MINUTES):
        start = begin + minute * MINUTE_S
        for past in PAST:
            count = past.count(minute)
            for number in range(count):
                at = start + (number + 0.5) * MINUTE_S / count
                _capture(issues, past, shop)
        counts, events = issues.take()
        if counts:
            store.write(
                Batch(
                    scope=scope,
                    frame=Frame(key=FrameKey(MINUTE_S, start, worker.id, minute)),
                    at=float(start + MINUTE_S),
                    issues=counts,
                    events=events,
                )
            )
    store.stop_worker(worker.id, at=float(begin + MINUTES * MINUTE_S))
    _deal(store, scope, at=float(begin + DEALT_MINUTE * MINUTE_S))


def _deal(store: Store, scope: Scope, *, at: float) -> None:
    """Let somebody have looked at the issues, so that they are in different states."""
    who = Triage(store, scope, actor="cli mira", now=at)
    for past in PAST:
        here = Search(service=scope.service, environment=scope.environment, text=past.culprit)
        for issue in store.find_issues(here):
            past.deal(who, issue.id)


def _capture(issues: Issues, past: Past, shop: ModuleType) -> None:
    page = PAGES[past.page]
    request = RequestContext(method=page.method, route=page.template, status=500)
    try:
        past.fail(shop)
    except (ValueError, TypeError, KeyError) as error:
        issues.capture(error, request=request)


def _rhythm(minute: int) -> float:
    """Return how busy a minute is, 1 on average."""
    return 1 + 0.22 * math.sin(minute / 9.5) + 0.08 * math.sin(minute / 2.7)


def _duration(scope: Scope, method: str, route: str, status: int) -> Series:
    return _series(scope, HTTP_DURATION, {"method": method, "route": route, "status": str(status)})


def _series(scope: Scope, metric: Metric, own: Mapping[str, str]) -> Series:
    labels = tuple(sorted((*own.items(), *scope.labels)))
    return Series(metric.name, metric.kind, labels, metric.across)
