"""What the engine judges by: groups, workers, earlier weeks and days, and rules that change."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from watchkeeper.core.alerts import Reason, State
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.runtime.configured import make_engine
from watchkeeper.runtime.hours import seal
from watchkeeper.settings import Settings
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import ALL_WORKERS, Batch, Store

SCOPE = Scope(service="shop", environment="production")
DAY_S = 24 * HOUR_S
WEEK_S = 7 * DAY_S
NOW = 2_000_000 * 600 + 1_800  # half past an hour
BY_ROUTE = Alert("Errors", when="error_rate > 5%", over="1m", keep="30s", by="route")
SPIKE = Alert("Spike", when="errors > 3x same_time_last_week", over="15m", at_least=20)


def compiled(*alerts: Alert) -> list[Rule]:
    return [compile_alert(one, where="test", origin=Origin.CODE, slot_s=10.0) for one in alerts]


def served(route: str, bad: int, good: int, seconds: float = 0.1) -> dict[Series, Value]:
    found: dict[Series, Value] = {}
    for status, count in (("500", bad), ("200", good)):
        labels = {"method": "GET", "route": route, "status": status}
        pairs = tuple(sorted((*SCOPE.labels, *labels.items())))
        if count:
            series = Series(HTTP_DURATION.name, Kind.HISTOGRAM, pairs)
            found[series] = Histogram([seconds] * count)
    return found


def engine(store: Store, *rules: Rule, **options: Any) -> AlertEngine:
    return AlertEngine(
        store,
        scope=SCOPE,
        rules=rules,
        channels_for=lambda severity: ("hook",),
        slot_s=10,
        link=lambda incident: "/",
        installed_at=0.0,
        **options,
    )


def slot(store: Store, worker: int, start: int, values: dict[Series, Value]) -> None:
    frame = Frame(key=FrameKey(10, start, worker, 0), values=values)
    store.write(Batch(scope=SCOPE, frame=frame, at=start + 9.9))


def states(store: Store) -> dict[str, str]:
    rows = store.alerts(service="shop", environment="production")
    return {row.group: row.state for row in rows if "labels" in row.data}


def told(store: Store) -> list[tuple[str, str]]:
    return [(one.payload["rule"], one.kind) for one in store.outbox(limit=500)[::-1]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, and a real database."""
    path = tmp_path / "watchkeeper.db"
    store = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{path}")
    store.migrate()
    yield store
    store.close()


def test_beyond_the_most_groups_the_largest_are_told_and_one_stands_for_the_rest(
    store: Store,
) -> None:
    """Ten routes fail, three may be told apart: the three worst, and one more for seven."""
    [rule] = compiled(replace(BY_ROUTE, max_groups=3))
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    values: dict[Series, Value] = {}
    for number in range(10):
        values |= served(f"/{number}", 20 + number, 10)
    slot(store, worker, NOW, values)

    transitions = judge.evaluate(now=NOW + 9.9)

    firing = {'route="/7"', 'route="/8"', 'route="/9"', 'route="(other)"'}
    assert dict.fromkeys(firing, "firing") == states(store)
    assert [6] == [one.verdict.more for one in transitions if one.verdict and one.verdict.more]


def test_what_stood_for_the_rest_ends_when_the_rest_is_well(store: Store) -> None:
    """The instance of many groups is resolved like any other."""
    [rule] = compiled(replace(BY_ROUTE, max_groups=1))
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    for number in range(20):
        bad = 20 if number < 2 else 0
        slot(store, worker, NOW + 10 * number, served("/a", bad, 20) | served("/b", bad, 20))
        judge.evaluate(now=NOW + 10 * number + 9.9)

    assert {'route="/a"': "ok", 'route="(other)"': "ok"} == states(store)
    assert [2, 2] == [len(one.payload["alerts"]) for one in store.outbox(limit=500)]


