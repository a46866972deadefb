"""Health checks that run: schedules, time-outs, hangs, the database."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from watchkeeper.core.health import CheckState, Observed, warn
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.checks import DECLARED, MAX_CHECKS, Check, Declared, make_check, run_once
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.health import Health, ProbeReason, database_check, health_check

START = 1_700_000_000.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def declared() -> Iterator[Declared]:
    """Leave no declared check behind."""
    before = {check.name for check in DECLARED}
    yield DECLARED
    for check in DECLARED:
        if check.name not in before:
            DECLARED.discard(check.name)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def runs(health: Health, clock: Clock, count: int, *, every_s: float = 30.0) -> None:
    """Let every check run so often, each time to its end."""

    def all_ran() -> bool:
        return all(clock.now == report.at for report in health.report(clock.now))

    for _ in range(count):
        health.run_due(clock.now)
        until(all_ran)
        clock.now += every_s


def state(health: Health, name: str, now: float) -> str:
    return next(report.state.value for report in health.report(now) if name == report.name)


def passes() -> None:
    """Be well."""


def raises() -> None:
    raise ConnectionError("no route to password=hunter2\nsecond line")


def exits() -> None:
    raise SystemExit(1)


async def waits_a_moment() -> str:
    await asyncio.sleep(0)
    return "12 in the queue"


async def waits_for_ever() -> None:
    await asyncio.Event().wait()


class UnprintableError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


def raises_unprintable() -> None:
    raise UnprintableError


class Wordless:
    """A value that cannot be shown."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def interrupts() -> None:
    raise KeyboardInterrupt


def calls_itself() -> None:
    calls_itself()


async def is_cancelled() -> None:
    raise asyncio.CancelledError("by itself")


def yields() -> Iterator[None]:
    yield


async def yields_async() -> AsyncIterator[None]:
    yield


class Later:
    """What is still to be awaited."""

    def __await__(self) -> Iterator[None]:
        yield


async def forgets_to_await() -> Later:
    return Later()


@pytest.mark.parametrize(
    ("function", "expected", "output"),
    [
        (passes, "pass", ""),
        (lambda: True, "pass", ""),
        (lambda: False, "fail", "returned False"),
        (lambda: 17, "pass", "17"),
        (lambda: warn("certificate ends in 5 days"), "warn", "certificate ends in 5 days"),
        (raises, "fail", "ConnectionError: no route to password=[masked]"),
        (raises_unprintable, "fail", "UnprintableError"),
        (waits_a_moment, "pass", "12 in the queue"),
        (exits, "fail", "SystemExit: 1"),
        (interrupts, "fail", "KeyboardInterrupt"),
        (is_cancelled, "fail", "CancelledError: by itself"),
        (Wordless, "pass", "Wordless"),
        (yields, "fail", "did not run: write return instead of yield"),
        (yields_async, "fail", "did not run: write return instead of yield"),
        (forgets_to_await, "fail", "did not run: write return await"),
        (lambda: {"password": "hunter2"}, "pass", "{'password': [masked]}"),
        (lambda: warn(Wordless()), "fail", "KeyboardInterrupt"),  # type: ignore[arg-type]
    ],
)
def test_what_a_check_returns_or_raises_is_its_result(
    function: Callable[[], Any], expected: str, output: str
):
    """Return is pass, warn() is a warning, a raised exception or False is a failure."""
    found = run_once(make_check("search", function))

    assert (expected, output) == (found.state.value, found.output)


def test_a_check_that_calls_itself_for_ever_has_failed():
    """Recursion ends at Python's limit, and the process goes on."""
    found = run_once(make_check("search", calls_itself))

    assert "fail" == found.state.value
    assert found.output.startswith("RecursionError")


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (Observed(12.5, "ms"), ("pass", "", 12.5, "ms")),
        (Observed(3, "d", "ends soon", CheckState.WARN), ("warn", "ends soon", 3.0, "d")),
        (Observed(0, "%", state="fail"), ("fail", "", 0.0, "%")),  # type: ignore[arg-type]
        (Observed(float("inf"), "s"), ("pass", "", None, "s")),
        (Observed(1, "x" * 99), ("pass", "", 1.0, "x" * 19 + "…")),
        (
            Observed(1, "s", state=CheckState.UNKNOWN),
            ("fail", "ValueError: a check that ran does not find unknown", None, ""),
        ),
        (
            Observed("many", "s"),  # type: ignore[arg-type]
            ("fail", "ValueError: could not convert string to float: 'many'", None, ""),
        ),
    ],
)
def test_what_a_check_measured_is_kept_with_its_unit(
    observed: Observed, expected: tuple[str, str, float | None, str]
):
    """A check may tell a figure, and how that is."""
    found = run_once(make_check("search", lambda: observed))

    assert expected == (found.state.value, found.output, found.value, found.unit)


