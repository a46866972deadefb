"""The composition: parts built from settings, one per process, started and stopped."""

import logging
import os
import re
import threading
import time

import pytest

from watchkeeper.app import Watchkeeper, capture_exception, current, forget_current, obtain
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.rules import Alert
from watchkeeper.core.sampling import Reason
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.notifier import DeliveryError, Notification
from watchkeeper.runtime.record import Taken
from watchkeeper.runtime.triage import Triage
from watchkeeper.settings import Settings, load
from watchkeeper.storage.store import Outgoing
from watchkeeper.testing import ManualClock

LABELS = {"method": "GET", "route": "/", "status": "200"}
FAILED = LABELS | {"status": "500"}


class Inbox:
    """A channel that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[Notification] = []

    def send(self, notification: Notification) -> None:
        self.received.append(notification)


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return ManualClock(1_000_000_005.0)


@pytest.fixture
def make(clock, tmp_path):
    """Make Watchkeepers of a folder of their own, and stop them in the end."""
    made = []

    def build(environ=None, **given) -> Watchkeeper:
        settings = Settings(
            enabled=True, database_url="memory://", service="shop", environment="test", **given
        )
        made.append(
            Watchkeeper(load(settings, environ=environ or {}, directory=tmp_path), clock=clock)
        )
        return made[-1]

    yield build
    for one in made:
        one.stop()


def requests(wk: Watchkeeper, count: int, labels=LABELS, *, seconds: float = 0.05) -> None:
    """Record requests as the integrations do."""
    series = wk.recorder.series(HTTP_DURATION, labels)
    for _ in range(count):
        series.record(seconds)


def cycle(wk: Watchkeeper, clock: ManualClock, *, seconds: float = 10) -> None:
    """Let a slot pass."""
    clock.move(seconds)
    wk.flush()


# The machine that runs the tests may be as busy as it likes.
MACHINE_OFF = [
    Alert("CPU", when="cpu_used > 90%", enabled=False),
    Alert("Memory", when="memory_used > 90%", enabled=False),
    Alert("Disk", when="disk_used > 90%", enabled=False),
]


def test_an_incident_is_told_once_and_ends_once(make, clock):
    """Errors fire the pack's rule, one message says so, and one says that it is over."""
    inbox = Inbox()
    wk = make(channels={"inbox": inbox}, alerts=MACHINE_OFF)
    for _ in range(6):
        requests(wk, 100)
        cycle(wk, clock)
    for _ in range(6):
        requests(wk, 60)
        requests(wk, 40, FAILED)
        cycle(wk, clock)
    for _ in range(60):
        requests(wk, 100)
        cycle(wk, clock)

    wk.stop()
    told = [(sent.kind, sent.payload["rule"]) for sent in inbox.received]
    assert [("firing", "High error rate"), ("resolved", "High error rate")] == told


def test_an_outage_is_told_once(make, clock):
    """Where everything fails, nobody is told besides that some of it fails."""
    inbox = Inbox()
    wk = make(channels={"inbox": inbox}, alerts=MACHINE_OFF)
    for _ in range(6):
        requests(wk, 100, FAILED)
        cycle(wk, clock)

    wk.stop()
    assert [("firing", "Everything fails")] == [
        (sent.kind, sent.payload["rule"]) for sent in inbox.received
    ]


def test_a_healthy_service_is_silent(make, clock):
    """An hour of good requests tells nobody anything."""
    inbox = Inbox()
    wk = make(channels={"inbox": inbox}, alerts=MACHINE_OFF)

    for _ in range(360):
        requests(wk, 20)
        cycle(wk, clock)

    assert [] == inbox.received


def test_routing_sends_by_severity(make, clock):
    """A critical incident goes to the channels of `critical` only."""
    oncall, team = Inbox(), Inbox()
    wk = make(
        channels={"oncall": oncall, "team": team},
        routing={"critical": ["oncall"], "warning": ["team"]},
        alert_pack=False,
        alerts=[Alert("Errors", when="error_rate > 5%", severity="critical")],
    )
    for _ in range(3):
        requests(wk, 100, FAILED)
        cycle(wk, clock)

    wk.stop()
    assert 1 == len(oncall.received)
    assert [] == team.received


def test_frames_roll_up_while_it_runs(make, clock):
    """After some minutes there are minute frames, and the count is the same in both."""
    wk = make()
    for _ in range(30):
        requests(wk, 7)
        cycle(wk, clock)
        wk._flusher._tidy(clock())

    until = clock() + 60
    minutes = wk.store.frames(60, since=0, until=until, service="shop", environment="test")

    assert len(minutes) >= 3
    counts = {
        frame.key.start: value.count
        for frame in minutes
        for series, value in frame.values.items()
        if series.metric == HTTP_DURATION.name
    }
    assert {42} == set(list(counts.values())[1:-1])


