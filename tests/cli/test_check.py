"""`watchkeeper check` on real SQLite files: judged, evaluated and told from outside."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from receivers import Receiver
from stored import notice

from watchkeeper.cli import watchkeeper
from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertChange, AlertRow, Batch, Incident

SCOPE = Scope(service="shop", environment="production")
HERE = {"service": "shop", "environment": "production"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a database, in a directory without any other settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_DATABASE_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "shop-monitor.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    """A database that an application writes to."""
    made = open_store(f"sqlite:///{file}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def receiver(file: Path) -> Iterator[Receiver]:
    """Who is told, as the file with the settings says."""
    with Receiver() as running:
        (file.parent / "watchkeeper.toml").write_text(
            f'[channels.oncall]\ntype = "webhook"\nurl = "{running.url}"\n'
        )
        yield running


def check(file: Path, *options: str) -> Result:
    """Run the verb."""
    arguments = ["check", "--db", str(file), "--service", "shop", *options]
    return CliRunner().invoke(watchkeeper, arguments)


def alive(store: Store, *, ago: float = 2.0, host: str = "web-1") -> int:
    """Make a worker that began ten minutes ago and last wrote and evaluated some seconds ago."""
    now = time.time()
    worker = store.register(SCOPE, host=host, pid=1, at=now - 600).id
    key = FrameKey(10, slot_start(now - ago, 10), worker, 0)
    store.write(Batch(scope=SCOPE, frame=Frame(key=key, values={}), at=now - ago))
    store.mark_evaluated(**HERE, at=max(now - ago, store.evaluated_at(**HERE)))
    return worker


def failing(store: Store, worker: int) -> None:
    """Write a minute in which half of the requests failed."""
    for ago in range(1, 7):
        now = time.time()
        values = {
            Series(
                HTTP_DURATION.name,
                HTTP_DURATION.kind,
                tuple(
                    sorted(
                        [
                            *SCOPE.labels,
                            ("method", "GET"),
                            ("route", "/"),
                            ("status", status),
                        ]
                    )
                ),
            ): Histogram([0.04] * 50)
            for status in ("200", "500")
        }
        key = FrameKey(10, slot_start(now - 10 * ago, 10), worker, ago)
        store.write(Batch(scope=SCOPE, frame=Frame(key=key, values=values), at=now))


def fire(store: Store, severity: str) -> None:
    """Store an incident that lasts."""
    now = time.time()
    row = AlertRow(**HERE, rule="Slow route", group="", state="firing", data={})
    incident = Incident(
        **HERE,
        rule="Slow\x1b[2J route",
        group='route="/x"',
        severity=severity,
        state="firing",
        started_at=now - 125,
        fired_at=now - 120,
    )
    assert store.save_alert(AlertChange(row=row, incident=incident), at=now) is not None


def test_all_is_well(store: Store, file: Path):
    """A worker writes, nothing fires: one line and exit code 0."""
    alive(store)

    result = check(file)

    assert 0 == result.exit_code
    assert result.stdout.startswith("✔ nothing fires, nobody is missing")


@pytest.mark.parametrize(("severity", "code"), [("critical", 2), ("warning", 1), ("info", 0)])
def test_what_fires_decides_the_exit_code(store: Store, file: Path, severity: str, code: int):
    """As Nagios' plug-ins do: 2 critical, 1 warning; texts from outside steer no terminal."""
    alive(store)
    fire(store, severity)

    result = check(file)

    assert code == result.exit_code
    assert f"{severity.upper()[:4]}  Slow\N{REPLACEMENT CHARACTER}[2J route" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_missing_worker_is_a_warning(store: Store, file: Path):
    """One of two fell silent a minute ago."""
    alive(store)
    alive(store, ago=60, host="web-2")

    result = check(file)

    assert 1 == result.exit_code
    assert "WARN  worker 2 of web-2 has not written for 1 min" in result.stdout


@pytest.mark.parametrize(
    ("ago", "said"), [(3_600.0, "evaluated 1 h ago"), (None, "have not been")]
)
def test_rules_that_nobody_evaluates_are_not_green(
    store: Store, file: Path, ago: float | None, said: str
):
    """Workers write, but what fires is not known: exit code 3, and why."""
    alive(store)
    store.mark_evaluated(**HERE, at=0.0 if ago is None else time.time() - ago)

    result = check(file)

    assert 3 == result.exit_code
    assert said in result.stderr
    assert "" == result.stdout


def test_a_message_that_waits_for_long_is_a_warning(store: Store, file: Path):
    """Those of another service are not ours, and a minute is not long."""
    alive(store)
    now = time.time()
    notices = [replace(notice("oncall", due_at=now), incident=None, sequence=n) for n in (1, 2, 3)]
    store.enqueue(notices, service="other", environment="production", at=now - 600)
    store.enqueue(notices[:1], **HERE, at=now - 60)
    before = check(file)
    store.enqueue(notices[1:], **HERE, at=now - 7_200)
    after = check(file)

    assert (0, 1) == (before.exit_code, after.exit_code)
    assert "      1 messages are not delivered yet" in before.stdout
    assert "3 messages are not delivered, the oldest for 2 h" in after.stderr
    assert "✔" not in after.stdout


