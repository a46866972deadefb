"""Rules on what is stored: the backtest says what the engine did."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from kept import up

from backtested import SCOPE, START, compiled, issue, memory, served
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.metrics import Series
from watchkeeper.core.replayed import Skipped, Unknown
from watchkeeper.core.rules import Alert, Rule
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.dashboard.backtest import Backtest, backtest
from watchkeeper.dashboard.sums import Query
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Batch, CheckChange, CheckResult

RULES = (
    Alert("Errors", when="error_rate > 5%", over=("1m", "5m"), keep="30s"),
    Alert("Errors of a route", when="error_rate > 10%", by="route", over="1m", sure=False),
    Alert("Held", when="error_rate > 5%", over="1m", hold="1m", keep="30s"),
    Alert("Slow", when="p95 > 1s", over="1m", keep="1m"),
    Alert("Memory", when="memory_used > 90%", over="1m", hold="30s", by="host"),
    Alert("Both", when="error_rate > 5% and requests > 100", over="1m", keep="30s"),
    Alert("Either", when="error_rate > 20% or p95 > 1s", over="1m", keep="30s"),
    Alert("Idle", when="requests == 0", over="1m", keep="20s"),
)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, and a real database."""
    path = tmp_path / "watchkeeper.db"
    opened = open_store("memory://" if request.param == "memory" else f"sqlite:///{path}")
    opened.migrate()
    yield opened
    opened.close()


class Live:
    """A service whose worker writes slots, with the engine that judges each of them."""

    def __init__(self, store: Store, *rules: Rule) -> None:
        store.set_meta("installed_at", str(START - 86_400.0))
        self.store = store
        self.rules = rules
        self.worker = store.register(SCOPE, host="web-1", pid=1, at=START).id
        self.at = START
        self.engine = AlertEngine(
            store,
            scope=SCOPE,
            rules=rules,
            channels_for=lambda _: ("ops",),
            slot_s=10,
            link=lambda _: "",
            installed_at=START - 86_400.0,
        )

    def slot(self, values: Mapping[Series, Value], **more: object) -> None:
        """Write a slot and judge it just before it ends."""
        frame = Frame(key=FrameKey(10, self.at, self.worker, 0), values=values)
        at = self.at + 9.9
        self.store.write(Batch(scope=SCOPE, frame=frame, at=at, **more))  # type: ignore[arg-type]
        self.engine.evaluate(now=at)
        self.at += 10

    def written(self, slots: list[Mapping[Series, Value]]) -> None:
        """Write slots of which nothing was judged as they came."""
        frames = [
            Frame(key=FrameKey(10, self.at + 10 * number, self.worker, 0), values=values)
            for number, values in enumerate(slots)
        ]
        self.store.add_frames(frames)
        self.at += 10 * len(slots)

    def incidents(self) -> list[tuple[str, str, int, int | None]]:
        """List what fired: rule, group, the slots in which it did and was over."""
        found = self.store.incidents(
            service="shop",
            environment="production",
            states=("firing", "resolved"),
            since=0.0,
            limit=10_000,
        )
        return sorted(
            (one.rule, one.group, slot(one.fired_at), slot(one.resolved_at)) for one in found
        )

    def replayed(self, *rules: Rule, slots_kept_s: float = 86_400.0) -> Backtest:
        """Test rules on what was stored since the start."""
        query = Query(
            store=self.store,
            service="shop",
            environment="production",
            start=START,
            end=self.at,
            now=self.at,
            slot_s=10,
        )
        return backtest(query, rules or self.rules, slots_kept_s=slots_kept_s)


