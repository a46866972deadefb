"""The alert engine on a store: one message per incident, whoever evaluates."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.core.alerts import Reason, State, Transition
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.runtime.alerts import AlertEngine, Thresholds
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    CheckResult,
    Incident,
    IssueCount,
    OutboxRow,
    Store,
)

SCOPE = Scope(service="shop", environment="production")
START = 10_000
FAST = Alert("Errors", when="error_rate > 5%", over="1m", keep="30s", severity="critical")


def compiled(*alerts: Alert) -> list[Rule]:
    return [
        compile_alert(alert, where="test", origin=Origin.CODE, slot_s=10.0) for alert in alerts
    ]


def served(route: str, status: str, number: int, seconds: float = 0.1) -> dict[Series, Value]:
    labels = {"method": "GET", "route": route, "status": status}
    series = Series(
        HTTP_DURATION.name,
        Kind.HISTOGRAM,
        tuple(sorted((*SCOPE.labels, *labels.items()))),
    )
    return {series: Histogram([seconds] * number)}


class Service:
    """A service with one worker that writes slots and evaluates after each."""

    def __init__(self, store: Store, *rules: Rule, **options: Any) -> None:
        self.store = store
        self.engine = engine(store, *rules, **options)
        self.worker = store.register(SCOPE, host="h", pid=1, at=START).id
        self.start = START

    def slot(self, bad: int = 0, total: int = 100, **rest: Any) -> list[Transition]:
        """Serve one slot of requests, flush and evaluate; return what changed its state."""
        values = served("/a", "200", total - bad) | served("/a", "500", bad)
        values = {series: value for series, value in values.items() if value.count}  # type: ignore[union-attr]
        key = FrameKey(10, self.start, self.worker, 0)
        at = self.start + 9.9
        self.store.write(Batch(scope=SCOPE, frame=Frame(key=key, values=values), at=at, **rest))
        self.start += 10
        return moves(self.engine.evaluate(now=at))

    def slots(self, number: int, **slot: Any) -> list[Transition]:
        """Serve several such slots."""
        return [one for _ in range(number) for one in self.slot(**slot)]

    def begin_anew(self, with_engine: AlertEngine) -> None:
        """Stop, and start as another process with other rules."""
        self.store.stop_worker(self.worker, at=self.start)
        self.worker = self.store.register(SCOPE, host="h", pid=2, at=self.start).id
        self.engine = with_engine

    def notices(self) -> list[OutboxRow]:
        """Return the notifications, oldest first."""
        return self.store.outbox(limit=100)[::-1]


def engine(
    store: Store,
    *rules: Rule,
    channels: Callable[[str], tuple[str, ...]] = lambda severity: ("hook", "log"),
    installed_at: float = 0.0,
) -> AlertEngine:
    return AlertEngine(
        store,
        scope=SCOPE,
        rules=rules,
        channels_for=channels,
        slot_s=10,
        link=lambda incident: f"/watchkeeper/#{incident.id}",
        installed_at=installed_at,
    )


def moves(transitions: list[Transition]) -> list[Transition]:
    return [one for one in transitions if one.before.state is not one.after.state]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, and a real database."""
    path = tmp_path / "watchkeeper.db"
    store = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{path}")
    store.migrate()
    yield store
    store.close()


def test_an_incident_is_told_once_and_resolved_once(store: Store) -> None:
    """Firing and resolved go to each channel once, however long it lasts."""
    service = Service(store, *compiled(FAST))

    service.slots(6)
    service.slots(12, bad=30)
    service.slots(15)

    assert [("firing", "hook"), ("firing", "log"), ("resolved", "hook"), ("resolved", "log")] == [
        (notice.kind, notice.channel) for notice in service.notices()
    ]