def test_a_long_output_is_cut():
    """No check can fill the database with its output."""
    found = run_once(make_check("search", lambda: "x" * 10_000))

    assert 200 >= len(found.output)


def test_an_async_check_that_hangs_is_cancelled():
    """An async function ends with its time-out."""
    found = run_once(make_check("search", waits_for_ever, timeout="50ms"))

    assert ("fail", "no answer within 50 ms") == (found.state.value, found.output)


def test_a_failing_check_is_no_error_of_ours():
    """An exception of a check is its answer; it is not counted as an internal error."""
    take_errors()

    run_once(make_check("search", raises))

    assert {} == take_errors()


def test_checks_run_on_their_own_schedule():
    """Each check runs when its own interval is over."""
    clock, called = Clock(), []
    health = Health(
        [
            make_check("often", lambda: called.append("often"), every="10s"),
            make_check("seldom", lambda: called.append("seldom"), every="30s"),
        ],
        clock=clock,
    )

    for _ in range(4):
        before = len(called)
        health.run_due(clock.now)
        expected = 2 if clock.now - START in {0.0, 30.0} else 1
        until(lambda before=before, expected=expected: len(called) == before + expected)
        until(lambda: all(report.at is not None for report in health.report(clock.now)))
        clock.now += 10

    assert 4 == called.count("often")
    assert 2 == called.count("seldom")


def test_three_failures_are_one_change():
    """Only changes of state are stored as changes; each result is stored as the last one."""
    clock, told = Clock(), []
    works = True

    def check() -> None:
        if not works:
            raise ConnectionError("refused")

    health = Health(
        [make_check("search", check)], clock=clock, on_change=lambda: told.append(clock.now)
    )
    runs(health, clock, 1)
    first = health.take()
    works = False
    runs(health, clock, 2)
    quiet = health.take()[1]
    runs(health, clock, 1)
    until(lambda: bool(told))
    results, changes = health.take()

    assert [("unknown", "pass")] == [(one.before, one.after) for one in first[1]]
    assert [] == quiet
    assert [("pass", "fail", "ConnectionError: refused")] == [
        (one.before, one.after, one.output) for one in changes
    ]
    assert [("search", "fail", 3, 0, START + 90)] == [
        (one.name, one.state, one.failures, one.successes, one.since) for one in results
    ]
    assert 1 == len(told)
    assert ([], []) == health.take()


def test_a_hung_check_fails_and_blocks_no_other():
    """Checks that hang are failures; the others go on, and none is started twice."""
    clock, free = Clock(), threading.Event()
    started = []

    def hang() -> None:
        started.append(1)
        free.wait(20)

    hanging = [make_check(f"hung {number}", hang, timeout="30ms") for number in range(6)]
    health = Health([*hanging, make_check("well", passes)], clock=clock)

    for _ in range(4):

        def driven() -> bool:
            health.run_due(clock.now)
            return all(report.at == clock.now for report in health.report(clock.now))

        until(driven)
        clock.now += 30
    states = {report.name: report.state.value for report in health.report(clock.now)}
    outputs = {one.output for one in health.report(clock.now) if one.name != "well"}
    free.set()

    assert {"well": "pass", **{f"hung {number}": "fail" for number in range(6)}} == states
    assert {"no answer within 30 ms"} == outputs
    assert 6 == len(started)


def test_a_check_that_hung_is_run_again_once_it_has_ended():
    """After it came back it is judged anew."""
    clock, free = Clock(), threading.Event()
    health = Health(
        [make_check("search", lambda: str(free.wait(20)), timeout="30ms")],
        clock=clock,
    )

    def failed() -> bool:
        health.run_due(clock.now)
        clock.now += 30
        return state(health, "search", clock.now) == "fail"

    until(failed)
    free.set()

    def passed() -> bool:
        health.run_due(clock.now)
        clock.now += 30
        return state(health, "search", clock.now) == "pass"

    until(passed)


