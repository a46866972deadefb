"""Health checks that one worker runs for all: who does, and what the others know."""

import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from stored import HERE, SHOP, batch, frame

from watchkeeper.core.health import Observed
from watchkeeper.dashboard.probes import look
from watchkeeper.runtime.checks import Check, make_check
from watchkeeper.runtime.cluster_checks import GIVEN_UP_S, meet
from watchkeeper.runtime.health import Health
from watchkeeper.storage.store import CheckResult
from watchkeeper.testing import MemoryStore

START = 1_700_000_000.0
SLOT_S = 10


class Provider:
    """What is asked: it counts who asked, and fails when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False
        self._lock = threading.Lock()

    def check(self, who: str, **options: Any) -> Check:
        """Make a check that one worker declares."""

        def ask() -> Observed:
            with self._lock:
                self.asked.append(who)
            if self.fails:
                raise ConnectionError("refused")
            return Observed(12.0, "ms", "answers")

        return make_check("payment", ask, **{"tags": ["shop"], **options})


class Cluster:
    """Workers on one store and one clock that the test moves."""

    def __init__(self) -> None:
        self.now = START
        self.store = MemoryStore(clock=lambda: self.now)
        self.workers: dict[str, Worker] = {}

    def add(self, name: str, *checks: Check) -> "Worker":
        """Add a worker that opens the store now."""
        made = self.workers[name] = Worker(self, checks)
        made.meet()
        return made

    def pass_time(self, seconds: float) -> None:
        """Let every worker run what is due each second, and flush each slot."""
        for _ in range(int(seconds)):
            self.now += 1.0
            for worker in self.workers.values():
                worker.run()
            if self.now % SLOT_S == 0:
                for worker in self.workers.values():
                    worker.flush()

    @property
    def changes(self) -> list[tuple[str, str, float]]:
        """What is stored of changes, oldest first."""
        found = self.store.check_changes(**HERE, since=0, limit=99)
        return [(one.before, one.after, one.at - START) for one in reversed(found)]

    @property
    def rows(self) -> list[CheckResult]:
        """What is stored of results."""
        return self.store.checks(**HERE)


class Worker:
    """One worker as the flusher drives it."""

    def __init__(self, cluster: Cluster, checks: Iterable[Check]) -> None:
        self.cluster = cluster
        self.health = Health(checks, clock=lambda: cluster.now)
        self.id: int | None = None
        self.sequence = 0
        self.is_away = False

    def meet(self) -> None:
        """Look at the store, as at its opening and in each flush."""
        if not self.is_away:
            meet(
                self.health,
                self.cluster.store,
                SHOP,
                worker=self.id,
                slot_s=SLOT_S,
                now=self.cluster.now,
            )

    def run(self) -> None:
        """Start what is due, and wait until it has ended."""
        self.health.run_due(self.cluster.now)
        deadline = time.monotonic() + 10
        while any(one.run is not None for one in self.health._watched.values()):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def flush(self) -> None:
        """Write what is told, as the writer does."""
        if self.is_away:
            return
        if self.id is None:
            self.id = self.cluster.store.register(SHOP, host="web", pid=1, at=self.cluster.now).id
        results, changes = self.health.take() if self.health.has_met else ([], [])
        self.sequence += 1
        told = batch(
            frame(int(self.cluster.now), self.id, sequence=self.sequence),
            at=self.cluster.now,
            checks=results,
            check_changes=changes,
        )
        self.cluster.store.write(told.owned_by(self.id))
        self.meet()

    def stop(self) -> None:
        """Stop cleanly."""
        self.flush()
        assert self.id is not None
        self.cluster.store.stop_worker(self.id, at=self.cluster.now)
        self.cluster.workers = {
            name: one for name, one in self.cluster.workers.items() if one is not self
        }

    def state(self) -> tuple[str, str]:
        """Return what this worker answers from memory."""
        (report,) = self.health.report(self.cluster.now)
        return report.state.value, report.output


@pytest.fixture
def provider() -> Provider:
    """Make what is asked."""
    return Provider()


@pytest.fixture
def cluster() -> Cluster:
    """Make a cluster without workers."""
    return Cluster()


def three(cluster: Cluster, provider: Provider, **options: Any) -> None:
    """Let three workers start together with the same check."""
    for name in ("a", "b", "c"):
        cluster.add(name, provider.check(name, **options))


def test_one_worker_asks_for_all(cluster: Cluster, provider: Provider):
    """Three workers ask as often as one would, and every one knows the answer."""
    three(cluster, provider)

    cluster.pass_time(601)

    assert {"a"} == set(provider.asked)
    assert 21 == len(provider.asked)
    assert [("pass", "answers")] * 3 == [one.state() for one in cluster.workers.values()]
    assert [("unknown", "pass", 1.0)] == cluster.changes


def test_those_who_did_not_ask_know_the_figure_too(cluster: Cluster, provider: Provider):
    """What was measured is shown by each worker, and whether it ran the check itself."""
    three(cluster, provider)
    cluster.pass_time(40)

    reports = [one.health.report(cluster.now)[0] for one in cluster.workers.values()]

    assert [(12.0, "ms", True), (12.0, "ms", False), (12.0, "ms", False)] == [
        (one.value, one.unit, one.is_ours) for one in reports
    ]
    assert {"value": 12.0, "unit": "ms", "every_s": 30.0, "timeout_s": 5.0, "tags": ["shop"]} | {
        "ran_by": cluster.workers["a"].id
    } == cluster.rows[0].data


def test_each_worker_runs_what_it_alone_can_lose(cluster: Cluster, provider: Provider):
    """With scope="worker" each has a result of its own."""
    three(cluster, provider, scope="worker")

    cluster.pass_time(40)

    assert ["a", "a", "b", "b", "c", "c"] == sorted(provider.asked)
    assert [one.id for one in cluster.workers.values()] == [one.worker for one in cluster.rows]
    assert 3 == len(cluster.changes)


def test_what_one_worker_lost_all_tell(cluster: Cluster, provider: Provider):
    """A site's health is the same whoever answers; whether a worker is ready is its own affair."""

    def check(who: str) -> Check:
        return make_check("disk", (lambda: who != "a"), scope="worker", readiness=True)

    for name in "ab":
        cluster.add(name, check(name))
    cluster.pass_time(120)

    def told() -> list[list[tuple[str, str]]]:
        return [
            [
                (found.state.value, found.reports[0].output)
                for path in ("/health", "/readyz")
                for found in [look(one.health, path, now=cluster.now)]
            ]
            for one in cluster.workers.values()
        ]

    for one in cluster.workers.values():
        one.health.started = True
    sick = told()
    cluster.workers.pop("a").stop()
    cluster.pass_time(60)

    assert [
        [("fail", "returned False"), ("fail", "returned False")],
        [("fail", "returned False"), ("pass", "")],
    ] == sick
    assert [[("pass", ""), ("pass", "")]] == told()