def test_a_driver_that_is_missing_switches_storing_off_only(make, caplog, monkeypatch):
    """Without a driver one line says what to install; recording and probes go on."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    wk = Watchkeeper(
        load(
            Settings(enabled=True, database_url="postgresql+psycopg://db/shop"),
            environ={},
        )
    )
    with caplog.at_level(logging.ERROR, "watchkeeper"):
        requests(wk, 1)
        wk.flush()
        wk.flush()

    assert 1 == len(caplog.records)
    assert 'Run: pip install "watchkeeper[postgres]"' in caplog.records[0].message
    assert wk.store is None
    assert "no driver is installed" in wk.failure


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channels": {"ops": {"type": "pigeon"}}}, "channels.ops"),
        ({"alerts": [Alert("Errors", when="error_rate > 5")]}, "a rate is a share"),
        ({"health_checks": {"db": {"type": "oracle"}}}, "health.checks.db"),
    ],
)
def test_what_code_sets_wrongly_raises_at_start(make, given, message):
    """A bad channel, rule or check in code is an error that names its key."""
    with pytest.raises(ConfigurationError, match=message):
        make(**given)


def test_what_a_file_sets_wrongly_is_one_line(tmp_path, capsys, caplog):
    """A bad channel in a file is off and said so; the rest works."""
    (tmp_path / "watchkeeper.toml").write_text('[channels.ops]\ntype = "pigeon"\n')

    wk = Watchkeeper(load(environ={}, directory=tmp_path))

    assert {} == wk.notifiers
    assert "channels.ops" in wk.problems[0]
    assert "this channel is off" in wk.problems[0]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            '[health.checks.mail]\ntype = "mial"\n',
            r"watchkeeper\.toml:2: health\.checks\.mail\.type: 'mial' is not a built-in check.*"
            "; this check is off",
        ),
        (
            '[health.checks.db]\ntype = "database"\nurl = "sqlite://"\nevry = "1m"\n',
            r"watchkeeper\.toml:4: health\.checks\.db\.evry: unknown key",
        ),
        (
            '[health.checks.db]\ntype = "database"\n',
            r"watchkeeper\.toml:1: health\.checks\.db\.url: missing; write",
        ),
        ("[health]\nchecks = 3\n", r"watchkeeper\.toml:2: write a table for each check"),
        ("health = 3\n", r"watchkeeper\.toml:1: write a table for each check"),
        (
            "[health.chekcs.db]\n",
            r"watchkeeper\.toml:1: in \[health\], unknown key 'chekcs'; did you mean 'checks'\?",
        ),
        ("[health]\nevery = 3\n", r"watchkeeper\.toml:2: .*; write \[health\.checks\.NAME\]"),
    ],
)
def test_a_wrong_check_in_a_file_is_told_with_its_line(tmp_path, file: str, expected: str):
    """The check is off, the host starts, and the message names file, line, key and cure."""
    (tmp_path / "watchkeeper.toml").write_text(file)

    wk = Watchkeeper(load(environ={}, directory=tmp_path))

    assert re.match(expected, wk.problems[0]), wk.problems
    assert [] == [one for one in wk.health.report(0.0) if one.name in {"mail", "db"}]


def test_a_wrong_check_in_the_environment_names_the_variable(tmp_path):
    """There is no line, but a name to look for."""
    environ = {"WATCHKEEPER_HEALTH_CHECKS": '{"mail": {"type": "mial"}}'}

    wk = Watchkeeper(load(environ=environ, directory=tmp_path))

    assert wk.problems[0].startswith("WATCHKEEPER_HEALTH_CHECKS: health.checks.mail.type: 'mial'")


def test_one_line_at_start(make, capsys):
    """Starting prints one line: where things are kept, where to look, who is told."""
    wk = make()

    wk.start()
    wk.start()

    assert (
        'watchkeeper: on · memory · dashboard /watchkeeper (run "watchkeeper open") · '
        "nobody is told: no channel set\n"
    ) == capsys.readouterr().err


def test_stopping_writes_what_is_left(make, clock):
    """A clean stop flushes the last slot, marks the worker as stopped and ends the thread."""
    wk = make()
    wk.start()
    store = None
    for _ in range(200):
        store = store or wk.store
        wk.flush()
        if wk.store:
            store = wk.store
            break
    requests(wk, 5)

    wk.stop()

    frames = store.frames(10, since=0, until=9e9, service="shop", environment="test")
    counted = sum(
        value.count
        for frame in frames
        for series, value in frame.values.items()
        if series.metric == HTTP_DURATION.name
    )
    (worker,) = store.workers(service="shop", environment="test", seen_since=0)
    assert 5 == counted
    assert worker.stopped_at is not None
    assert not [t for t in threading.enumerate() if t.name == "watchkeeper" and t.is_alive()]


def test_one_per_process():
    """A second call gives the same; with other settings it raises."""
    settings = Settings(enabled=True, database_url="memory://")
    try:
        first = obtain(settings)

        assert first is obtain(settings)
        assert first is obtain()
        assert first is current()
        with pytest.raises(ConfigurationError, match="already set up in this process"):
            obtain(Settings(enabled=True, database_url="other.db"))
    finally:
        forget_current()
    assert current() is None


def test_capture_exception_before_watch_does_nothing():
    """Library code may report errors whether or not anybody watches."""
    capture_exception(ValueError("nobody listens"))


def test_capture_exception_stores_context(tmp_path):
    """What the caller adds is stored with the occurrence; secrets are masked."""
    try:
        wk = obtain(Settings(enabled=True, database_url="memory://", service="shop"))
        try:
            raise ValueError("no such order")
        except ValueError as error:
            capture_exception(error, order_id=17, api_key="s3cret")
        wk.flush()

        (issue,) = wk.store.issues(service="shop", environment="production", seen_since=0, limit=5)
        (event,) = wk.store.events(issue.id, limit=5)
        assert 17 == event.data["context"]["order_id"]
        assert "s3cret" not in str(event.data)
    finally:
        forget_current()


def test_a_forked_child_begins_anew(make, clock):
    """The child of a fork has no thread, no worker and nothing recorded of its parent's."""
    wk = make()
    requests(wk, 3)
    cycle(wk, clock)
    requests(wk, 4)
    read, write = os.pipe()

    child = os.fork()
    if child == 0:
        wk.forget()
        answer = f"{wk.started} {len(wk.recorder.take())} {wk._flusher.worker}"
        os.write(write, answer.encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert "False 0 None" == os.read(read, 100).decode()
    os.close(read)
    os.close(write)


def test_an_ignored_issue_is_counted_and_no_more(make, clock):
    """Neither its event nor its failed request is stored once the process has learnt of it."""
    wk = make()
    here = {"service": "shop", "environment": "test"}

    def fail() -> None:
        try:
            raise KeyError("sku")
        except KeyError as error:
            known = wk.issues.capture(error)
        taken = Taken(
            None,
            start=0.0,
            at=clock(),
            reason=Reason.FAILED,
            method="GET",
            route="/",
            status=500,
            seconds=0.05,
            request_id="r",
            choice=None,
        )
        wk.sampler.keep_failed(taken, known)

    fail()
    cycle(wk, clock)
    (issue,) = wk.store.issues(**here, seen_since=0.0, limit=9)
    Triage(wk.store, wk.scope, actor="cli alice", now=clock()).ignore(issue.id)
    wk.issues.groups.ignored = wk.store.ignored_fingerprints(**here)  # learnt as slots end
    fail()
    cycle(wk, clock)

    found = wk.store.samples(**here, since=0.0, until=clock() + 1, limit=9)
    assert (2, 1, 1) == (
        wk.store.issue(issue.id).count,
        len(wk.store.events(issue.id, limit=9)),
        len(found),
    )


def test_a_built_in_check_looks_at_this_watchkeeper(make, clock):
    """A check of the workers finds them in the store of its own process."""
    wk = make(health_checks={"us": {"type": "worker_heartbeat", "scope": "worker"}})
    requests(wk, 1)
    wk.flush()
    wk.health.run_due(clock())
    until = time.monotonic() + 10

    while (report := wk.health.report(clock())[0]).at is None:
        assert time.monotonic() < until
        time.sleep(0.01)

    assert ("pass", "") == (report.state.value, report.output)


def test_checks_go_on_while_a_flush_hangs(make, clock):
    """Our own database takes connections and never answers: checks keep their schedule."""
    checks = {"us": {"type": "worker_heartbeat", "scope": "worker", "every": "1s"}}
    wk = make(slot="1s", health_checks=checks)
    wk.start()
    wait_for_run(wk, since=clock())

    with wk._flusher._cycle:  # as while a flush waits
        for _ in range(4):
            clock.move(2)
            wait_for_run(wk, since=clock())


def test_a_retry_waits_for_the_flush_that_finds_the_database_back(make, clock):
    """Asking a database that is away for messages would hold up the slots, or spin."""
    tried: list[float] = []

    class Down:
        def send(self, notification: Notification) -> None:
            tried.append(clock())
            raise DeliveryError("refused")

    wk = make(channels={"down": Down()})
    wk.flush()
    assert wk.store is not None
    wk.store.enqueue(
        [Outgoing(kind="test", sequence=1, channel="down", payload={}, due_at=clock())],
        service="shop",
        environment="test",
        at=clock(),
    )
    wk.flush()
    outbox, writer = wk._flusher._opening.outbox, wk._flusher._parts.writer
    assert outbox is not None
    assert outbox.wait(timeout_s=15)
    clock.move(2)
    due = outbox.is_due(clock())

    writer.unavailable("no route to it")
    clock.move(2)  # so that the next try to write is due, but no slot ends
    wk._flusher._look()
    assert outbox.wait(timeout_s=15)
    while_away = len(tried)
    wk.flush()
    assert outbox.wait(timeout_s=15)

    assert due
    assert (1, 2) == (while_away, len(tried))


def wait_for_run(wk: Watchkeeper, *, since: float) -> None:
    until = time.monotonic() + 10
    while (wk.health.report(since)[0].at or 0.0) < since:
        assert time.monotonic() < until
        time.sleep(0.01)