def test_a_check_that_ends_its_thread_has_failed():
    """sys.exit in a check ends neither the process nor the check's schedule."""
    clock = Clock()
    health = Health([make_check("search", exits)], clock=clock)

    runs(health, clock, 3)

    assert ("fail", "SystemExit: 1") == (
        state(health, "search", clock.now),
        health.report(clock.now)[0].output,
    )


def test_at_most_four_checks_run_at_once():
    """Many checks take turns."""
    clock, free, lock = Clock(), threading.Event(), threading.Lock()
    at_once = most = 0

    def check() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        free.wait(20)
        with lock:
            at_once -= 1

    health = Health(
        [make_check(f"check {number}", check, timeout="1m") for number in range(12)], clock=clock
    )
    health.run_due(clock.now)
    until(lambda: at_once == 4)
    health.run_due(clock.now)
    free.set()

    def all_ran() -> bool:
        health.run_due(clock.now)
        return all(report.at is not None for report in health.report(clock.now))

    until(all_ran)

    assert 4 == most


def test_a_check_without_results_becomes_unknown():
    """A check that passed an hour ago is not shown as green."""
    clock = Clock()
    health = Health([make_check("search", passes)], clock=clock)
    before = state(health, "search", clock.now)
    runs(health, clock, 1)

    assert "unknown" == before
    assert "pass" == state(health, "search", clock.now)
    assert "unknown" == state(health, "search", clock.now + 3_600)


def test_time_without_a_run_is_unknown_afterwards_too(monkeypatch: pytest.MonkeyPatch):
    """A check that passed, was not run for an hour, and passes again was not up all the time."""
    clock = Clock()
    monkeypatch.setattr("watchkeeper.runtime.watched.monotonic", clock)
    health = Health([make_check("search", passes, timeout="5s")], clock=clock)
    runs(health, clock, 1)
    health.take()
    clock.now = START + 3_600

    runs(health, clock, 1)

    _, changes = health.take()
    assert [("pass", "unknown", START + 95), ("unknown", "pass", START + 3_600)] == [
        (one.before, one.after, one.at) for one in changes
    ]


def test_what_failed_before_and_after_a_gap_is_unknown_within(monkeypatch: pytest.MonkeyPatch):
    """An hour without a run is no hour of failure; its failed runs are not forgotten."""
    clock = Clock()
    monkeypatch.setattr("watchkeeper.runtime.watched.monotonic", clock)
    health = Health([make_check("search", raises, timeout="5s")], clock=clock)
    runs(health, clock, 3)
    health.take()
    clock.now = START + 3_600

    runs(health, clock, 1)

    _, changes = health.take()
    assert [("fail", "unknown", START + 155), ("unknown", "fail", START + 3_600)] == [
        (one.before, one.after, one.at) for one in changes
    ]


def test_a_clock_set_ahead_is_no_time_without_a_run():
    """An hour that only the clock has gone on by is not told as unknown."""
    clock = Clock()
    health = Health([make_check("search", passes, timeout="5s")], clock=clock)
    runs(health, clock, 1)
    health.take()
    clock.now = START + 3_600

    runs(health, clock, 1)

    assert [] == health.take()[1]


def test_a_clock_set_back_stops_no_check():
    """After the clock was set back a check runs at once, not hours later."""
    clock = Clock()
    health = Health([make_check("search", passes)], clock=clock)
    runs(health, clock, 1)
    clock.now -= 7_200

    runs(health, clock, 1)

    assert START - 7_200 + 30 == health.report(clock.now)[0].at


def test_a_check_of_a_long_interval_runs_again_soon_after_a_failure():
    """An hourly one has failed after a minute, is clear after two good runs, and rests."""
    clock, answers = Clock(), iter([False, False, False, True, True, True])
    began: list[float] = []

    def ask() -> bool:
        began.append(clock.now - START)
        return next(answers)

    health = Health([make_check("search", ask, every="1h")], clock=clock)
    for _ in range(400):
        health.run_due(clock.now)
        until(lambda: not health._running)
        clock.now += 10

    assert [0, 30, 60, 90, 120, 3_720] == began


def test_the_decorator_declares_before_and_after_the_start(declared: Declared):
    """A check may be declared anywhere, also after watch()."""
    clock = Clock()
    health = Health.declared({}, clock=clock)

    @health_check("late search", every="1m", timeout="2s", critical=False)
    def search_answers() -> None:
        """Answer."""

    runs(health, clock, 1)

    assert search_answers() is None
    assert [("late search", CheckState.PASS, False)] == [
        (one.name, one.state, one.critical) for one in health.report(clock.now)
    ]