def failing(minutes: int, bad: set[int]) -> list[Mapping[Series, Value]]:
    """Serve slots, of which those of some minutes fail in part."""
    good = served("/a", "200", 50)
    some = served("/a", "200", 30) | served("/a", "500", 20)
    return [some if number // 6 in bad else good for number in range(minutes * 6)]


def slot(at: float | None) -> int | None:
    return None if at is None else int(at - START) // 10


def spells(done: Backtest) -> list[tuple[str, str, int, int | None]]:
    """List when rules would have fired, as `Live.incidents` does."""
    return sorted(
        (outcome.rule, one.group, slot(one.fired_at), slot(one.resolved_at))
        for outcome in done.rules
        for one in outcome.spells
    )


def an_afternoon(live: Live, *, slots: int, seed: int) -> None:
    """Serve requests that begin to fail, get slow or stay away now and then."""
    dice = random.Random(seed)  # noqa: S311
    trouble, left = "", 0
    for _ in range(slots):
        if left == 0:
            trouble = dice.choice(["", "", "errors", "few", "slow", "idle", "memory"])
            left = dice.choice([1, 3, 8, 15, 30])
        left -= 1
        requests = 0 if trouble == "idle" else dice.choice([3, 30, 60])
        share = {"errors": 0.3, "few": 0.06}.get(trouble, 0.005)
        bad = sum(dice.random() < share for _ in range(requests))
        slow = 2.0 if trouble == "slow" else 0.1
        values = served("/a", "200", requests - bad, slow) | served("/a", "500", bad)
        values |= served("/b", "200", requests // 3)
        live.slot(values | memory(0.95 if trouble == "memory" else 0.4))


def test_the_past_is_judged_as_it_was(store: Store):
    """What the engine fired and ended as it happened, the backtest says of the same data."""
    # Within the cooldown an incident would go on, instead of another one.
    live = Live(store, *compiled(*(replace(one, cooldown="0s") for one in RULES)))

    an_afternoon(live, slots=300, seed=1)

    assert len(live.incidents()) > 10
    assert live.incidents() == spells(live.replayed())


def test_messages_are_those_that_were_sent(store: Store):
    """As many messages are announced as a channel was sent."""
    live = Live(store, *compiled(RULES[0]))

    for _ in range(3):
        for bad in [0] * 40 + [20] * 10 + [0] * 60:
            live.slot(served("/a", "200", 50 - bad) | served("/a", "500", bad))

    assert 6 == len(store.outbox(limit=100))
    assert 6 == live.replayed().rules[0].messages


def test_a_failing_check_is_replayed(store: Store):
    """A check's changes are kept: when it failed and was well again, and with it the rule."""
    rule = Alert("Check", when="check failing", by="check", keep="0s")
    live = Live(store, *compiled(rule))

    for number in range(30):
        change, state = [], "fail" if 10 <= number < 20 else "pass"
        if number in (0, 10, 20):
            before = {0: "unknown", 10: "pass", 20: "fail"}[number]
            change = [
                CheckChange(name="db", worker=0, before=before, after=state, at=live.at + 1.0)
            ]
        runs = {"failures": 3} if state == "fail" else {"successes": 2}
        check = CheckResult(
            name="db", state=state, since=0.0, at=live.at + 1.0, duration_s=0.1, **runs
        )
        live.slot({}, checks=[check], check_changes=change)
    replayed = live.replayed()

    assert [("Check", 'check="db"', 10, 20)] == live.incidents()
    assert live.incidents() == spells(replayed)


def test_a_check_that_a_rule_is_not_about_is_left_out(store: Store):
    """What is skipped, and what another filter names, does not fire."""
    rules = compiled(
        Alert("Mine", when='check{check="disk"} failing', by="check"),
        Alert("Skipped", when="check failing", by="check", skip={"check": "d*"}),
        Alert("Patient", when="check failing", by="check", after=10),
    )
    live = Live(store, *rules)

    change = CheckChange(name="db", worker=0, before="pass", after="fail", at=START + 1.0)
    live.slot({}, check_changes=[change])
    for _ in range(40):
        live.slot({})
    done = live.replayed()

    assert [0, 0, 1] == [outcome.fired for outcome in done.rules]
    # Three runs had failed when it changed; seven more take three and a half minutes.
    assert 21 == slot(done.rules[2].spells[0].fired_at)


def test_events_are_counted_with_their_digests(store: Store):
    """An event rule tells the first at once and its followers in a digest, as it was."""
    rule = Alert("New issue", on="issue.new", digest="5m", level="error")
    live = Live(store, *compiled(rule))

    for number in range(60):
        issues = []
        if number in (5, 7, 8, 50):
            level = "warning" if number == 8 else "error"
            issues = [issue(number, at=live.at + 1.0, level=level)]
        live.slot({}, issues=issues)
    done = live.replayed().rules[0]

    assert 3 == done.fired
    assert [5, 7, 50] == [slot(one.fired_at) for one in done.spells]
    assert 2 == done.messages == len(store.outbox(limit=100))


def test_minutes_serve_where_slots_are_gone(store: Store):
    """Of what is kept by the minute, the same times come out, to the minute."""
    rules = compiled(Alert("Errors", when="error_rate > 5%", over="2m", keep="2m", sure=False))
    live = Live(store, *rules)
    live.written(failing(180, {*range(60, 70), *range(120, 125)}))
    in_slots = live.replayed()

    while roll_up(store, now=live.at + 60, pause=lambda: None):
        pass
    while seal(store, now=live.at + 7_200, pause=lambda: None):
        pass
    store.prune_frames(10, before=live.at + 60, limit=100_000)
    in_minutes = live.replayed()

    assert [2, 2] == [in_slots.rules[0].fired, in_minutes.rules[0].fired]
    assert in_slots.slots_from is not None
    assert in_minutes.slots_from is None
    for fine, coarse in zip(in_slots.rules[0].spells, in_minutes.rules[0].spells, strict=True):
        assert 0 <= coarse.fired_at - fine.fired_at < 60
        assert abs(coarse.resolved_at - fine.resolved_at) <= 60
    assert 180 == in_minutes.judged


def test_the_newest_slots_follow_on_minutes(store: Store):
    """Where older slots are gone, minutes lead up to the slots; nothing is judged twice."""
    rules = compiled(Alert("Errors", when="error_rate > 5%", over="1m", keep="2m", sure=False))
    live = Live(store, *rules)
    live.written(failing(120, {30, 31, *range(55, 63), 90, 91}))

    while roll_up(store, now=live.at + 60, pause=lambda: None):
        pass
    store.prune_frames(10, before=START + 57 * 60, limit=100_000)
    done = live.replayed()

    assert START + 57 * 60 < done.slots_from < START + 60 * 60
    assert 3 == done.rules[0].fired
    assert 3 == len({one.fired_at for one in done.rules[0].spells})
    minutes = (int(done.slots_from) - START) // 60
    assert minutes + (120 - minutes) * 6 == done.judged


def test_a_new_installation_is_judged_by_its_slots(store: Store):
    """The minute in which the first slot begins is rolled up soon, and none before the slots."""
    live = Live(store, *compiled(Alert("Errors", when="error_rate > 5%", over="1m", keep="1m")))
    live.at += 20
    live.written(failing(6, {2, 3}))

    while roll_up(store, now=live.at, pause=lambda: None):
        pass
    done = live.replayed()

    assert START == done.slots_from
    assert 1 == done.rules[0].fired


def test_whole_hours_are_too_coarse(store: Store):
    """What is kept by the hour alone is left out, and said."""
    live = Live(store, *compiled(RULES[0]))
    live.written([served("/a", "200", 5) | {up(): Gauge(1, 1, 1)}] * 720)
    while roll_up(store, now=live.at + 60, pause=lambda: None):
        pass
    while seal(store, now=live.at + 7_200, pause=lambda: None):
        pass
    store.prune_frames(10, before=live.at, limit=100_000)
    store.prune_sealed(before=live.at, limit=100_000)
    store.prune_chunks(before=live.at, limit=100_000)

    done = live.replayed()

    assert 2 * HOUR_S == done.coarse_s
    assert 0 == done.judged


def test_what_cannot_be_replayed_is_said(store: Store):
    """A rule that is off is not judged."""
    rules = compiled(Alert("Off", when="error_rate > 5%", enabled=False), RULES[0])
    live = Live(store, *rules)
    live.slot(served("/a", "200", 10))

    assert [Skipped.OFF, Skipped.NO] == [one.skipped for one in live.replayed().rules]


@pytest.mark.parametrize(
    ("why", "fields"),
    [
        (Unknown.NO_DATA, {"when": "error_rate{route='/nosuch'} > 5%"}),
        (Unknown.NO_DATA, {"when": "requests{route='/nosuch'} > 5"}),
        (Unknown.NO, {"when": "check failing", "by": "check"}),
        (Unknown.NO_DATA, {"when": "check{check='db'} failing", "by": "check"}),
        (Unknown.NO, {"when": "check{check='disk'} failing", "by": "check"}),
        (Unknown.NO, {"when": "errors{route='/a'} > 5"}),
        (Unknown.NO, {"when": "errors > 5"}),
        (Unknown.NO, {"when": "worker missing"}),
    ],
)
def test_what_was_never_recorded_is_not_what_never_fires(
    store: Store, why: Unknown, fields: dict[str, object]
):
    """Labels and names may be misspelt; of all requests none are a number."""
    live = Live(store, *compiled(Alert("A", **fields)))  # type: ignore[arg-type]
    disk = CheckResult(name="disk", state="pass", since=0.0, at=live.at, duration_s=0.1)
    live.slot(served("/a", "200", 50), checks=[disk])
    for _ in range(12):
        live.slot(served("/a", "200", 50))

    (done,) = live.replayed().rules

    assert (0, why) == (done.fired, done.unknown)


def test_where_there_is_no_check_nobody_knows(store: Store):
    """A rule on checks has nothing to look at."""
    live = Live(store, *compiled(Alert("A", when="check failing", by="check")))
    for _ in range(6):
        live.slot(served("/a", "200", 50))

    assert Unknown.NO_DATA == live.replayed().rules[0].unknown


def test_nothing_stored_is_nothing_judged(store: Store):
    """An empty database gives no verdict at all."""
    live = Live(store, *compiled(RULES[0]))
    live.at += 3_600

    done = live.replayed()

    assert (0, None, 0) == (done.judged, done.slots_from, done.rules[0].fired)
    assert done.rules[0].closest is None