def test_a_message_carries_counts_window_and_link(store: Store) -> None:
    """Whoever reads it knows how bad it is without opening anything."""
    service = Service(store, *compiled(FAST))

    service.slots(5)
    service.slots(1, bad=60)

    payload = service.notices()[0].payload
    incident = store.incident(1)
    assert incident is not None
    assert {
        "rule": "Errors",
        "severity": "critical",
        "status": "firing",
        "service": "shop",
        "environment": "production",
        "summary": "Errors: 10 % (60 of 600 in 1 min) > 5 %",
        "started_at": START + 59.9,
        "noticed": False,
        "ended_at": None,
        "link": "/watchkeeper/#1",
        "kind": "firing",
        "ack_link": "",
        "silence_link": "",
        "thread": "",
        "sequence": 0,
        "release": None,
        "description": "",
        "runbook": "",
        "next_steps": ["Look at the issues that began shortly before."],
        "late": False,
        "more": 0,
        "incidents": [1],
        "alerts": [
            {
                "labels": {},
                "summary": "Errors: 10 % (60 of 600 in 1 min) > 5 %",
                "said": "",
                "value": 0.1,
                "value_text": "10 %",
                "threshold": 0.05,
                "threshold_text": "5 %",
                "operator": ">",
                "peak_text": "10 %",
                "bad": 60.0,
                "total": 600.0,
                "window_s": 60.0,
                "started_at": START + 59.9,
                "ended_at": None,
                "incident": 1,
                "link": "/watchkeeper/#1",
                "severity": "critical",
            }
        ],
    } == payload
    assert ("firing", 0.1, 0.1) == (incident.state, incident.value, incident.peak)
    assert "error_rate > 5%" == incident.data["condition"]


def test_a_later_message_tells_how_it_is_by_then(store: Store) -> None:
    """Not the figures of the beginning: what got worse, and what still fires."""
    worse = {"when": "error_rate > 50%", "severity": "critical"}
    service = Service(
        store,
        *compiled(replace(FAST, severity="warning", worse=worse, repeat="2m")),
        channels=lambda severity: ("hook",),
    )
    service.slots(3, bad=20)

    service.slots(6, bad=90)
    for row in store.claim(at=service.start, hold_s=60, channels=["hook"], limit=9):
        store.settle(row, status="sent", at=service.start)
    service.slots(16, bad=10)

    said = [(one.kind, one.payload["summary"]) for one in service.notices()]
    assert ("firing", "Errors: 20 % (20 of 100 in 1 min) > 5 %") == said[0]
    assert ("worse", "Errors: 55 % (330 of 600 in 1 min) > 50 %") == said[1]
    assert ("reminder", "Errors: 10 % (60 of 600 in 1 min) > 5 %") == said[-1]


def test_what_is_clear_again_is_not_said_to_be_beyond_its_threshold(store: Store) -> None:
    """While it is about to be over the incident says what was so while it was true."""
    service = Service(store, *compiled(replace(FAST, keep="5m")))
    service.slots(6, bad=60)

    service.slots(15)

    incident = store.incident(1)
    assert incident is not None
    assert ("firing", 0.0) == (incident.state, incident.value)
    assert str(incident.data["summary"]).endswith("20 % (120 of 600 in 1 min) > 5 %")


def test_a_resolved_incident_keeps_beginning_end_and_peak(store: Store) -> None:
    """The list of incidents tells the whole story."""
    service = Service(store, *compiled(FAST))
    service.slots(5)
    service.slots(6, bad=60)

    service.slots(12)

    incident = store.incident(1)
    assert incident is not None
    assert ("resolved", "resolved", START + 59.9) == (
        incident.state,
        incident.reason,
        incident.started_at,
    )
    assert incident.resolved_at is not None
    assert incident.resolved_at > START + 150
    assert 0.6 == incident.peak
    assert incident.value is not None
    assert incident.value < 0.05
    resolved = service.notices()[-1].payload
    assert ("resolved", incident.resolved_at) == (resolved["status"], resolved["ended_at"])


def test_what_fires_without_data_lasts_until_they_are_back(store: Store) -> None:
    """Old good slots in the longer of two windows are no recovery: it begins and ends once."""
    silent = replace(FAST, over=("1m", "5m"), no_data="alert", no_data_after="2m")
    service = Service(store, *compiled(silent), channels=lambda severity: ("hook",))
    service.slots(40)

    service.slots(60, total=0)
    assert ["firing"] == [one.kind for one in service.notices()]

    service.slots(12)
    assert ["firing", "resolved"] == [one.kind for one in service.notices()]


def test_the_next_incident_is_a_new_one(store: Store) -> None:
    """What is over is over; trouble that comes back is told again."""
    service = Service(store, *compiled(replace(FAST, cooldown="0s")))

    for _ in range(2):
        service.slots(6, bad=60)
        service.slots(16)

    assert [1, 1, 1, 1, 2, 2, 2, 2] == [notice.incident for notice in service.notices()]


def test_a_pending_alert_that_passes_by_leaves_no_incident(store: Store) -> None:
    """Only what fired is an incident."""
    service = Service(store, *compiled(replace(FAST, hold="2m")))

    service.slots(6)
    states = [one.after.state for one in service.slots(2, bad=60) + service.slots(10)]

    assert [State.PENDING, State.OK] == states
    assert store.incident(1) is None