def test_one_name_is_one_check(declared: Declared):
    """Two functions under one name are an error; a reloaded module is none."""

    def declare() -> None:
        health_check("search")(passes)

    declare()
    declare()

    with pytest.raises(ConfigurationError, match=r"'search': declared twice, by .*passes and"):
        health_check("search")(raises)
    assert 1 == [check.name for check in declared].count("search")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "at most 60 characters"),
        ("a:b", {}, "without a colon"),
        ("x" * 61, {}, "at most 60 characters"),
        ("a\nb", {}, "printable"),
        ("search", {"every": "30 sec"}, r"'search': every: .*write '30s'"),
        ("search", {"every": "100ms"}, "'search': every: '100ms' is too often"),
        ("search", {"timeout": "0s"}, "'search': timeout: '0s' is too short"),
        ("search", {"timeout": "5"}, r"'search': timeout: .*write '5s'"),
        ("search", {"every": "30d"}, "too seldom; write '7d' or less"),
        ("search", {"timeout": "30d"}, "too long"),
        (
            "search",
            {"scope": "host"},
            "'search': scope: 'host' is unknown; write 'cluster' .* or 'worker'",
        ),
        ("search", {"critical": "no"}, "critical: 'no' is neither true nor false"),
        ("search", {"tags": [""]}, "tags: '' is no tag"),
        ("search", {"tags": [str(number) for number in range(11)]}, "at most 10, there are 11"),
    ],
)
def test_a_wrong_declaration_names_the_cure(name: str, options: dict[str, str], message: str):
    """What is wrong is said where it is declared."""
    with pytest.raises(ConfigurationError, match=message):
        health_check(name, **options)(passes)  # type: ignore[arg-type]


def test_a_check_has_tags():
    """One tag or several tell checks apart."""
    tagged = [make_check("search", passes, tags=tags).tags for tags in ("shop", ["shop", "eu"])]

    assert [("shop",), ("shop", "eu")] == tagged


def test_what_is_no_function_is_no_check():
    """The mistake is told where it was made."""
    with pytest.raises(ConfigurationError, match="'search': str is not a function"):
        make_check("search", "search")  # type: ignore[arg-type]


def test_there_are_at_most_a_hundred_checks():
    """The number of checks has a limit, which is told."""
    many = Declared()
    for number in range(MAX_CHECKS):
        many.add(make_check(f"check {number}", passes))

    with pytest.raises(ConfigurationError, match="100 already"):
        many.add(make_check("one more", passes))


def test_ready_means_started_and_not_draining():
    """Readiness follows the process' life; a check counts only if it was named for it."""
    clock = Clock()
    health = Health([make_check("search", raises)], clock=clock)
    answers = [health.ready()]
    health.started = True
    runs(health, clock, 3)
    answers.append(health.ready())
    health.draining = True
    answers.append(health.ready())
    live = health.live()
    health.stopped = True

    assert [ProbeReason.NOT_STARTED, ProbeReason.READY, ProbeReason.DRAINING] == [
        one.reason for one in answers
    ]
    assert [False, True, False] == [bool(one) for one in answers]
    assert live
    assert not health.live()


def test_a_check_for_readiness_must_pass_first():
    """Unknown is not ready."""
    clock = Clock()
    health = Health([make_check("cache", passes, readiness=True)], clock=clock)
    health.started = True
    before = health.ready()
    runs(health, clock, 1)

    assert ProbeReason.CHECK_FAILING is before.reason
    assert health.ready()


def test_after_a_fork_everything_starts_anew():
    """The child has none of the parent's runs and results."""
    clock = Clock()
    health = Health([make_check("search", passes)], clock=clock)
    health.started = True
    runs(health, clock, 1)

    health.reset()

    assert not health.started
    assert ([], []) == health.take()
    assert "unknown" == state(health, "search", clock.now)


def test_the_time_to_the_next_turn_is_known():
    """Whoever drives the checks knows how long it may sleep."""
    clock = Clock()
    health = Health([make_check("search", passes, every="10s")], clock=clock)
    nothing = health.pending_soon()
    runs(health, clock, 1, every_s=4.0)

    assert nothing is None
    assert 6.0 == pytest.approx(health.pending_soon())


