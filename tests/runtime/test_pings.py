"""Pings: calls heard from memory, and what they tell of a job, over several workers."""

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.ping import MAX_PER_MINUTE, Heard, parse_call
from watchkeeper.core.schedules import Schedule
from watchkeeper.exceptions import StorageUnavailableError, TriageError
from watchkeeper.runtime import job_states
from watchkeeper.runtime.declared import Declared
from watchkeeper.runtime.job_addresses import Author, add, forget, remove
from watchkeeper.runtime.job_memory import MAX_KEPT, read
from watchkeeper.runtime.job_states import Jobs
from watchkeeper.runtime.pings import Pings
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage import Store
from watchkeeper.testing import ManualClock, MemoryStore

SCOPE = Scope(service="shop", environment="test")
HOUR = 3_600.0
START = 1_000_000_000.0
DAILY = Schedule(every_s=24 * HOUR, grace_s=HOUR)
ANA = Author(scope=SCOPE, actor="cli ana", at=START)


class Worker:
    """A process that hears calls, and flushes when the test says so."""

    def __init__(self, clock: ManualClock, store: Store | None) -> None:
        self.clock = clock
        self.store = store
        self.recorder = Recorder(SCOPE)
        self.declared = Declared()
        self.jobs = Jobs(self.recorder, clock=clock, declared=self.declared)
        self.pings = Pings(self.jobs)
        self.found: dict[tuple[str, ...], list[float]] = {}

    def call(self, token: str, rest: str = "", output: str = "") -> Heard:
        """Call an address."""
        call = parse_call(f"/ping/{token}{rest}", output)
        assert call is not None
        return self.pings.hear(call)

    def flush(self, *, last: bool = False) -> None:
        """Close a slot, as the leader."""
        self.jobs.sample(self.clock(), memory=self.store, scope=SCOPE, slot_s=10, last=last)

    def counted(self) -> dict[str, list[float]]:
        """Return count and sum of the seconds of runs, by outcome, and how late the job is."""
        found = {}
        for series, value in self.recorder.take().items():
            if series.metric == "job_duration_seconds":
                found[series.label("outcome")] = [value.count, value.sum]
            if series.metric == "job_lateness_seconds":
                found["late"] = value.last
        return found


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock(START)


@pytest.fixture
def memory() -> MemoryStore:
    """The store of the workers."""
    return MemoryStore()


def test_a_call_is_a_run(clock, store: Store):
    """Each call that ends a run is counted once, with its outcome."""
    token = add(store, "backup", DAILY, author=ANA)
    worker = Worker(clock, store)
    worker.flush()

    heard = [worker.call(token, rest) for rest in ("", "/0", "/fail", "/3", "/log")]
    worker.flush(last=True)

    assert [Heard.TAKEN] * 5 == heard
    assert {"ok": [2, 0.0], "failed": [2, 0.0], "late": 0.0} == worker.counted()


def test_the_time_from_start_to_end_is_the_duration(clock, memory):
    """Whichever workers hear them, and whichever of them writes first."""
    token = add(memory, "backup", DAILY, author=ANA)
    one, other = Worker(clock, memory), Worker(clock, memory)
    for worker in (one, other):
        worker.flush()
    one.counted()

    one.call(token, "/start")
    clock.move(3)
    other.call(token, "/0")
    other.flush()
    before = other.counted()
    clock.move(8)
    one.flush()
    clock.move(2)
    other.flush()

    assert "ok" not in before
    assert [1, 3.0] == other.counted()["ok"]
    assert "ok" not in one.counted()
    clock.move(10)
    other.flush()
    assert 3.0 == read(memory, SCOPE).facts["backup"].last_run.seconds


def test_a_start_in_the_same_worker_is_known_at_once(clock, memory):
    """Nothing waits then; the next end without a start has no duration."""
    token = add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    worker.flush()

    worker.call(token, "/start")
    clock.move(5)
    worker.call(token)
    worker.flush()
    assert [1, 5.0] == worker.counted()["ok"]
    clock.move(60)
    worker.call(token)
    for _ in range(4):
        clock.move(10)
        worker.flush()

    assert [1, 0.0] == worker.counted()["ok"]


def test_a_start_without_an_end_is_late_after_the_grace(clock, memory):
    """A backup that hangs is told of before the next one is due."""
    token = add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    worker.flush()
    worker.call(token, "/start")
    worker.flush()

    found = []
    for hours in (1, 1.1):
        clock.now = START + hours * HOUR
        worker.flush()
        found.append(worker.counted()["late"])

    assert [0.0, pytest.approx(0.1 * HOUR)] == found