def test_resolved_goes_to_whom_firing_went(store: Store) -> None:
    """A channel added meanwhile is not told of an end whose beginning it never saw."""
    channels = ["hook"]
    service = Service(store, *compiled(FAST), channels=lambda severity: tuple(channels))
    service.slots(6, bad=60)

    channels.append("mail")
    service.slots(16)

    assert [("firing", "hook"), ("resolved", "hook")] == [
        (notice.kind, notice.channel) for notice in service.notices()
    ]


def test_severity_chooses_the_channels(store: Store) -> None:
    """Nobody is called at night for a warning."""
    routing = {"critical": ("oncall",), "warning": ("team",)}
    warning = replace(FAST, name="Some errors", severity="warning")
    service = Service(store, *compiled(FAST, warning), channels=lambda name: routing[name])

    service.slots(6, bad=60)

    assert {("Errors", "oncall"), ("Some errors", "team")} == {
        (notice.payload["rule"], notice.channel) for notice in service.notices()
    }


def test_without_channels_incidents_are_recorded(store: Store) -> None:
    """Nobody is told, but the dashboard knows."""
    service = Service(store, *compiled(FAST), channels=lambda severity: ())

    service.slots(6, bad=60)

    assert [] == service.notices()
    assert (
        "firing"
        == store.incidents(
            service="shop", environment="production", states=["firing"], since=0, limit=5
        )[0].state
    )


def test_a_restarted_worker_goes_on_where_the_last_one_ended(store: Store) -> None:
    """Killed while firing: no copy of the message, and the end is still told."""
    service = Service(store, *compiled(FAST))
    service.slots(6, bad=60)

    service.engine = engine(store, *compiled(FAST))
    service.slots(3, bad=60)
    service.slots(16)

    assert ["firing", "firing", "resolved", "resolved"] == [
        notice.kind for notice in service.notices()
    ]


def test_killed_between_opening_and_telling_it_is_told_by_the_next() -> None:
    """An incident that was opened but not told is fired by the next evaluation, once."""

    class KilledError(BaseException):
        """The process ends here: no guard holds that up."""

    class Dying(MemoryStore):
        """A store whose second alert write never happens."""

        saves = 0

        def save_alert(self, change: AlertChange, *, at: float) -> AlertRow | None:
            """Save the first time, die the second."""
            self.saves += 1
            if self.saves == 2:
                raise KilledError
            return super().save_alert(change, at=at)

    store = Dying()
    service = Service(store, *compiled(FAST))
    with pytest.raises(KilledError):
        service.slot(bad=60)
    assert [] == service.notices()

    service.slot(bad=60)

    assert [("firing", 1), ("firing", 1)] == [
        (notice.kind, notice.incident) for notice in service.notices()
    ]


def test_two_engines_at_once_send_one_message(store: Store) -> None:
    """Without any lease, compare-and-set alone leaves one firing message per channel."""
    service = Service(store, *compiled(FAST))
    service.slots(5)
    key = FrameKey(10, service.start, service.worker, 0)
    frame = Frame(key=key, values=served("/a", "500", 100))
    store.write(Batch(scope=SCOPE, frame=frame, at=service.start + 5.0))
    barrier = threading.Barrier(8)
    failed: list[BaseException] = []

    def evaluate() -> None:
        mine = engine(store, *compiled(FAST))
        barrier.wait()
        try:
            for step in range(20):
                mine.evaluate(now=service.start + 5.0 + step / 10)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=evaluate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failed
    assert [("firing", "hook"), ("firing", "log")] == [
        (notice.kind, notice.channel) for notice in service.notices()
    ]


def test_each_route_is_an_instance_of_its_own(store: Store) -> None:
    """One bad route fires alone and names itself."""
    service = Service(store, *compiled(replace(FAST, by="route")))
    key = FrameKey(10, START, service.worker, 0)
    values = served("/bad", "500", 50) | served("/good", "200", 50)

    store.write(Batch(scope=SCOPE, frame=Frame(key=key, values=values), at=START + 9.0))
    moved = moves(service.engine.evaluate(now=START + 9.0))

    assert [State.FIRING] == [one.after.state for one in moved]
    payload = service.notices()[0].payload
    assert "Errors (route /bad): 100 % (50 of 50 in 1 min) > 5 %" == payload["summary"]
    assert {"route": "/bad"} == payload["alerts"][0]["labels"]