def database(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (a)")
    connection.close()
    return f"sqlite:///{path}"


def targets(url: str) -> dict[str, Any]:
    return {
        "url": lambda: url,
        "engine": lambda: create_engine(url),
        "null pool": lambda: create_engine(url, poolclass=NullPool),
    }


@pytest.mark.parametrize("kind", ["url", "engine", "null pool"])
def test_a_database_that_answers_passes(tmp_path: Path, kind: str):
    """A URL or the host's Engine: SELECT 1 comes back."""
    target = targets(database(tmp_path / "shop.db"))[kind]()
    check = database_check(target)

    found = [run_once(check).state.value for _ in range(3)]

    assert ["pass", "pass", "pass"] == found
    assert ("database", 2.0, "datastore") == (check.name, check.timeout_s, check.component)


def test_the_hosts_pool_is_left_alone(tmp_path: Path):
    """A pool whose connections are all in use does not fail the check."""
    engine = create_engine(database(tmp_path / "shop.db"), pool_size=1, max_overflow=0)

    with engine.connect():
        found = run_once(database_check(engine))

    engine.dispose()
    assert ("pass", 0) == (found.state.value, engine.pool.checkedout())  # type: ignore[attr-defined]


def test_a_missing_sqlite_file_fails_and_is_not_created(tmp_path: Path):
    """The check reads only."""
    found = run_once(database_check(f"sqlite:///{tmp_path / 'missing.db'}"))

    assert ("fail", "FileNotFoundError: the database file does not exist") == (
        found.state.value,
        found.output,
    )
    assert [] == list(tmp_path.iterdir())


def test_a_database_that_is_away_fails_without_its_password():
    """The reason is told in one line, the password is not."""
    found = run_once(
        database_check("postgresql+psycopg://shop:hunter2@127.0.0.1:1/shop", timeout="10s")
    )

    assert "fail" == found.state.value
    assert "refused" in found.output
    assert "hunter2" not in found.output


def test_an_async_url_is_asked_in_a_loop_of_its_own():
    """An application with an async driver names the URL or engine that it has."""
    url = "postgresql+psycopg_async://shop:hunter2@127.0.0.1:1/shop"
    for target in (url, create_async_engine(url)):
        found = run_once(database_check(target, timeout="10s"))

        assert "fail" == found.state.value
        assert "hunter2" not in found.output


def test_a_database_check_comes_from_settings(tmp_path: Path, declared: Declared):
    """[health.checks.NAME] in a file makes a check."""
    clock = Clock()
    url = database(tmp_path / "shop.db")
    health = Health.declared(
        {"orders": {"type": "database", "url": url, "every": "1m", "critical": False}},
        clock=clock,
    )

    runs(health, clock, 1)

    assert [("orders", CheckState.PASS, False)] == [
        (one.name, one.state, one.critical) for one in health.report(clock.now)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"health\.checks\.db\.type: None is not a built-in check"),
        ({"type": "databse"}, r"health\.checks\.db\.type: 'databse' is not"),
        ({"type": "database"}, r"health\.checks\.db\.url: missing"),
        ({"type": "database", "url": "shop.db"}, r"not a database URL"),
        ({"type": "database", "url": "sqlite://", "evry": "1m"}, r"checks\.db\.evry: unknown"),
        ("sqlite://", r"health\.checks\.db: 'sqlite://' is not a table"),
    ],
)
def test_wrong_settings_of_a_check_name_the_key(options: Any, message: str):
    """A wrong table is an error that names the key and the cure."""
    with pytest.raises(ConfigurationError, match=message):
        Health.declared({"db": options}, clock=Clock())


def test_a_wrong_check_in_a_file_is_a_problem_and_no_end(tmp_path: Path, declared: Declared):
    """What a file says wrongly switches that check off, and the host starts."""
    problems: list[str] = []
    url = database(tmp_path / "shop.db")

    health = Health.declared(
        {"orders": {"type": "database", "url": url}, "mail": {"type": "mial"}},
        clock=Clock(),
        problems=problems,
    )

    assert ["orders"] == [report.name for report in health.report(START)]
    assert 1 == len(problems)
    assert "health.checks.mail.type: 'mial' is not a built-in check; use one of" in problems[0]
    assert problems[0].endswith("; this check is off")


def test_check_is_a_plain_value():
    """A check can be made in code, too."""
    check = Check(name="search", function=passes)

    assert (30.0, 5.0, True, False) == (
        check.every_s,
        check.timeout_s,
        check.critical,
        check.readiness,
    )