def test_a_job_that_never_calls_is_late(clock, memory):
    """It is counted from when its address was made."""
    add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    clock.move(26 * HOUR)

    worker.flush()

    assert {"late": HOUR} == worker.counted()


def test_what_came_with_a_failure_is_kept_without_secrets(clock, memory):
    """A short line, for the last run only; a success keeps nothing."""
    token = add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    worker.flush()

    worker.call(token, "/1", "password=hunter2 disk full " + "x" * 300)
    worker.flush(last=True)
    output = read(memory, SCOPE).facts["backup"].last_run.output
    clock.move(1)
    worker.call(token)
    worker.flush(last=True)

    assert "hunter2" not in output
    assert "disk full" in output
    assert 200 >= len(output)
    assert "" == read(memory, SCOPE).facts["backup"].last_run.output


def test_a_stranger_learns_nothing(clock, memory):
    """An unknown address is unknown; before any was read nobody can tell."""
    add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)

    before = worker.call("x" * 32)
    worker.flush()

    assert [Heard.NOT_READY, Heard.UNKNOWN] == [before, worker.call("x" * 32)]


def test_an_address_made_a_moment_ago_works_with_the_next_slot(clock, memory):
    """Its caller is asked to try again meanwhile; nobody's call asks the store."""
    worker = Worker(clock, memory)
    worker.flush()
    token = add(memory, "backup", DAILY, author=ANA)
    clock.move(11)

    worker.store = None
    assert Heard.NOT_READY is worker.call(token)
    worker.store = memory
    worker.flush()

    assert Heard.TAKEN is worker.call(token)


def test_a_stranger_costs_a_look_each_slot_at_most(clock, memory):
    """However often he calls; without him the store is asked each sixth slot."""
    worker = Worker(clock, memory)
    looks = 0

    class Counting:
        def values(self, prefix: str) -> dict[str, str]:
            nonlocal looks
            looks += 1
            return memory.values(prefix)

    worker.store = Counting()
    for _ in range(61):
        worker.call("x" * 32)
        worker.call("y" * 32)
        worker.flush()
        clock.move(1)

    assert 7 == looks


def test_without_its_database_what_is_known_is_heard(clock, memory):
    """A call while the database is away is counted when it is back."""
    token = add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    worker.flush()

    class Away:
        def values(self, prefix: str) -> dict[str, str]:
            raise StorageUnavailableError

    worker.store = Away()
    assert Heard.TAKEN is worker.call(token)
    clock.move(30)
    assert Heard.NOT_READY is worker.call("x" * 32)
    worker.flush()
    assert Heard.NOT_READY is worker.call("x" * 32)
    worker.store = memory
    clock.move(30)
    worker.flush()

    assert START == read(memory, SCOPE).facts["backup"].last_success


def test_a_process_that_never_saw_the_database_says_so(clock):
    """It cannot tell known from unknown: the caller is asked to try again."""
    worker = Worker(clock, None)
    worker.flush()

    assert Heard.NOT_READY is worker.call("x" * 32)


def test_a_job_may_call_only_so_often(clock, memory):
    """A loop that went wild fills nothing; other jobs are heard."""
    tokens = [add(memory, name, DAILY, author=ANA) for name in ("backup", "report")]
    worker = Worker(clock, memory)
    worker.flush()

    heard = [worker.call(tokens[0]) for _ in range(MAX_PER_MINUTE + 2)]

    assert [Heard.TAKEN] * MAX_PER_MINUTE + [Heard.TOO_OFTEN] * 2 == heard
    assert Heard.TAKEN is worker.call(tokens[1])


def test_no_more_waits_than_there_is_room_for(clock, memory, monkeypatch):
    """While nothing can be written for long, calls are refused and counted, not piled up."""
    token = add(memory, "backup", DAILY, author=ANA)
    worker = Worker(clock, memory)
    worker.flush()
    monkeypatch.setattr(job_states, "MAX_WAITING", 2)

    heard = [worker.call(token) for _ in range(3)]

    assert [Heard.TAKEN, Heard.TAKEN, Heard.FULL] == heard
    assert {"pings": 1} == dict(worker.recorder.dropped)


def test_an_address_is_gone_when_it_was_taken_away(clock, store: Store):
    """Within a minute nobody hears it, and the job is not late."""
    token = add(store, "backup", DAILY, author=ANA)
    worker = Worker(clock, store)
    worker.flush()
    worker.call(token)
    worker.counted()

    remove(store, "backup", author=ANA)
    clock.move(26 * HOUR)
    worker.flush(last=True)

    assert Heard.UNKNOWN is worker.call(token)
    assert {} == read(store, SCOPE).facts
    assert "late" not in worker.counted()
    assert ["ping.remove", "ping.add"] == [
        one.action
        for one in store.audits(service="shop", environment="test", since=0, until=1e12, limit=9)
    ]