def test_young_workers_are_left_out_of_latency_but_not_of_errors(store: Store) -> None:
    """A process that has just begun is slow, and that wakes nobody; its errors do."""
    slow, failing = compiled(
        Alert("Slow", when="p95 > 1s", over="1m"),
        Alert("Errors", when="error_rate > 5%", over="1m"),
    )
    judge = engine(store, slow, failing)
    worker = store.register(SCOPE, host="h", pid=1, at=NOW + 4).id  # amid its first slot
    slot(store, worker, NOW, served("/", 30, 30, seconds=3.0))
    judge.evaluate(now=NOW + 9.9)
    first = told(store)

    slot(store, worker, NOW + 40, served("/", 30, 30, seconds=3.0))
    judge.evaluate(now=NOW + 49.9)

    assert [("Errors", "firing")] == first
    assert [("Errors", "firing"), ("Slow", "firing")] == told(store)


def test_a_worker_that_falls_silent_is_an_instance_and_ends_when_it_is_back(store: Store) -> None:
    """Each missing worker is told by host and number, as long as others live."""
    [rule] = compiled(Alert("Worker missing", when="worker missing"))
    judge = engine(store, rule)
    one, two = (store.register(SCOPE, host=host, pid=1, at=NOW - 99) for host in ("a", "b"))
    for number in range(12):
        start = NOW + 10 * number
        slot(store, one.id, start, {})
        if not 1 <= number < 8:
            slot(store, two.id, start, {})
        judge.evaluate(now=start + 9.9)

    assert [("Worker missing", "firing"), ("Worker missing", "resolved")] == told(store)
    assert [f'host="b",worker="{two.number}"'] == list(states(store))


def hours_of_errors(store: Store, errors: dict[int, int], route: str = "/") -> None:
    """Store hours with so many errors among 6,000 requests, and seal them."""
    for hour, bad in errors.items():
        frames = [
            Frame(
                key=FrameKey(60, hour + 60 * minute, ALL_WORKERS, 0),
                values=served(route, bad if minute == 0 else 0, 100),
            )
            for minute in range(60)
        ]
        store.add_frames(frames)
    while seal(store, now=max(errors) + 3 * HOUR_S, pause=lambda: None):
        pass


@pytest.mark.parametrize(
    ("fires", "bad", "usual"),
    [(True, 200, 100), (False, 60, 100), (True, 30, 0), (False, 19, 0), (False, 200, None)],
)
def test_a_spike_is_compared_with_the_same_hour_of_earlier_weeks(
    store: Store, fires: bool, bad: int, usual: int | None
) -> None:
    """Without an earlier week nothing fires, and with a quiet one nothing below the floor."""
    [rule] = compiled(SPIKE)
    hour = NOW - NOW % HOUR_S
    if usual is not None:
        hours_of_errors(store, {hour - WEEK_S: usual})
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    slot(store, worker, NOW, served("/", bad, 500))

    judge.evaluate(now=NOW + 9.9)

    assert fires is (told(store) == [("Spike", "firing")])


