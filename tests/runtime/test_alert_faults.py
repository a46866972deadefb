"""What the engine does when something it needs is damaged, away, gone or not its own."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.core.alerts import Reason
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.slot import Frame, FrameKey, Value
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import idle_rules
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.runtime.audience import Audience, Links
from watchkeeper.settings import UNREADABLE_FILE
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    CheckResult,
    Incident,
    IssueCount,
    Store,
)

SCOPE = Scope(service="shop", environment="production")
HERE = {"service": "shop", "environment": "production"}
ERRORS = Alert("Errors", when="error_rate > 5%", over="1m", keep="30s", severity="critical")
SLOW = Alert("Slow", when="p95 > 1s", over="1m")
SPIKE = Alert("Spike", when="errors > 3x same_time_last_week", over="15m", at_least=20)
CHECKS = Alert(
    "Checks",
    when="check failing",
    by="check",
    severity="critical",
    no_data="alert",
    no_data_after="2m",
)


def compiled(*alerts: Alert, origin: Origin = Origin.CODE) -> list[Rule]:
    return [compile_alert(one, where="test", origin=origin, slot_s=10.0) for one in alerts]


def served(route: str, status: str, count: int, seconds: float = 0.1) -> dict[Series, Value]:
    labels = {"method": "GET", "route": route, "status": status}
    pairs = tuple(sorted((*SCOPE.labels, *labels.items())))
    return {Series(HTTP_DURATION.name, Kind.HISTOGRAM, pairs): Histogram([seconds] * count)}


def engine(store: Store, *rules: Rule, **options: Any) -> AlertEngine:
    return AlertEngine(
        store,
        scope=SCOPE,
        rules=rules,
        channels_for=lambda severity: ("hook",),
        slot_s=10,
        installed_at=0.0,
        **options,
    )


class Service:
    """One worker that writes a slot and evaluates after it."""

    def __init__(self, store: Store, *rules: Rule, **options: Any) -> None:
        self.store = store
        self.start = 10_000
        self.engine = engine(store, *rules, **options)
        self.worker = store.register(SCOPE, host="h", pid=1, at=self.start).id

    def slot(
        self, bad: int = 0, *, routes: tuple[str, ...] = ("/a",), seconds: float = 0.1, **rest: Any
    ) -> list[Reason]:
        """Serve 100 requests a route, `bad` of them in vain; return why states changed."""
        values: dict[Series, Value] = {}
        for route in routes:
            values |= served(route, "200", 100 - bad, seconds)
            values |= served(route, "500", bad) if bad else {}
        key, at = FrameKey(10, self.start, self.worker, 0), self.start + 9.9
        self.store.write(Batch(scope=SCOPE, frame=Frame(key=key, values=values), at=at, **rest))
        self.start += 10
        found = self.engine.evaluate(now=at)
        return [one.reason for one in found if one.before.state is not one.after.state]

    def slots(self, number: int, **slot: Any) -> list[Reason]:
        """Serve several such slots."""
        return [one for _ in range(number) for one in self.slot(**slot)]

    def checked(self, failures: Mapping[str, int], worker: int = 0) -> list[CheckResult]:
        """Return results of health checks that ran just now."""
        return [
            CheckResult(
                name=name,
                worker=worker,
                state="fail" if count >= 3 else "pass",
                since=float(self.start),
                at=float(self.start),
                duration_s=0.1,
                failures=count,
                successes=0 if count else 5,
            )
            for name, count in failures.items()
        ]

    def states(self) -> dict[str, str]:
        """Return the states by rule and group."""
        return {f"{row.rule}|{row.group}": row.state for row in self.store.alerts(**HERE)}

    def told(self) -> list[tuple[str, str]]:
        """Return what was put into the outbox, oldest first."""
        return [(one.kind, one.payload["rule"]) for one in self.store.outbox(limit=99)[::-1]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, and a real database."""
    path = tmp_path / "watchkeeper.db"
    store = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{path}")
    store.migrate()
    yield store
    store.close()


def test_a_failing_check_of_a_worker_that_is_gone_does_not_fire(store: Store) -> None:
    """What counts is what a live worker found."""
    service = Service(store, *compiled(CHECKS))
    dead = store.register(SCOPE, host="old", pid=9, at=9_000).id
    store.stop_worker(dead, at=service.start)
    service.slot(checks=service.checked({"db": 5}, worker=dead))

    for _ in range(4):
        service.slot(checks=service.checked({"db": 0}, worker=service.worker))

    assert {"ok"} >= set(service.states().values())


def test_a_check_that_is_not_run_any_more_is_unknown_and_not_well(store: Store) -> None:
    """A check that hangs since it passed is told by `no_data`."""
    service = Service(store, *compiled(CHECKS), intervals=lambda: {"db": 30.0})
    service.slot(checks=service.checked({"db": 0}))

    found = service.slots(60)

    assert [Reason.NO_DATA] == found
    assert [("firing", "Checks")] == service.told()