def test_another_worker_takes_over_and_counts_on(cluster: Cluster, provider: Provider):
    """Two failures that a dead worker found and one that the next one finds are three."""
    three(cluster, provider)
    cluster.pass_time(30)
    provider.fails = True
    cluster.pass_time(60)
    asked = len(provider.asked)
    del cluster.workers["a"]  # killed

    cluster.pass_time(80)

    assert {"a"} == set(provider.asked[:asked])
    assert 1 == len(set(provider.asked[asked:]))
    assert ["a", "a", "a"] == provider.asked[:3]
    assert ("pass", "fail") == cluster.changes[-1][:2]
    assert 3 == provider.asked[1:].index("b") + 1
    assert 90 + 60 > cluster.changes[-1][2]
    assert {("fail", "ConnectionError: refused")} == {
        one.state() for one in cluster.workers.values()
    }


def test_after_a_clean_stop_the_next_run_is_in_time(cluster: Cluster, provider: Provider):
    """Nobody waits for a worker that said goodbye."""
    three(cluster, provider)
    cluster.pass_time(35)
    cluster.workers["a"].stop()

    cluster.pass_time(45)

    assert ["a", "a"] == provider.asked[:2]
    assert 3 == len(provider.asked)


def test_without_a_database_each_worker_asks_itself(cluster: Cluster, provider: Provider):
    """Probes go on telling what is so; afterwards one worker asks again for all."""
    three(cluster, provider)
    cluster.pass_time(60)
    for worker in cluster.workers.values():
        worker.is_away = True
    before = len(provider.asked)
    cluster.pass_time(120)
    away = provider.asked[before:]
    for worker in cluster.workers.values():
        worker.is_away = False
    cluster.pass_time(60)
    before = len(provider.asked)
    cluster.pass_time(300)

    assert {"a", "b", "c"} == set(away)
    assert 10 == len(provider.asked[before:])
    assert 1 == len(set(provider.asked[before:]))
    assert [("unknown", "pass", 1.0)] == cluster.changes


