"""The backtest says what the engine did: the same incidents, and as many messages of each rule."""

import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from backtested import SCOPE, START, expanded, issue, memory, served
from watchkeeper.core.metrics import Series
from watchkeeper.core.rules import Alert, Rule
from watchkeeper.core.silences import parse_quiet_hours, parse_silences
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.dashboard.backtest import Backtest, backtest
from watchkeeper.dashboard.sums import Query
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Batch
from watchkeeper.testing import ManualClock

DAY_S = 86_400


class Service:
    """A service with several workers, whose engine judges and tells as it goes."""

    def __init__(self, *alerts: Alert, audience: Audience | None = None) -> None:
        self.store: Store = open_store("memory://")
        self.clock = ManualClock(float(START))
        self.audience = audience or Audience(
            channels_for=lambda severity: ("ops", "boss") if severity == "critical" else ("ops",),
            links=lambda _: Links(),
        )
        self.rules = [rule for alert in alerts for rule in expanded(alert)]
        self.store.set_meta("installed_at", str(START - DAY_S))
        self.workers: list[int] = []
        self.start_worker()
        self.engine = AlertEngine(
            self.store,
            scope=SCOPE,
            rules=self.rules,
            slot_s=10,
            installed_at=START - DAY_S,
            audience=self.audience,
        )

    def start_worker(self) -> int:
        host = f"web-{len(self.workers) + 1}"
        worker = self.store.register(SCOPE, host=host, pid=1, at=self.clock())
        self.workers.append(worker.id)
        return worker.id

    def slot(self, values: Mapping[Series, Value], **more: object) -> None:
        """Let every worker write a slot, the first one the values; judge, and send what is due."""
        start = int(self.clock())
        self.clock.move(9.999)  # as the backtest does: when the slot is full
        now = self.clock()
        for number, worker in enumerate(self.workers):
            frame = Frame(key=FrameKey(10, start, worker, 0), values=values if number == 0 else {})
            first = more if number == 0 else {}
            self.store.write(Batch(scope=SCOPE, frame=frame, at=now, **first))  # type: ignore[arg-type]
        self.engine.evaluate(now=now)
        for row in self.store.claim(at=now, hold_s=60.0, channels=("ops", "boss"), limit=1_000):
            self.store.settle(row, status="sent", at=now)
        self.clock.move(start + 10 - self.clock())

    def replayed(self, *rules: Rule) -> Backtest:
        query = Query(
            store=self.store,
            service="shop",
            environment="production",
            start=START,
            end=self.clock(),
            now=self.clock(),
            slot_s=10,
        )
        return backtest(
            query, rules or self.rules, slots_kept_s=30 * DAY_S, audience=self.audience
        )

    def told(self) -> dict[str, int]:
        """Count the messages of each rule, each once however many channels it went to."""
        sent = {
            (str(row.payload["rule"]), row.kind, row.created_at, row.incident)
            for row in self.store.outbox(limit=50_000)
        }
        return dict(Counter(rule for rule, *_ in sent))

    def begun(self) -> dict[str, int]:
        found = self.store.incidents(
            service="shop",
            environment="production",
            states=("firing", "resolved", "event"),
            since=0.0,
            limit=50_000,
        )
        return dict(Counter(one.rule for one in found))


def assert_equal(service: Service) -> Backtest:
    """Compare what happened with what is said of it."""
    done = service.replayed()
    assert service.told() == {one.rule: one.messages for one in done.rules if one.messages}
    assert service.begun() == {one.rule: one.incidents for one in done.rules if one.incidents}
    return done