@pytest.mark.parametrize(("zone", "fires"), [("Europe/Berlin", True), ("UTC", False)])
def test_hours_are_those_of_the_users_clock(store: Store, zone: str, fires: bool) -> None:
    """After a change of clocks ten in the morning is compared with ten in the morning."""
    changed = datetime(2026, 10, 26, 10, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    before = datetime(2026, 10, 19, 10, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    hours_of_errors(store, {int(before): 0})
    rules, now = compiled(SPIKE), int(changed)
    settings = Settings(time_zone=zone, channels={"hook": {"type": "log"}})
    hook = {"hook": object()}
    judge = make_engine(settings, rules, hook, store, scope=SCOPE, now=float(now - WEEK_S * 5))
    slot(store, store.register(SCOPE, host="h", pid=1, at=now - 99).id, now, served("/", 30, 90))

    judge.evaluate(now=now + 9.9)

    assert fires is (told(store) == [("Spike", "firing")])


def test_a_new_group_is_not_compared_for_a_day(store: Store) -> None:
    """A route that is in no hour of last week nor of yesterday is new."""
    [rule] = compiled(replace(SPIKE, by="route"))
    hour = NOW - NOW % HOUR_S
    hours_of_errors(store, {hour - WEEK_S: 0}, route="/old")
    hours_of_errors(store, {hour - DAY_S - 3 * HOUR_S: 0}, route="/yesterday")
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    routes = ("/old", "/yesterday", "/new")
    values: dict[Series, Value] = {}
    for route in routes:
        values |= served(route, 90, 90)
    slot(store, worker, NOW, values)

    judge.evaluate(now=NOW + 9.9)

    assert {'route="/old"': "firing", 'route="/yesterday"': "firing"} == states(store)


def test_no_traffic_is_told_where_there_used_to_be_some(store: Store) -> None:
    """Nobody comes at an hour at which thousands did a week ago."""
    [rule] = compiled(
        Alert(
            "No traffic",
            when="requests == 0",
            over="1m",
            only_if="requests{same_time_last_week} > 50",
        )
    )
    hours_of_errors(store, {NOW - NOW % HOUR_S - WEEK_S: 0})
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    for number in range(8):
        slot(store, worker, NOW + 10 * number, {})
        judge.evaluate(now=NOW + 10 * number + 9.9)

    assert [("No traffic", "firing")] == told(store)


def long_rule() -> Rule:
    [rule] = compiled(Alert("Budget", when="error_rate > 1%", over="1m", sure=False, keep="0s"))
    return replace(rule, over_s=(3 * DAY_S,))


def test_days_are_judged_from_stored_hours_and_minutes(store: Store) -> None:
    """Errors of two days ago count in a window of three, once everything has been read."""
    hour = NOW - NOW % HOUR_S
    hours_of_errors(store, {hour - 50 * HOUR_S: 100, hour - 20 * HOUR_S: 40})
    judge, worker = engine(store, long_rule()), store.register(SCOPE, host="h", pid=1, at=NOW).id
    for number in range(15):
        slot(store, worker, NOW + 10 * number, served("/", 0, 1))
        judge.evaluate(now=NOW + 10 * number + 9.9)

    [row] = store.alerts(service="shop", environment="production")
    assert ("firing", 140.0) == (row.state, row.data["bad"])
    assert 12_140 <= row.data["total"] <= 12_155


def test_minutes_that_are_not_in_an_hour_yet_count_too(store: Store) -> None:
    """What was rolled up a minute ago is neither lost nor counted twice."""
    key = FrameKey(60, NOW - 120, ALL_WORKERS, 0)
    store.add_frames([Frame(key=key, values=served("/", 30, 70))])
    judge, worker = engine(store, long_rule()), store.register(SCOPE, host="h", pid=1, at=NOW).id
    slot(store, worker, NOW - 90, served("/", 7, 0))  # in that minute already
    slot(store, worker, NOW, served("/", 5, 5))
    for number in range(13):
        judge.evaluate(now=NOW + 9.0 + number / 100)

    [row] = store.alerts(service="shop", environment="production")
    assert (35.0, 110.0) == (row.data["bad"], row.data["total"])


def test_other_rules_keep_what_was_read_for_those_that_stay(store: Store) -> None:
    """A changed set is followed at the next evaluation; what fires goes on firing."""
    first, second = compiled(
        Alert("Errors", when="error_rate > 5%", over="1m", keep="30s"),
        Alert("Traffic", when="requests > 10", over="1m"),
    )
    judge, worker = engine(store, first), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    slot(store, worker, NOW, served("/", 30, 30))
    judge.evaluate(now=NOW + 9.9)

    judge.set_rules([first, second])
    slot(store, worker, NOW + 10, served("/", 0, 1))
    judge.evaluate(now=NOW + 19.9)
    longer = replace(first, over_s=(60.0, 300.0))
    judge.set_rules([longer])
    transitions = judge.evaluate(now=NOW + 29.9)

    assert [("Errors", "firing"), ("Traffic", "firing")] == told(store)[:2]
    assert Reason.EDITED in [one.reason for one in transitions]


def test_labels_named_in_another_order_are_the_same_groups(store: Store) -> None:
    """Such an edit while it fires is no news: the incident goes on, and ends."""
    [before] = compiled(replace(BY_ROUTE, by=("route", "method")))
    [after] = compiled(replace(BY_ROUTE, by=("method", "route")))
    judge, worker = engine(store, before), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id

    for number in range(40):
        bad = 30 if number < 9 else 0
        slot(store, worker, NOW + 10 * number, served("/a", bad, 30))
        judge.set_rules([before if number < 3 else after])
        judge.evaluate(now=NOW + 10 * number + 9.9)

    assert [("Errors", "firing"), ("Errors", "resolved")] == told(store)
    assert "ok" == states(store)['method="GET",route="/a"']


def test_a_clock_set_back_is_logged_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wonders why an alert came late finds the reason; small corrections are none."""
    judge = engine(store, *compiled(BY_ROUTE))
    for now in (NOW + 100, NOW + 95, NOW - 3_505, NOW - 3_495):
        judge.evaluate(now=float(now))

    [line] = caplog.messages
    assert line.startswith("watchkeeper: the clock was set back by 3600 s")


def test_many_engines_at_once_open_one_incident_each(tmp_path: Path) -> None:
    """Eight threads with connections of their own: compare-and-set decides, one copy each."""
    url = f"sqlite:///{tmp_path / 'watchkeeper.db'}"
    stores = [open_store(url) for _ in range(8)]
    stores[0].migrate()
    worker = stores[0].register(SCOPE, host="h", pid=1, at=NOW - 99).id
    rules = compiled(BY_ROUTE, replace(BY_ROUTE, name="Traffic", when="requests > 10", keep="0s"))
    engines = [engine(one, *rules) for one in stores]
    barrier = threading.Barrier(len(engines))

    def evaluate(judge: AlertEngine, now: float) -> None:
        barrier.wait(timeout=30)
        judge.evaluate(now=now)

    for number in range(14):
        start = NOW + 10 * number
        bad = 30 if number < 2 else 0
        slot(stores[0], worker, start, served("/a", bad, 20) | served("/b", bad, 20))
        threads = [
            threading.Thread(target=evaluate, args=(judge, start + 9.9)) for judge in engines
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    routes = sorted(
        (one.payload["rule"], one.kind, alert["labels"]["route"])
        for one in stores[0].outbox(limit=500)
        for alert in one.payload["alerts"]
    )
    for one in stores:
        one.close()
    assert [
        ("Errors", "firing", "/a"),
        ("Errors", "firing", "/b"),
        ("Errors", "resolved", "/a"),
        ("Errors", "resolved", "/b"),
        ("Traffic", "firing", "/a"),
        ("Traffic", "firing", "/b"),
    ] == routes


def test_what_flaps_is_one_incident(store: Store) -> None:
    """After the fourth time within the hour it is told once more, and then stays one."""
    [rule] = compiled(Alert("Errors", when="error_rate > 5%", over="20s", keep="20s"))
    judge, worker = engine(store, rule), store.register(SCOPE, host="h", pid=1, at=NOW - 99).id
    reasons = []
    for number in range(150):  # ten minutes more than it flaps: people hear of a calm end
        bad = 30 if number % 6 == 0 and number < 72 else 0
        slot(store, worker, NOW + 10 * number, served("/", bad, 30))
        reasons += [one.reason for one in judge.evaluate(now=NOW + 10 * number + 9.9)]

    assert (4, 1, 5) == tuple(
        reasons.count(one) for one in (Reason.FIRED, Reason.FLAPPING, Reason.RESOLVED)
    )
    assert {"": State.OK} == states(store)
    kinds = [kind for _, kind in told(store)]
    assert ["firing", "resolved", "again", "flapping", "resolved"] == kinds