def test_what_a_receiver_that_hangs_did_not_take_is_recorded(
    store: Store, file: Path, receiver: Receiver
):
    """The check waits for the end of the attempt, and others can tell why it failed."""
    alive(store)
    now = time.time()
    one = replace(notice("oncall", due_at=now), incident=None)
    store.enqueue([one], **HERE, at=now)
    receiver.hang()

    result = check(file, "--alert")

    receiver.release()
    (row,) = store.outbox(limit=9)
    assert "no answer within 10 s" in row.last_error
    assert "1 messages are not delivered yet" in result.stdout


def test_silence_of_all_is_critical(store: Store, file: Path):
    """Nothing has written for three minutes."""
    alive(store, ago=180)

    result = check(file)

    assert 2 == result.exit_code
    assert "CRIT  nothing has written for 3 min\n" == result.stdout


def test_where_nobody_ever_wrote_nothing_is_known(store: Store, file: Path):
    """An empty database is neither good nor bad: exit code 3."""
    result = check(file)

    assert 3 == result.exit_code
    assert "nobody has ever written here" in result.stdout


def test_no_database_is_unknown(file: Path):
    """What cannot be looked at is not green; nothing is made."""
    result = check(file, "--alert")

    assert 3 == result.exit_code
    assert not file.exists()


def test_as_json(store: Store, file: Path):
    """Programs get the same as one object."""
    alive(store, ago=180)
    fire(store, "warning")

    found = json.loads(check(file, "--json").stdout)

    assert {
        "at",
        "code",
        "silent_s",
        "missing",
        "firing",
        "messages_waiting",
        "problems",
    } == set(found)
    assert 2 == found["code"]
    assert ("(all)", "all_silent") == (
        found["missing"][0]["worker"],
        found["missing"][0]["reason"],
    )
    assert ("warning", 'route="/x"') == (
        found["firing"][0]["severity"],
        found["firing"][0]["group"],
    )


def test_without_alert_nothing_is_changed(store: Store, file: Path, receiver: Receiver):
    """Looking evaluates nothing and tells nobody."""
    failing(store, alive(store))

    result = check(file)

    assert 0 == result.exit_code
    assert [] == store.alerts(**HERE)
    assert [] == receiver.received


def test_alert_evaluates_and_delivers_once(store: Store, file: Path, receiver: Receiver):
    """What a dead worker could not tell any more is told from outside; the next run adds none."""
    failing(store, alive(store))

    first, second = check(file, "--alert"), check(file, "--alert")

    assert [2, 2] == [first.exit_code, second.exit_code]
    assert "CRIT  High error rate   for " in second.stdout
    assert ["firing"] == [one.json()["status"] for one in receiver.received]


def test_a_receiver_that_is_away_for_a_moment_is_tried_again(
    store: Store, file: Path, receiver: Receiver
):
    """Within ten seconds: whoever comes next finds the rest in the outbox."""
    failing(store, alive(store))
    receiver.answer_once(503)

    result = check(file, "--alert")

    assert 2 == len(receiver.received)
    assert "not delivered yet" not in result.stdout


def test_what_a_worker_is_about_to_try_again_is_waited_for(
    store: Store, file: Path, receiver: Receiver
):
    """It failed elsewhere a moment ago; its next turn is within the ten seconds."""
    now = time.time()
    alive(store)
    row = AlertRow(**HERE, rule="Gone", group="", state="firing", data={})
    gone = Incident(
        **HERE, rule="Gone", group="", severity="warning", state="firing", started_at=now
    )
    change = AlertChange(row=row, incident=gone, outgoing=[notice("oncall", due_at=now + 2.0)])
    assert store.save_alert(change, at=now) is not None

    check(file, "--alert")

    assert 1 == len(receiver.received)


def test_a_message_left_by_a_killed_worker_is_delivered(
    store: Store, file: Path, receiver: Receiver
):
    """What waits in the outbox goes out, whoever put it there."""
    now = time.time()
    alive(store)
    row = AlertRow(**HERE, rule="Gone", group="", state="firing", data={})
    gone = Incident(
        **HERE, rule="Gone", group="", severity="warning", state="firing", started_at=now
    )
    change = AlertChange(row=row, incident=gone, outgoing=[notice("oncall", due_at=now)])
    assert store.save_alert(change, at=now) is not None

    check(file, "--alert")

    assert 1 == len(receiver.received)


def test_wrong_settings_are_told(store: Store, file: Path):
    """A channel that cannot be is a line on standard error, and the rest goes on."""
    (file.parent / "watchkeeper.toml").write_text('[channels.team]\ntype = "webhok"\n')
    alive(store)

    result = check(file, "--alert")

    assert 1 == result.exit_code
    assert "channels.team.type" in result.stderr