def test_a_check_that_nobody_declares_ends_what_it_fired(store: Store) -> None:
    """It was taken out of the code: nothing will ever say that it is well."""
    declared = {"db": 30.0}
    service = Service(store, *compiled(CHECKS), intervals=lambda: declared)
    service.slot(checks=service.checked({"db": 5}))
    declared.clear()

    found = service.slots(60)

    assert [Reason.NOT_RUN] == found
    assert [("firing", "Checks"), ("resolved", "Checks")] == service.told()


def test_a_read_that_fails_is_the_matter_of_its_rule_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier weeks cannot be read; that most requests fail is told all the same."""
    service = Service(store, *compiled(SPIKE, ERRORS))

    def away(*rest: Any, **options: Any) -> Any:
        raise StorageError("statement timeout")

    monkeypatch.setattr(type(store), "sealed_hours", away)
    service.slots(4, bad=90)

    assert [("firing", "Errors"), ("firing", "Rule cannot be evaluated")] == service.told()
    assert {"Spike": 4} == service.engine.failing


def test_a_store_that_is_away_ends_the_evaluation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing answers, no rule is to blame."""
    service = Service(store, *compiled(SPIKE, ERRORS))

    def away(*rest: Any, **options: Any) -> Any:
        raise StorageError("away")

    monkeypatch.setattr(type(store), "sealed_hours", away)
    monkeypatch.setattr(type(store), "evaluated_at", away)

    with pytest.raises(StorageError):
        service.slot(bad=90)
    assert {} == service.engine.failing


