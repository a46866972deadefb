"""`watchkeeper status` on real SQLite files."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from watchkeeper.cli import watchkeeper
from watchkeeper.core.catalogue import HTTP_DURATION, SELF_FLUSH
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.self_metrics import SELF_CLOCK_SKEW
from watchkeeper.core.slot import Frame, FrameKey, Gauge, slot_start
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    Incident,
    IssueCount,
    Outgoing,
)

SCOPE = Scope(service="shop", environment="production")


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


def series(metric: str, **labels: str) -> Series:
    """Name a histogram's series of the shop."""
    return Series(metric, HTTP_DURATION.kind, tuple(sorted((*labels.items(), *SCOPE.labels))))


def write(store: Store, *, slot_s: int = 10, failed: int = 0, at: float | None = None) -> None:
    """Write a slot of 100 requests as a live worker does, and an evaluation."""
    now = time.time() if at is None else at
    worker = store.register(SCOPE, host="web-1", pid=1, at=now)
    values = {
        series(HTTP_DURATION.name, method="GET", route="/", status="200"): Histogram(
            [0.04] * (100 - failed)
        ),
        series(SELF_FLUSH.name): Histogram([0.005]),
    }
    if failed:
        failures = series(HTTP_DURATION.name, method="POST", route="/checkout", status="500")
        values[failures] = Histogram([0.04] * failed)
    store.write(
        Batch(
            scope=SCOPE,
            frame=Frame(
                key=FrameKey(slot_s, slot_start(now - slot_s, slot_s), worker.id, 1),
                values=values,
            ),
            at=now,
            issues=[
                IssueCount(
                    fingerprint="1:00000000000000aa",
                    count=failed,
                    first_at=now,
                    last_at=now,
                    type="PaymentTimeout\x1b[2J",
                    title="PaymentTimeout: no answer",
                    culprit="shop:pay",
                )
            ]
            if failed
            else [],
        )
    )
    store.mark_evaluated(service="shop", environment="production", at=now)


def fire(store: Store, *, severity: str) -> None:
    """Store a firing incident."""
    now = time.time()
    store.save_alert(
        AlertChange(
            row=AlertRow(
                service="shop",
                environment="production",
                rule="High error rate",
                group="",
                state="firing",
                data={},
            ),
            incident=Incident(
                service="shop",
                environment="production",
                rule="High error rate",
                group="",
                severity=severity,
                state="firing",
                started_at=now - 120,
                fired_at=now - 120,
                value=0.07,
                data={"summary": "High error rate: 7 % (7 of 100 in 1 min) > 5 %"},
            ),
        ),
        at=now,
    )


def status(file: Path, *more: str) -> Result:
    """Run the verb."""
    args = ["status", "--db", str(file), "--service", "shop", *more]
    return CliRunner().invoke(watchkeeper, args)


def test_all_is_well(file: Path, store: Store):
    """Fresh data and nothing firing: OK, exit code 0."""
    write(store)

    result = status(file)

    assert result.exit_code == 0
    assert result.output.startswith("● OK   shop (production)   1 process on 1 host")
    assert "shop-monitor.db (from --db)" in result.output
    assert "p95 40" in result.output or "p95 39" in result.output


@pytest.mark.parametrize(
    ("severity", "code", "head"), [("critical", 2, "▲ CRITICAL"), ("warning", 1, "▲ WARNING")]
)
def test_a_firing_alert_is_shown(file: Path, store: Store, severity: str, code: int, head: str):
    """A firing alert is told in its own words, and by the exit code."""
    write(store, failed=7)
    fire(store, severity=severity)

    result = status(file)

    assert result.exit_code == code
    assert result.output.startswith(head)
    assert "High error rate   7 % (7 of 100 in 1 min) > 5 %   for 2 min" in result.output


def test_who_was_told_is_shown(file: Path, store: Store):
    """Below what fires stands who was told of it."""
    write(store, failed=7)
    fire(store, severity="critical")
    message = Outgoing(
        kind="firing", sequence=0, channel="ops", payload={}, due_at=0.0, incident=1
    )
    store.enqueue([message], service="shop", environment="production", at=time.time())
    (claimed,) = store.claim(at=time.time(), hold_s=60, channels=("ops",), limit=1)
    store.settle(claimed, status="sent", at=time.time())

    shown, read = status(file), json.loads(status(file, "--json").output)

    assert "        told ops " in shown.output
    assert "nobody is told" not in shown.output  # the channel is set in the application's code
    (told,) = read["incidents"][0]["told"]
    assert ("ops", "sent") == (told["channel"], told["status"])