def test_a_route_without_traffic_stays_firing(store: Store) -> None:
    """Silence is not recovery."""
    service = Service(store, *compiled(replace(FAST, by="route")))
    service.slots(2, bad=60)

    for _ in range(40):
        service.start += 10
        service.engine.evaluate(now=service.start + 9.9)

    rows = store.alerts(service="shop", environment="production")
    assert ["firing"] == [row.state for row in rows if row.group]


def test_clearing_waits_for_a_slow_worker(store: Store) -> None:
    """What another worker has not flushed yet may still be bad."""
    service = Service(store, *compiled(replace(FAST, keep="0s")))
    service.slots(2, bad=60)
    slow = store.register(SCOPE, host="h", pid=2, at=START).id

    resolved_at = []
    for slow_writes in (False, True):
        for _ in range(9):
            if slow_writes:
                key = FrameKey(10, service.start - 10, slow, 0)
                store.write(Batch(scope=SCOPE, frame=Frame(key=key), at=service.start - 5))
            resolved_at += [service.start for one in service.slot() if one.notice == "resolved"]

    assert 1 == len(resolved_at)


def test_a_removed_rule_is_resolved_after_a_while(store: Store) -> None:
    """Not at once: during a deploy old and new workers stand side by side."""
    service = Service(store, *compiled(FAST))
    service.slots(6, bad=60)

    service.begin_anew(engine(store))
    early = service.slots(5, bad=60)
    late = service.slots(6, bad=60)

    assert [] == early
    assert [Reason.RULE_REMOVED] == [one.reason for one in late]
    assert (
        "Errors: resolved after 2 min, rule removed" == (service.notices()[-1].payload["summary"])
    )


def test_a_rule_switched_off_is_a_removed_one(store: Store) -> None:
    """`enabled = false` ends what it had fired."""
    service = Service(store, *compiled(FAST))
    service.slots(6, bad=60)

    service.engine = engine(store, *compiled(replace(FAST, enabled=False)))
    service.slots(13, bad=60)

    assert "resolved" == service.notices()[-1].kind


def test_a_rule_regrouped_ends_its_old_instances(store: Store) -> None:
    """An instance that no series leads to any more does not fire for ever."""
    service = Service(store, *compiled(FAST))
    service.slots(6, bad=60)

    service.engine = engine(store, *compiled(replace(FAST, by="route")))
    service.slots(13)

    assert {"resolved"} == {
        incident.state
        for incident in store.incidents(
            service="shop",
            environment="production",
            states=["firing", "resolved"],
            since=0,
            limit=9,
        )
        if incident.group == ""
    }


def test_a_rule_that_fails_does_not_stop_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours keeps that rule's state; the next rule is evaluated."""
    from watchkeeper.runtime import alerts

    real = alerts.evaluate

    def failing(rule: Rule, *rest: Any, **options: Any) -> Transition:
        if rule.name == "Broken":
            raise ZeroDivisionError
        return real(rule, *rest, **options)

    monkeypatch.setattr(alerts, "evaluate", failing)
    service = Service(store, *compiled(replace(FAST, name="Broken"), FAST))

    service.slots(6, bad=60)

    told = [notice.payload["rule"] for notice in service.notices()]
    assert 2 == told.count("Errors")
    assert {"Broken": 6} == service.engine.failing


