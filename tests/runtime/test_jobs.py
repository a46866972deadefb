"""Jobs: each run is counted, timed and judged; what happens in it is seen under its name."""

import asyncio
import contextlib
import functools
import inspect
import threading
from collections.abc import Iterator
from time import perf_counter

import pytest

from watchkeeper.core.metrics import OTHER, Scope
from watchkeeper.core.slot import Value
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import job_memory, job_states
from watchkeeper.runtime import observer as observers
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.job_states import MAX_JOBS
from watchkeeper.runtime.jobs import job, outcome_of
from watchkeeper.runtime.marks import hashed_user, set_user, tag
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.record import Record, current
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.spans import span
from watchkeeper.storage.memory import MemoryStore

SCOPE = Scope(service="shop", environment="test")


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test declares for itself."""
    monkeypatch.setattr(job_states.DECLARED, "_schedules", {})


@pytest.fixture
def issues() -> Issues:
    """Where failures go."""
    return Issues(SCOPE)


@pytest.fixture
def observer(issues: Issues) -> Iterator[Observer]:
    """An observer that jobs record with."""
    made = Observer(Recorder(SCOPE), clock=lambda: 1e9)
    made.capture = issues.capture
    observers.bind(made)
    yield made
    observers.unbind()


def taken(observer: Observer, metric: str, *labels: str) -> dict[tuple[str, ...], Value]:
    """Return the values of a metric by some of its labels."""
    return {
        tuple(series.label(name) for name in labels): value
        for series, value in observer.recorder.take().items()
        if series.metric == metric
    }


def runs(observer: Observer) -> dict[tuple[str, ...], int]:
    """Return how many runs there were, by job and outcome."""
    durations = taken(observer, "job_duration_seconds", "job", "outcome")
    return {labels: value.count for labels, value in durations.items()}


def in_a_loop(test):
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(**given: object) -> None:
        asyncio.run(test(**given))

    return run


def test_each_call_of_a_decorated_function_is_a_run(observer: Observer):
    """What comes back is what the function returned, and the function is what it was."""

    @job("report", every="24h")
    def report(day: str, *, copies: int = 1) -> str:
        """Make the report."""
        return day * copies

    assert "MoMo" == report("Mo", copies=2)
    assert "Tu" == report("Tu")

    assert ("report", "Make the report.") == (report.__name__, report.__doc__)
    assert "(day: str, *, copies: int = 1) -> str" == str(inspect.signature(report))
    assert {("report", "ok"): 2} == runs(observer)


def test_a_block_is_a_run(observer: Observer):
    """Where there is no function to decorate, `with` will do."""
    with job("import"):
        pass

    assert {("import", "ok"): 1} == runs(observer)


def test_a_success_says_when(observer: Observer):
    """The time of the last success is a gauge of its own."""
    with job("import"):
        pass

    (last,) = taken(observer, "job_last_success_timestamp_seconds").values()
    assert 1e9 == last.last


def test_jobs_do_nothing_before_anything_watches():
    """Code with jobs runs unwatched as well."""

    @job("report")
    def report() -> int:
        with job("part"):
            return 3

    assert 3 == report()
    assert current.get() is None


def test_a_failure_is_an_issue_and_goes_on(observer: Observer, issues: Issues):
    """The exception reaches the caller untouched; its issue names the job."""
    error = ValueError("no paper")

    @job("report")
    def report() -> None:
        raise error

    with pytest.raises(ValueError, match="no paper") as raised:
        report()

    assert error is raised.value
    assert {("report", "failed"): 1} == runs(observer)
    ((event,)) = issues.take()[1]
    assert {"job": "report"} == event.data["context"]
    assert {"route": "job:report"} == event.data["request"]
    assert "job:report" == event.route


def test_a_failure_knows_user_and_tags(observer: Observer, issues: Issues):
    """Marks belong to the run."""

    @job("report")
    def report() -> None:
        set_user(17)
        tag(plan="pro")
        raise ValueError("no paper")

    with pytest.raises(ValueError, match="no paper"):
        report()

    ((event,)) = issues.take()[1]
    assert (hashed_user(17), {"plan": "pro"}) == (event.data["user"], event.data["tags"])


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("ok", None),
        ("ok", SystemExit()),
        ("ok", SystemExit(0)),
        ("failed", SystemExit(1)),
        ("failed", SystemExit("out of paper")),
        ("failed", ValueError()),
        ("failed", ExceptionGroup("several", [ValueError()])),
        ("cancelled", asyncio.CancelledError()),
        ("cancelled", KeyboardInterrupt()),
        ("cancelled", GeneratorExit()),
        ("cancelled", BaseExceptionGroup("several", [asyncio.CancelledError()])),
    ],
)
def test_a_run_is_judged_by_what_it_raised(outcome: str, error: BaseException | None):
    """Being told to end is nobody's failure; ending by exit(0) is a success."""
    assert outcome == outcome_of(error)


@in_a_loop
async def test_an_async_job_runs_until_it_returns(observer: Observer):
    """The coroutine's work is the run, not its making."""
    go = asyncio.Event()

    @job("report")
    async def report() -> str:
        await go.wait()
        return "done"

    task = asyncio.create_task(report())
    await asyncio.sleep(0)
    assert {} == runs(observer)
    go.set()

    assert "done" == await task
    assert {("report", "ok"): 1} == runs(observer)
    assert inspect.iscoroutinefunction(report)


@in_a_loop
async def test_a_cancelled_job_is_no_failure(observer: Observer, issues: Issues):
    """A deployment that ends a worker in the midst of a job raises no alarm."""

    @job("report")
    async def report() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(report())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert {("report", "cancelled"): 1} == runs(observer)
    assert [] == issues.take()[0]