def test_issues_are_shown_without_control_characters(file: Path, store: Store):
    """The newest issues are listed; what they hold cannot steer the terminal."""
    write(store, failed=7)

    result = status(file)

    assert "new   PaymentTimeout" in result.output
    assert "×7   shop:pay" in result.output
    assert "\x1b" not in result.output


def test_old_data_are_unknown(file: Path, store: Store):
    """Data that stopped coming are unknown, never OK: exit code 3."""
    write(store, at=time.time() - 600)

    result = status(file)

    assert result.exit_code == 3
    assert result.output.startswith("■ UNKNOWN")


def test_another_service_is_unknown(file: Path, store: Store):
    """A name that nobody writes under has no data, and that is said."""
    write(store)

    result = CliRunner().invoke(watchkeeper, ["status", "--db", str(file), "--service", "other"])

    assert result.exit_code == 3
    assert "no data" in result.output
    assert (
        "nobody has written as other (production) here; there is shop (production)"
        in result.output
    )


def test_slots_of_another_length_are_found(file: Path, store: Store):
    """The application's code may have set the slots' length; the figures are there anyway."""
    write(store, slot_s=1)

    figures = json.loads(status(file, "--json").output)["figures"]

    assert figures["requests"] == 100


def test_json_holds_what_the_screen_shows(file: Path, store: Store):
    """Scripts get the level, the figures, what fires, and how Watchkeeper itself does."""
    write(store, failed=7)
    fire(store, severity="critical")

    result = status(file, "--json")

    assert result.exit_code == 2
    told = json.loads(result.output)
    assert told["level"] == "critical"
    assert told["figures"]["error_rate"] == pytest.approx(0.07)
    assert told["incidents"][0]["rule"] == "High error rate"
    assert told["issues"][0]["count"] == 7
    assert told["self"]["dropped"] == 0
    assert told["self"]["flush_p50_s"] == pytest.approx(0.005, rel=0.011)
    assert told["self"]["database_bytes"] > 0


def test_a_missing_database_is_said_and_not_made(file: Path):
    """A database that is not there yet is told as such, and looking does not make it."""
    result = status(file)

    assert result.exit_code == 3
    assert f"there is no database {file} yet" in result.stderr
    assert not file.exists()


def test_a_file_that_is_no_database_is_said(file: Path):
    """Something else under that name is one line, without a traceback."""
    file.write_text("this is no database, whatever its name says\n" * 100)

    result = status(file)

    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1


def test_a_wrong_address_is_wrong_usage(file: Path):
    """An address that makes no sense exits 64 and names the setting."""
    result = CliRunner().invoke(watchkeeper, ["status", "--db", "oracle://db/shop"])

    assert result.exit_code == 64
    assert "database_url" in result.stderr


def test_the_environment_names_the_database(
    file: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Without --db the address is found as the application finds it, and its origin is said."""
    write(store)
    monkeypatch.setenv("WATCHKEEPER_DATABASE_URL", f"sqlite:///{file}")

    result = CliRunner().invoke(watchkeeper, ["status", "--service", "shop"])

    assert result.exit_code == 0
    assert "(from WATCHKEEPER_DATABASE_URL)" in result.output


def test_the_file_names_the_database(file: Path, store: Store):
    """A configuration file in the working directory counts."""
    write(store)
    config = file.parent / "watchkeeper.toml"
    config.write_text('database_url = "shop-monitor.db"\nservice = "shop"\n')

    result = CliRunner().invoke(watchkeeper, ["status"])

    assert result.exit_code == 0
    assert "(from watchkeeper.toml)" in result.output


def test_a_clock_that_is_apart_is_said(store: Store, file: Path):
    """By the name of the host, as it was last measured."""
    now = time.time()
    write(store)
    worker = store.register(SCOPE, host="web-2", pid=2, at=now)
    for number, skew in enumerate((-3.0, 95.0)):
        labels = (("host", "web-2"), *SCOPE.labels)
        measured = Series(SELF_CLOCK_SKEW.name, SELF_CLOCK_SKEW.kind, tuple(sorted(labels)))
        start = slot_start(now - 60 + 10 * number, 10)
        key = FrameKey(10, start, worker.id, number)
        frame = Frame(key=key, values={measured: Gauge(skew, skew, skew)})
        store.write(Batch(scope=SCOPE, frame=frame, at=now))

    shown = status(file, "--json")

    (problem,) = json.loads(shown.stdout)["problems"]
    assert problem.startswith("the clock of web-2 is 1 min 35 s ahead of the database's")


def test_that_nobody_is_told_is_said(file: Path, store: Store):
    """Something fires and no channel is set: who looks here may be the first to learn of it."""
    write(store, failed=3)
    fire(store, severity="warning")

    result = status(file)

    assert "nobody is told of what fires: no channel is set; those in the" in result.output
