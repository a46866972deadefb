"""The real command, here or in a process, and a database with something of all for its verbs."""

import json
import os
import pty
import subprocess
import sys
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner
from stored import SHOP, batch, counted, event, frame, sample, statement

from watchkeeper.cli import watchkeeper
from watchkeeper.core.catalogue import HTTP_DURATION, SELF_UP
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.slot import Gauge, Value, slot_start
from watchkeeper.runtime.hours import seal
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertChange, AlertRow, Incident

DAY_S = 86_400.0
HOUR_S = 3_600
OURS = ("--service", "shop")


def run(
    *arguments: str, folder: Path, environ: dict[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `watchkeeper` in this very process, which takes a tenth of the time of another one.

    In a folder, with nothing set in its environment but what is given. What imports an
    application's code is for `run_process`.
    """
    environment = {**_clean(), **(environ or {})}
    with chdir(folder), patch.dict(os.environ, environment, clear=True):
        done = CliRunner().invoke(watchkeeper, arguments, input=stdin, prog_name="watchkeeper")
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def run_process(
    *arguments: str, folder: Path, environ: dict[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `watchkeeper` in a folder, with nothing set in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "-m", "watchkeeper.cli", *arguments],
        cwd=folder,
        env={**_clean(), **(environ or {})},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def run_on_terminal(*arguments: str, folder: Path, answer: str = "") -> tuple[int, str]:
    """Run `watchkeeper` on a terminal; its code, and all that it showed there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "watchkeeper.cli", *arguments],
        cwd=folder, env=_clean(), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        # The terminal is gone when the process is: reading it fails then.
        with suppress(OSError):
            while some := os.read(ours, 65_536):
                shown += some
    os.close(ours)
    return process.returncode, shown.decode()


def object_of(done: "subprocess.CompletedProcess[str]") -> Any:
    """Return the JSON object that a verb printed, and see that it went well."""
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def audited(url: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what the shop's audit tells, newest first: what was done, and more about it."""
    store = open_store(url)
    entries = store.audits(
        service=SHOP.service, environment=SHOP.environment, since=0.0, until=1e12, limit=99
    )
    store.close()
    return [(one.action, dict(one.data)) for one in entries]


def http(scope: Scope = SHOP, **labels: str) -> Series:
    """Name a series of requests."""
    pairs = tuple(sorted([*scope.labels, *labels.items()]))
    return Series(HTTP_DURATION.name, HTTP_DURATION.kind, pairs, HTTP_DURATION.across)


def up(scope: Scope = SHOP) -> Series:
    """Name the series that tells that minutes are there."""
    pairs = (("environment", scope.environment), ("service", scope.service))
    return Series(SELF_UP.name, SELF_UP.kind, pairs, SELF_UP.across)


def keep_hours(store: Store, values: dict[Series, Value], *, now: float, hours: int = 3) -> None:
    """Store hours that are over, sealed, each of one minute with the same values."""
    this = slot_start(now, HOUR_S)
    for back in range(2, hours + 2):
        start = this - back * HOUR_S
        store.add_frames([frame(start, 0, resolution=60, values={up(): Gauge(1, 1, 1), **values})])
    while seal(store, now=now, pause=lambda: None):
        pass  # some hours at a time


def keep_request(
    store: Store, number: int, *, at: float, user: str = "", scope: Scope = SHOP
) -> None:
    """Store a flush with a failed request: issue, event, sample and statement of one moment."""
    worker = store.register(scope, host="web-1", pid=1, at=at)
    details = {"own_s": 0.1, "user": user} if user else {"own_s": 0.1}
    name = f"1:{number:016x}"
    store.write(
        batch(
            frame(slot_start(at, 10), worker.id, values={up(scope): Gauge(1, 1, 1)}),
            scope,
            issues=[counted(name, at=at, users=(user,) if user else ())],
            events=[replace(event(number, at=at, fingerprint=name), data=details)],
            samples=[sample(number, at=at, data=details)],
            statements=[statement(f"{number:016x}", at=at)],
        ).owned_by(worker.id)
    )


def keep_incident(store: Store, rule: str, *, at: float, over_at: float | None = None) -> None:
    """Store an incident, over or not."""
    row = AlertRow(
        service="shop", environment="production", rule=rule, group="", state="firing", data={}
    )
    incident = Incident(
        service="shop",
        environment="production",
        rule=rule,
        group="",
        severity="critical",
        state="firing" if over_at is None else "resolved",
        started_at=at,
        resolved_at=over_at,
        data={"summary": "7 % > 5 %"},
    )
    store.save_alert(AlertChange(row=row, incident=incident), at=at)


def requests(*seconds: float) -> Histogram:
    """Observe durations."""
    return Histogram(list(seconds))


def _clean() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WATCHKEEPER_", "PYTEST_"))
    }