RULES = (
    Alert("Errors", when="error_rate > 5%", over=("1m", "5m"), keep="1m", severity="critical"),
    Alert(
        "Route fails", when="error_rate > 10%", by="route", over="1m", sure=False, keep="30s",
        cooldown="295s", group_wait="30s", quiet_while="Errors",
    ),
    Alert("Flaps", when="error_rate > 5%", over="1m", keep="0s", sure=False, cooldown="0s"),
    Alert("Slow", when="p95 > 1s", over="1m", hold="30s", repeat="5m", keep="1m",
          worse={"when": "p95 > 3s", "severity": "critical"}),
    Alert("Memory", when="memory_used > 90%", hold="30s", by="host", repeat="10m",
          escalate_after="5m", escalate_to="boss"),
    Alert("Idle", when="requests == 0", over="1m", keep="20s", cooldown="115s"),
    Alert("Low", when="requests < 20", over="1m", keep="20s"),
    Alert("Tried", when="error_rate > 1%", over="1m", sure=False, shadow=True),
    Alert("New issue", on="issue.new", digest="5m", level="error"),
    Alert("Worker gone", when="worker missing"),
)  # fmt: skip


def troubled(service: Service, *, slots: int, seed: int) -> None:
    """Serve requests that begin to fail on some routes, get slow or stay away now and then."""
    dice = random.Random(seed)  # noqa: S311
    trouble, left = "", 0
    for number in range(slots):
        if left == 0:
            trouble = dice.choice(
                ["", "errors", "route", "few", "slow", "slower", "idle", "memory"]
            )
            left = dice.choice([1, 3, 8, 15, 60])
        left -= 1
        values: dict[Series, Value] = {}
        for name in ("/a", "/b", "/c", "/d"):
            requests = 0 if trouble == "idle" else dice.choice([1, 5, 30])
            share = {"errors": 0.3, "few": 0.06}.get(trouble, 0.3 if trouble == name else 0.004)
            if trouble == "route" and name != "/a":
                share = 0.3
            bad = sum(dice.random() < share for _ in range(requests))
            slow = {"slow": 2.0, "slower": 5.0}.get(trouble, 0.1)
            values |= served(name, "200", requests - bad, slow) | served(name, "500", bad)
        issues = []
        if dice.random() < 0.02:
            issues = [issue(number, at=service.clock() + 1.0, level="error")]
        if number == slots // 3:
            service.start_worker()
        if number == slots // 2 and len(service.workers) > 1:
            service.workers.pop()  # it crashes
        service.slot(values | memory(0.95 if trouble == "memory" else 0.4), issues=issues)


@pytest.mark.parametrize("seed", [1, 2])
def test_incidents_and_messages_are_those_that_were(seed: int):
    """Grouped, flapping, reminded, worse, escalated, inhibited: all as it happened."""
    service = Service(*RULES)

    troubled(service, slots=400, seed=seed)
    done = assert_equal(service)

    assert {one.rule for one in done.rules if one.fired} >= {"Errors", "Flaps", "Worker gone"}
    assert sum(one.messages for one in done.rules) > 15


def test_silences_and_quiet_hours_hold_back_as_they_did():
    """What the settings keep from being told is not counted."""
    silences = parse_silences(
        (
            {
                "match": {"rule": "Flaps"},
                "from": "2020-01-01T00:00:00Z",
                "until": "2040-01-01T00:00:00Z",
            },
        ),
        where="test",
    )
    quiet = parse_quiet_hours({"every": "daily 00:00-23:59 UTC"}, where="t")
    audience = Audience(
        channels_for=lambda _: ("ops",), links=lambda _: Links(), silences=silences,
        quiet_hours=quiet,
    )  # fmt: skip
    service = Service(*RULES, audience=audience)

    troubled(service, slots=150, seed=4)
    done = assert_equal(service)

    assert {"Errors", "Slow"} == {one.rule for one in done.rules if one.messages}
    assert next(one for one in done.rules if one.rule == "Flaps").fired > 0


def calm(service: Service, *, slots: int, change: Callable[[int], int]) -> None:
    for number in range(slots):
        bad = change(number)
        service.slot(served("/", "200", 50 - bad) | served("/", "500", bad))


def test_long_windows_are_replayed():
    """What looks back for hours is read from minutes and hours, as it was."""
    slo = {"target": "99%", "good": "status < 500", "period": "30d"}
    service = Service(Alert("Budget", slo=slo))

    calm(service, slots=400, change=lambda number: 20 if 100 <= number < 160 else 0)
    done = assert_equal(service)

    assert max(one.over_s[-1] for one in service.rules) > 3_600.0
    assert sum(one.fired for one in done.rules) >= 2