def test_a_rule_that_fails_three_times_in_a_row_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor that cannot judge says so once, keeps what fires, and says when it can again."""
    from watchkeeper.runtime import alerts

    real = alerts.evaluate
    is_broken = [False]

    def failing(rule: Rule, *rest: Any, **options: Any) -> Transition:
        if rule.name == "Errors" and is_broken[0]:
            raise ZeroDivisionError
        return real(rule, *rest, **options)

    monkeypatch.setattr(alerts, "evaluate", failing)
    service = Service(store, *compiled(FAST))
    service.slots(6, bad=60)
    is_broken[0] = True
    service.slots(8)
    states = {
        row.rule: row.state for row in store.alerts(service="shop", environment="production")
    }
    is_broken[0] = False
    service.slots(20)

    assert {"Errors": "firing", "Rule cannot be evaluated": "firing"} == states
    assert [
        ("Errors", "firing"),
        ("Rule cannot be evaluated", "firing"),
        ("Rule cannot be evaluated", "resolved"),
        ("Errors", "resolved"),
    ] == [(one.payload["rule"], one.kind) for one in service.notices() if one.channel == "hook"]


def check(failures: int, successes: int = 0, **fields: Any) -> CheckResult:
    return CheckResult(
        name="db",
        state="fail" if failures >= 3 else "pass",
        since=0.0,
        at=START,
        duration_s=0.1,
        failures=failures,
        successes=successes,
        **fields,
    )


def test_a_failing_check_is_told_and_recovers(store: Store) -> None:
    """Three failures fire, two good runs resolve."""
    service = Service(store, *PACK)

    for failures, successes in ((1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (0, 2)):
        service.slot(checks=[check(failures, successes)])

    assert [
        ("firing", "Health check failing: db has failed 3 times in a row", "critical"),
        ("resolved", "Health check failing: db: resolved after 30 s", "critical"),
    ] == [
        (notice.kind, notice.payload["summary"], notice.payload["severity"])
        for notice in service.notices()
        if notice.channel == "hook"
    ]


def test_a_check_that_is_not_critical_is_a_warning(store: Store) -> None:
    """Search may be down without waking anybody."""
    service = Service(store, *PACK)

    service.slot(checks=[check(3, critical=False)])

    assert {"warning"} == {notice.payload["severity"] for notice in service.notices()}


def test_a_check_of_each_worker_is_one_incident(store: Store) -> None:
    """Two workers that miss the same disk are one problem, over when both have it again."""
    service = Service(store, *PACK)
    service.slot()
    other = store.register(SCOPE, host="web-2", pid=2, at=float(service.start)).id

    for slot, (one, two) in enumerate(
        [((3, 0), (0, 9)), ((4, 0), (3, 0)), ((0, 2), (4, 0)), ((0, 3), (0, 1)), ((0, 4), (0, 2))]
    ):
        key = FrameKey(10, service.start, other, slot)
        store.write(Batch(scope=SCOPE, frame=Frame(key=key), at=service.start + 1.0))
        clearing = {"state": "fail"} if two == (0, 1) else {}
        service.slot(
            checks=[
                check(*one, worker=service.worker),
                replace(check(*two, worker=other), **clearing),
            ]
        )

    assert [
        ("firing", "Health check failing: db has failed 3 times in a row"),
        ("resolved", "Health check failing: db: resolved after 40 s"),
    ] == [
        (notice.kind, notice.payload["summary"])
        for notice in service.notices()
        if notice.channel == "hook"
    ]


NUMBERS = count()


def issue(at: float, title: str = "", level: str = "error") -> IssueCount:
    number = next(NUMBERS)
    return IssueCount(
        fingerprint=f"1:{number:016x}",
        count=1,
        first_at=at,
        last_at=at,
        type="KeyError",
        title=title or f"KeyError: {number}",
        culprit="shop.cart:add",
        level=level,
    )


def test_a_new_issue_is_told_at_once_and_its_followers_together(store: Store) -> None:
    """One message at first, then at most one in five minutes."""
    service = Service(store, PACK[3])
    service.slot()

    service.slot(issues=[issue(service.start, "KeyError: 'first'")])
    for _ in range(6):
        service.slot(issues=[issue(service.start)])
    service.slots(40)

    told = [notice for notice in service.notices() if notice.channel == "hook"]
    assert ["New issue: KeyError: 'first'"] == [told[0].payload["summary"]]
    assert ("digest", 6) == (told[1].kind, len(told[1].payload["alerts"]))
    assert 2 == len(told)
    assert list(range(1, 8)) == [
        alert["incident"] for notice in told for alert in notice.payload["alerts"]
    ]


def test_the_first_minutes_of_an_installation_are_silent(store: Store) -> None:
    """The flood of the first day is recorded without a message."""
    service = Service(store, PACK[3], installed_at=START)
    service.slot()

    service.slot(issues=[issue(service.start)])
    service.start = START + 600
    service.slot(issues=[issue(service.start)])

    incidents = store.incidents(
        service="shop", environment="production", states=["event"], since=0, limit=9
    )
    assert 2 == len(incidents)
    assert [2, 2] == [notice.incident for notice in service.notices()]


def test_old_issues_and_low_levels_are_not_told(store: Store) -> None:
    """An issue from before the rule, or only a warning, is no news."""
    service = Service(store, PACK[3])
    old = [issue(START - 500)]

    service.slot(issues=old)
    service.slot(issues=[issue(service.start, level="warning")])
    service.slot(issues=[replace(old[0], last_at=service.start)])

    assert [] == service.notices()


def test_two_engines_at_once_tell_of_an_issue_once(store: Store) -> None:
    """Any worker may find a new issue, one of them tells."""
    service = Service(store, PACK[3])
    service.slot()
    batch_at = service.start + 5.0
    key = FrameKey(10, service.start, service.worker, 0)
    found = [issue(batch_at) for _ in range(5)]
    store.write(Batch(scope=SCOPE, frame=Frame(key=key), at=batch_at, issues=found))
    barrier = threading.Barrier(6)

    def evaluate() -> None:
        mine = engine(store, PACK[3])
        barrier.wait()
        for step in range(10):
            mine.evaluate(now=batch_at + step / 10)

    threads = [threading.Thread(target=evaluate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    incidents = store.incidents(
        service="shop", environment="production", states=["event"], since=0, limit=99
    )
    assert 5 == len(incidents)
    told = [notice for notice in service.notices() if notice.channel == "hook"]
    assert 1 == sum(notice.created_at < batch_at + 300 for notice in told)


def test_frames_are_read_once() -> None:
    """Each evaluation reads only what is new."""
    seen: list[int] = []

    class Counting(MemoryStore):
        """A store that notes how many frames it gave."""

        def frames(self, *rest: Any, **options: Any) -> list[Frame]:
            """Read and count."""
            frames = super().frames(*rest, **options)
            seen.append(len(frames))
            return frames

    service = Service(Counting(), *compiled(FAST))

    service.slots(20)
    service.engine.evaluate(now=service.start)

    assert [1] * 20 + [0] == seen


def test_reading_gives_way_after_each_frame(store: Store) -> None:
    """A long window that is read at start does not hold up the requests."""
    Service(store, *compiled(FAST)).slots(5)
    pauses: list[bool] = []
    reader = AlertEngine(
        store,
        scope=SCOPE,
        rules=compiled(FAST),
        channels_for=lambda severity: (),
        slot_s=10,
        link=lambda incident: "",
        installed_at=0.0,
        pause=lambda: pauses.append(True),
    )

    reader.evaluate(now=START + 50.0)

    assert 5 == len(pauses)


def test_late_frames_count_in_the_windows_they_belong_to(store: Store) -> None:
    """A worker that was held up may still make an alert fire, once."""
    service = Service(store, *compiled(FAST))
    service.slots(4)
    late = store.register(SCOPE, host="h", pid=2, at=START).id

    key = FrameKey(10, START + 10, late, 0)
    store.write(
        Batch(scope=SCOPE, frame=Frame(key=key, values=served("/a", "500", 99)), at=START + 40.0)
    )
    service.slots(2)

    assert ["firing", "firing"] == [notice.kind for notice in service.notices()]


def test_evaluations_are_dated(store: Store) -> None:
    """Other workers see when somebody has evaluated last."""
    Service(store, *compiled(FAST)).slot()

    assert START + 9.9 == store.evaluated_at(service="shop", environment="production")


def test_the_thresholds_tell_recording_what_trouble_is(store: Store) -> None:
    """The lowest of all enabled rules, and none without rules; p99 is about one in a hundred."""
    mine = compiled(
        Alert("Few", when="error_rate > 2%"),
        Alert("Off", when="error_rate > 1%", enabled=False),
        Alert("Slow", when="p99 > 300ms"),
        Alert("Render", when="p99(render_seconds) > 10ms"),
        Alert("Idle", when="error_rate < 1%"),
        Alert("Checks", when="check failing"),
    )

    assert Thresholds(error_rate=0.01, slow_s=0.3) == engine(store, *mine).thresholds
    assert Thresholds(error_rate=0.05, slow_s=1.0) == engine(store, *PACK).thresholds
    assert Thresholds() == engine(store).thresholds


def test_the_date_of_installation_may_be_asked_for_later(store: Store) -> None:
    """It may come from the store, which is not open yet when rules are made."""
    made = AlertEngine(
        store,
        scope=SCOPE,
        rules=PACK,
        channels_for=lambda severity: (),
        slot_s=10,
        link=lambda incident: "",
        installed_at=lambda: 0.0,
    )

    assert [] == made.evaluate(now=float(START))


def test_incidents_of_other_scopes_are_left_alone(store: Store) -> None:
    """Two services on one database do not resolve each other's alerts."""
    Service(store, *compiled(FAST)).slots(6, bad=60)
    other = AlertEngine(
        store,
        scope=Scope(service="blog", environment="production"),
        rules=(),
        channels_for=lambda severity: (),
        slot_s=10,
        link=lambda incident: "",
        installed_at=0.0,
    )

    assert [] == other.evaluate(now=START + 900.0)
    firing: Incident | None = store.incident(1)
    assert firing is not None
    assert "firing" == firing.state