DAMAGES = {
    "event log": """update wk_alert set data='{"waiting":[{"x":1}]}' where rule='New'""",
    "state": """update wk_alert set data='{"state":"odd"}' where rule='Slow'""",
    "no JSON": "update wk_alert set data='{' where rule='Slow'",
    "null": "update wk_alert set data='null' where rule='Slow'",
    "told": "update wk_alert set data=json_set(data,'$.told','x') where rule='Slow'",
    "incident": "update wk_incident set data='{' where rule='Slow'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_does_not_stop_the_other_rules(tmp_path: Path, damage: str) -> None:
    """Errors are told of, whatever the rows of slowness and new issues hold."""
    path = tmp_path / "watchkeeper.db"
    store = open_store(f"sqlite:///{path}")
    store.migrate()
    new = Alert("New", on=["issue.new"])
    service = Service(store, *compiled(new, SLOW, ERRORS))
    service.slots(4)
    service.slots(2, seconds=5.0)

    with sqlite3.connect(path) as connection:
        assert 1 == connection.execute(DAMAGES[damage]).rowcount
    service.slots(3, bad=90)

    assert ("firing", "Errors") in service.told()
    store.close()


def test_what_cannot_be_told_is_no_evaluation(store: Store) -> None:
    """The moment of the last evaluation stays, so that the silence can be seen from outside."""

    def broken(incidents: Sequence[Incident]) -> Links:
        raise ValueError("links")

    audience = Audience(channels_for=lambda severity: ("hook",), links=broken)
    service = Service(store, *compiled(ERRORS), audience=audience)
    service.slot()
    before = store.evaluated_at(**HERE)

    service.slots(3, bad=90)

    assert before == store.evaluated_at(**HERE)
    assert not service.engine.is_telling


def test_a_measuring_rule_that_becomes_one_of_events_ends_and_tells(store: Store) -> None:
    """Its incident is over, and an issue that came meanwhile is told after it."""
    service = Service(store, *compiled(replace(ERRORS, name="X")))
    service.slots(3, bad=50)
    service.engine.set_rules(compiled(Alert("X", on=["issue.new"])))
    at = float(service.start)
    issue = IssueCount(
        fingerprint=f"1:{1:016x}",
        count=1,
        first_at=at,
        last_at=at,
        type="KeyError",
        title="k",
        culprit="a",
    )

    service.slot(issues=[issue])
    service.slots(20)

    found = store.incidents(**HERE, states=("firing", "resolved", "event"), since=0, limit=9)
    assert ["event", "resolved"] == sorted(one.state for one in found)
    assert {"X|": "ok"} == service.states()


def test_checks_beyond_the_most_groups_are_told_of(store: Store) -> None:
    """The last of five by the alphabet is the one that fails."""
    service = Service(store, *compiled(replace(CHECKS, max_groups=3)))
    well = dict.fromkeys("abcd", 0)

    service.slots(2, checks=service.checked({**well, "e": 0}))
    service.slot(checks=service.checked({**well, "e": 5}))

    assert "firing" == service.states()['Checks|check="e"']


def test_the_rest_of_the_checks_fires_as_one_and_ends(store: Store) -> None:
    """All five fail, three may be told apart; then all are well."""
    service = Service(store, *compiled(replace(CHECKS, max_groups=3)))

    service.slot(checks=service.checked(dict.fromkeys("abcde", 5)))
    failing = service.states()
    for _ in range(20):
        service.slot(checks=service.checked(dict.fromkeys("abcde", 0)))

    firing = {f'Checks|check="{one}"' for one in ("a", "b", "c", "(other)")}
    assert firing == {key for key, state in failing.items() if state == "firing"}
    assert {"ok"} == set(service.states().values())


def test_a_look_from_outside_ends_nothing_by_rules_it_does_not_know(store: Store) -> None:
    """All is dead, and `watchkeeper check --alert` was not told of the application's code."""
    service = Service(store, *compiled(ERRORS))
    service.slots(3, bad=90)

    outside = engine(store, may_remove=False)
    for hour in range(1, 5):
        outside.evaluate(now=service.start + 3_600.0 * hour)

    assert [("firing", "Errors")] == service.told()
    assert {"Errors|": "firing"} == service.states()


def test_processes_with_other_rules_do_not_end_each_others_incidents(store: Store) -> None:
    """Those that serve and those that do jobs are of one scope, each with rules of its code."""
    service = Service(store, *compiled(ERRORS))
    jobs = engine(store, *compiled(replace(SLOW, name="Jobs")))
    service.slots(3, bad=90)

    for number in range(60):
        jobs.evaluate(now=service.start + 10.0 * number)
        key = FrameKey(10, service.start + 10 * number, service.worker, 0)
        store.write(Batch(scope=SCOPE, frame=Frame(key=key), at=service.start + 10.0 * number))

    assert [("firing", "Errors")] == service.told()


@pytest.mark.parametrize("unreadable", ["Errors", UNREADABLE_FILE])
def test_what_fires_by_a_rule_that_cannot_be_read_stays(store: Store, unreadable: str) -> None:
    """Somebody made a mistake in the file, and started anew: it is not over."""
    service = Service(store, *compiled(ERRORS, origin=Origin.FILE))
    service.slots(3, bad=90)
    store.stop_worker(service.worker, at=service.start)
    service.worker = store.register(SCOPE, host="h", pid=2, at=service.start).id
    service.engine = engine(store)
    service.engine.set_rules([], unreadable=[unreadable])

    service.slots(400, bad=90)

    assert [("firing", "Errors")] == service.told()
    assert {"Errors|": "firing"} == service.states()


def test_a_group_that_a_rule_leaves_out_by_now_ends(store: Store) -> None:
    """`skip` was added for a route that fires; the message goes out with its end."""
    by_route = replace(ERRORS, by="route")
    service = Service(store, *compiled(by_route))
    service.slots(3, bad=90, routes=("/a", "/b"))
    service.engine.set_rules(compiled(replace(by_route, skip={"route": ["/a"]})))

    found = service.slots(20, bad=90, routes=("/a", "/b"))

    assert [Reason.RULE_CHANGED] == found
    assert "firing" == service.states()['Errors|route="/b"']


def test_the_end_of_a_removed_rule_is_told_by_the_evaluation_that_ends_it(store: Store) -> None:
    """Run from cron there may be no other one."""
    service = Service(store, *compiled(ERRORS))
    service.slots(3, bad=90)
    service.engine.set_rules(compiled(replace(ERRORS, enabled=False)))

    service.engine.evaluate(now=service.start + 200.0)

    assert ("resolved", "Errors") == service.told()[-1]


def test_states_that_are_long_at_rest_are_forgotten(store: Store) -> None:
    """Those that fire, that were over today, and those of events are kept."""
    service = Service(store, *compiled(ERRORS))
    old = {"state": "ok", "since": 1.0, "resolved_at": 1.0, "labels": {}}
    for group, data in {
        "old": old,
        "new": {**old, "resolved_at": 9_000.0 + 200_000},
        "believed": {**old, "told": {"channels": ["hook"], "incident": 1}},
        "event": {"since": 1.0, "recent": []},
    }.items():
        row = AlertRow(**HERE, rule="Other", group=group, state="ok", data=data)
        store.save_alert(AlertChange(row=row), at=1.0)

    service.start += 200_000
    service.slot()

    kept = set(service.states())
    assert {"Other|new", "Other|event", "Other|believed"} == kept - {"Other|"}


def test_what_fires_on_is_stored_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty routes that fire on are one transaction, and their peaks are kept."""
    store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    store.migrate()
    service = Service(store, *compiled(replace(ERRORS, by="route")))
    routes = tuple(f"/{number}" for number in range(30))
    service.slots(3, bad=20, routes=routes)
    saved = []
    save = type(store).save_alert

    def saving(*arguments: Any, **options: Any) -> AlertRow | None:
        saved.append(arguments)
        return save(*arguments, **options)

    monkeypatch.setattr(type(store), "save_alert", saving)

    for _ in range(6):
        service.slot(bad=60, routes=routes)

    peaks = {row.data["peak"] for row in store.alerts(**HERE) if row.group}
    assert {0.6} == peaks
    assert {0.6} == {one.peak for one in _firing(store)}
    assert 30 > len(saved)
    store.close()


def _firing(store: Store) -> list[Incident]:
    return store.incidents(**HERE, states=("firing",), since=0, limit=99)


def test_what_cannot_judge_is_noted(store: Store) -> None:
    """A metric that nobody ever wrote, and a week that has not been."""
    typo = Alert("Typo", when="last(queue_dpeth) > 1")
    service = Service(store, *compiled(typo, SPIKE, ERRORS, CHECKS))

    service.slots(9)

    assert {
        "Checks": "no data",
        "Spike": "no earlier week yet",
        "Typo": "no data",
    } == idle_rules.read(store, **HERE)