@in_a_loop
async def test_runs_at_once_do_not_mix(observer: Observer):
    """One job object serves many runs, in tasks and within itself."""
    report = job("report")
    seen = []

    async def run(number: int) -> None:
        with report:
            mine = current.get()
            await asyncio.sleep(0)
            with report:
                await asyncio.sleep(0)
            seen.append(current.get() is mine)

    await asyncio.gather(*[run(number) for number in range(5)])

    assert [True] * 5 == seen
    assert {("report", "ok"): 10} == runs(observer)


def test_threads_count_exactly(observer: Observer):
    """Eight threads with one job lose no run."""
    report = job("report")(lambda: None)

    def work() -> None:
        for _ in range(200):
            report()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {("report", "ok"): 1_600} == runs(observer)


def test_what_happens_inside_is_seen_under_the_jobs_name(observer: Observer):
    """Statements and calls of a job have a route of their own."""
    sql = "SELECT * FROM orders WHERE id = 5"

    with job("report"), span("pages"):
        for _ in range(10):
            observer.executed("postgresql", sql, start=perf_counter(), seconds=0.001)

    values = {
        series.metric: value
        for series, value in observer.recorder.take().items()
        if series.label("route") == "job:report"
    }
    assert 10.0 == values["db_client_statement_calls_total"]
    assert 1.0 == values["db_client_repeated_statements_total"]


def test_a_job_within_a_request_is_one_part_of_it(observer: Observer):
    """The request shows the job as one span; what is in the job is the job's."""
    outer = Record.beginning(0.0)
    token = current.set(outer)

    with job("report"), span("pages"):
        pass

    assert current.get() is outer
    current.reset(token)
    assert ["job:report"] == [operation.name for operation, _, _ in outer.inside.spans]


def test_a_run_that_began_before_watching_is_left_out(issues: Issues):
    """Half a run is no run."""
    report = job("report")
    observer = Observer(Recorder(SCOPE))

    with report:
        observers.bind(observer)
    observers.unbind()

    assert {} == runs(observer)


def test_a_run_that_ends_after_watching_is_left_out(observer: Observer):
    """Switching off in the midst of a run harms nothing."""
    with job("report"):
        observers.unbind()

    assert {} == runs(observer)
    assert current.get() is None


def test_names_without_end_are_bounded(observer: Observer):
    """A job named after each customer does no harm: beyond 200 they count as one."""
    for number in range(MAX_JOBS + 100):
        with job(f"import {number}"):
            pass

    counted = runs(observer)
    assert MAX_JOBS + 1 == len(counted)
    assert 100 == counted[OTHER, "ok"]
    assert 100 == observer.recorder.dropped["jobs"]


def test_the_wait_in_a_queue_is_recorded_where_it_is_known(observer: Observer):
    """Queues tell when a job was enqueued; clocks of two hosts may differ, never below 0."""
    observer.job("mail", outcome="ok", seconds=0.1, wait_s=2.0)
    observer.job("mail", outcome="ok", seconds=0.1, wait_s=-0.5)

    ((wait,)) = taken(observer, "job_wait_seconds").values()
    assert (2, 2.0) == (wait.count, wait.sum)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: job(""), "a name is a printable text: 'nightly-report'"),
        (lambda: job(None), "job None: a name is a printable text"),
        (lambda: job("a\nb"), "a name is a printable text"),
        (lambda: job("x" * 201), "at most 200 characters"),
        (lambda: job("report", every="often"), r"job 'report'\.every: 'often' is not a duration"),
        (lambda: job("report", cron="never"), r"job 'report'\.cron: 'never' has 1 fields"),
        (lambda: job("report", grace="1h"), r"job 'report'\.grace: without every= or cron="),
        (
            lambda: [job("report", every="1h"), job("report", every="2h")],
            "job 'report': declared twice, with different schedules",
        ),
        (
            lambda: [job(f"report {number}", every="1h") for number in range(201)],
            "200 jobs with a schedule are declared already",
        ),
        (lambda: job("report")(lambda: (yield)), "is a generator, whose call returns before"),
        (lambda: job("report")(int), "<class 'int'> is not a function"),
        (lambda: job("report")(staticmethod(len)), "put it below @staticmethod"),
        (lambda: job("report")(None), "None is not a function"),
    ],
)
def test_wrong_declarations_name_the_cure(declare: object, message: str):
    """A declaration that cannot work fails where it is written."""
    with pytest.raises(ConfigurationError, match=message):
        declare()


def test_the_same_declaration_twice_is_one():
    """A module that is loaded again, or a second place that names the job, is no mistake."""
    job("report", every="24h", grace="1h")
    job("report", every="24h", grace="1h")
    job("report")

    assert ["report"] == list(job_states.DECLARED.schedules())


def test_what_a_run_failed_with_is_known_of_its_job(observer: Observer):
    """In one line without secrets, as what pings tell; a run that went well says nothing."""

    store = MemoryStore()
    texts = {
        "rates": "none\nfor 2026",
        "report": "postgresql://shop:hunter2-made-up@db/",
        "ok": "",
    }
    for name, text in texts.items():
        with contextlib.suppress(ValueError), job(name):
            if text:
                raise ValueError(text)
    observer.jobs.sample(1e9, memory=store, scope=SCOPE, last=True)
    runs = {name: one.last_run for name, one in job_memory.read(store, SCOPE).facts.items()}
    said = {name: run.output for name, run in runs.items() if run is not None}

    assert ("ValueError: none", "") == (said["rates"], said["ok"])
    assert said["report"].startswith("ValueError: postgresql://")
    assert "hunter2-made-up" not in said["report"]