def test_without_a_database_one_failure_is_as_little_as_with_it(
    cluster: Cluster, provider: Provider
):
    """That the last results of another worker were not heard says nothing against the check."""
    three(cluster, provider, every="10s", timeout="1s", readiness=True)
    cluster.pass_time(100)
    for worker in cluster.workers.values():
        worker.is_away = True
        worker.health.started = True
    follower = cluster.workers["b"]
    while "b" not in provider.asked:
        provider.fails = True
        cluster.pass_time(1)

    assert ("pass", "ConnectionError: refused") == follower.state()
    assert follower.health.ready(cluster.now)


def test_what_failed_while_nobody_could_be_told_is_one_change(
    cluster: Cluster, provider: Provider
):
    """All three saw it fail; the history says so once."""
    three(cluster, provider)
    cluster.pass_time(60)
    for worker in cluster.workers.values():
        worker.is_away = True
    provider.fails = True
    cluster.pass_time(200)
    for worker in cluster.workers.values():
        worker.is_away = False
    cluster.pass_time(60)

    assert [("unknown", "pass"), ("pass", "fail")] == [one[:2] for one in cluster.changes]


def test_workers_of_another_kind_run_what_only_they_declare(cluster: Cluster, provider: Provider):
    """A worker with jobs knows other checks than one with pages."""
    others = make_check("queue", lambda: None)
    cluster.add("jobs", others)
    cluster.add("web", provider.check("web"))

    cluster.pass_time(100)

    assert ["payment", "queue"] == [one.name for one in cluster.rows]
    assert {"pass"} == {one.state for one in cluster.rows}
    assert {"web"} == set(provider.asked)


def test_after_a_time_without_any_worker_the_check_was_unknown(
    cluster: Cluster, provider: Provider
):
    """The time in which nobody looked is no good time."""
    cluster.add("a", provider.check("a"))
    cluster.pass_time(35)
    cluster.workers["a"].stop()
    cluster.pass_time(3_600)
    cluster.add("b", provider.check("b"))
    cluster.pass_time(20)

    # The last run was at 31 s; three intervals and a time-out later it says nothing any more.
    assert [("pass", "unknown", 31.0 + 95.0), ("unknown", "pass", 3636.0)] == cluster.changes[1:]


def test_a_check_that_is_gone_from_the_code_ends(cluster: Cluster, provider: Provider):
    """Its result goes once nobody ran it for a while, and its history says since when."""
    cluster.add("old", provider.check("old"))
    cluster.pass_time(35)
    cluster.workers["old"].stop()
    cluster.add("new", make_check("other", lambda: None))

    cluster.pass_time(GIVEN_UP_S - 10)
    before = [one.name for one in cluster.rows]
    cluster.pass_time(60)

    assert ["other", "payment"] == before
    assert ["other"] == [one.name for one in cluster.rows]
    assert [("pass", "unknown", 31.0 + 95.0)] == cluster.changes[-1:]