@pytest.mark.parametrize("how", ["declared", "runs", "runs before"])
def test_code_of_the_same_name_does_not_bring_an_address_back(clock, store: Store, how: str):
    """It brings back what it knows itself: its schedule, or its run since."""
    token = add(store, "backup", None if how != "declared" else DAILY, author=ANA)
    worker = Worker(clock, store)
    worker.flush()
    every_half = Schedule(every_s=12 * HOUR)
    clock.move(60)
    if how == "declared":
        worker.declared.add("backup", every_half)
    else:
        worker.jobs.ran("backup", outcome="ok", seconds=1.0)
    if how != "runs before":
        worker.flush()

    remove(store, "backup", author=ANA)
    clock.move(120)
    if how == "runs":
        worker.jobs.ran("backup", outcome="failed", seconds=1.0)
    for _ in range(2):
        worker.flush()
        clock.move(60)

    facts = read(store, SCOPE).facts["backup"]
    schedule = every_half if how == "declared" else None
    assert (schedule, False) == (facts.schedule, bool(facts.plan and facts.plan.tokens))
    assert worker.call(token) is not Heard.TAKEN


def test_addresses_work_beside_any_number_of_names(clock, memory):
    """Names that vary take neither an address's place nor its lateness, and are counted once."""
    tokens = [add(memory, f"backup {number}", DAILY, author=ANA) for number in range(20)]
    for number in range(3):
        busy = Worker(clock, memory)
        for index in range(190):
            busy.jobs.ran(f"import {number} {index}", outcome="ok", seconds=1.0)
        for _ in range(3):
            busy.flush()
            clock.move(60)

    worker = Worker(clock, memory)
    clock.move(30 * HOUR)
    worker.flush()
    late = [one for one in worker.recorder.take() if one.metric == "job_lateness_seconds"]

    assert [Heard.TAKEN] * 20 == [worker.call(token) for token in tokens]
    assert 20 == len(late)
    assert {} == dict(worker.recorder.dropped)
    assert {"jobs": 190} == dict(busy.recorder.dropped)


def test_only_a_digest_is_kept(memory):
    """Who reads the database cannot call for a job."""
    token = add(memory, "backup", DAILY, author=ANA)

    assert token not in str(memory.values(""))
    assert 32 == len(token)


def test_what_cannot_be_done_is_told(clock, memory):
    """An address for each job, once; what code declares has none."""
    add(memory, "backup", DAILY, author=ANA)
    code = Declared()
    code.add("report", DAILY)
    process = Jobs(Recorder(SCOPE), clock=clock, declared=code)
    process.sample(START, memory=memory, scope=SCOPE)

    for message, action, name in (
        ("has an address; watchkeeper ping remove", add, "backup"),
        ("is declared in the code", add, "report"),
        ("no job 'report' here; watchkeeper ping list", remove, "report"),
        ("no job 'other' here; watchkeeper jobs lists", forget, "other"),
        ("has an address; watchkeeper ping remove", forget, "backup"),
    ):
        given = (memory, name, DAILY) if action is add else (memory, name)
        with pytest.raises(TriageError, match=message):
            action(*given, author=ANA)


def test_there_are_only_so_many(memory):
    """A script that makes addresses for ever comes to an end."""
    for number in range(MAX_KEPT):
        add(memory, f"job {number}", None, author=ANA)

    with pytest.raises(TriageError, match="500 jobs are known already"):
        add(memory, "one more", None, author=ANA)


def test_a_job_that_ran_in_code_may_get_an_address(clock, memory):
    """If it has no schedule there; what it did stays known, and it is late from now on only."""
    process = Jobs(Recorder(SCOPE), clock=clock, declared=Declared())
    process.ran("backup", outcome="ok", seconds=2.0)
    process.sample(START, memory=memory, scope=SCOPE)

    add(memory, "backup", DAILY, author=Author(scope=SCOPE, actor="cli ana", at=START + 5))
    process.sample(START + 100, memory=memory, scope=SCOPE)

    facts = read(memory, SCOPE).facts["backup"]
    assert (DAILY, 2.0, 1) == (facts.schedule, facts.last_run.seconds, len(facts.plan.tokens))
    forgotten = "report"
    process.ran(forgotten, outcome="ok", seconds=1.0)
    process.sample(START + 200, memory=memory, scope=SCOPE)
    forget(memory, forgotten, author=ANA)
    assert {"backup"} == set(read(memory, SCOPE).facts)