def test_results_of_a_worker_end_with_it(cluster: Cluster, provider: Provider):
    """A worker that stopped has no disk that could be full."""
    for name in ("a", "b"):
        cluster.add(name, provider.check(name, scope="worker"))
    cluster.pass_time(40)
    cluster.workers["a"].stop()

    cluster.pass_time(60)

    assert [cluster.workers["b"].id] == [one.worker for one in cluster.rows]
    assert [("pass", "unknown", 40.0)] == cluster.changes[2:]


def test_a_check_that_is_declared_late_is_run(cluster: Cluster, provider: Provider):
    """A module may be imported long after the start."""
    checks: list[Check] = []
    cluster.workers["a"] = Worker(cluster, checks)
    cluster.workers["a"].meet()
    cluster.pass_time(30)
    checks.append(provider.check("a"))

    cluster.pass_time(20)

    assert ["a"] == provider.asked


def test_two_workers_that_both_ran_a_check_agree(cluster: Cluster, provider: Provider):
    """The one that ran it later goes on, the other one follows."""
    three(cluster, provider)
    cluster.pass_time(31)
    both = [cluster.workers[name] for name in ("a", "b")]
    both[1].health.take_over(["payment"], cluster.rows, now=cluster.now)

    cluster.pass_time(120)
    before = len(provider.asked)
    cluster.pass_time(120)

    assert 4 == len(provider.asked[before:])
    assert 1 == len(set(provider.asked[before:]))


@pytest.mark.parametrize("critical", [True, False])
def test_transitions_tell_whether_the_check_is_critical(cluster, provider, critical):
    """The first one, and the last one of a check that is gone."""
    worker = cluster.add("a", provider.check("a", critical=critical))
    cluster.pass_time(60)
    worker.stop()
    cluster.add("b")
    cluster.pass_time(2 * GIVEN_UP_S)

    found = cluster.store.check_changes(**HERE, since=0, limit=9)
    assert [("unknown", critical), ("pass", critical)] == [
        (one.after, one.critical) for one in found
    ]


def test_what_a_clock_told_that_was_ahead_is_forgotten_when_it_is_set_back(cluster, provider):
    """Two hours ahead and back: the check fails at once, for the store and for other workers."""
    cluster.add("a", provider.check("a"))
    cluster.pass_time(60)
    cluster.now += 7_200.0
    cluster.pass_time(60)
    cluster.now -= 7_200.0
    provider.fails = True
    other = cluster.add("b", provider.check("b"))

    cluster.pass_time(120)

    assert ["fail"] == [row.state for row in cluster.rows]
    assert cluster.now - 30 <= cluster.rows[0].at <= cluster.now
    assert "fail" == cluster.changes[-1][1]
    assert cluster.changes[-1][2] < cluster.now - START
    assert "fail" == other.state()[0]


def test_a_worker_takes_over_from_one_that_died_while_its_clock_was_ahead(cluster, provider):
    """Nobody waits until the time comes at which the dead one said it ran."""
    cluster.add("a", provider.check("a"))
    cluster.now += 7_200.0
    cluster.pass_time(60)
    cluster.workers.clear()
    cluster.now -= 7_200.0

    heir = cluster.add("b", provider.check("b"))
    cluster.pass_time(60)

    assert "b" in provider.asked
    assert ("pass", "answers") == heir.state()


def test_a_worker_that_followed_forgets_what_it_heard_while_the_clock_was_ahead(cluster, provider):
    """Set back, the clock of all makes what is told now the news."""
    cluster.add("a", provider.check("a"))
    follower = cluster.add("b", provider.check("b"))
    cluster.now += 7_200.0
    cluster.pass_time(60)
    cluster.now -= 7_200.0

    assert "unknown" == follower.state()[0]
    cluster.pass_time(60)
    assert "pass" == follower.state()[0]
