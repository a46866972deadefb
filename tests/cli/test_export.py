"""`watchkeeper export`: what is parsed back is what is stored."""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kept import (
    DAY_S,
    HOUR_S,
    OURS,
    http,
    keep_hours,
    keep_incident,
    keep_request,
    run,
    run_on_terminal,
    run_process,
)
from kept import requests as durations
from processes import until
from stored import OTHER, SHOP, batch, counted, counter, event, frame, sample

from watchkeeper.cli.formats import FORMATS
from watchkeeper.core.metrics import Kind
from watchkeeper.core.slot import Gauge
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.rows import MAX_NAME, cut, cut_event, cut_sample

SCOPE = {"service": "shop", "environment": "production"}
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=quoted already",
    "'",
    'two\nlines\r\nand, "quotes"; and a semicolon',
    "half a character \ud800 of two",
    "ü ≤ 雪 \U0001f600",
    "\x1b[2J clears",
    " spaces  ",
    "",
]


def parsed(text: str, form: str) -> list[dict[str, Any]]:
    """Read an export as a script would: CSV without the apostrophes that spreadsheets need."""
    if form == "jsonl":
        return [json.loads(line) for line in text.split("\n") if line]
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{name: value.removeprefix("'") for name, value in row.items()} for row in rows]


def as_stored(row: Mapping[str, Any], kind: type[Any], form: str) -> dict[str, Any]:
    """Return the fields of an exported row as the values of the store's row."""
    found: dict[str, Any] = {}
    for field in fields(kind):
        value = row.get(field.name)
        if form == "csv" and field.name in row:
            text = str(field.type)
            if value == "" and "None" in text:
                value = None
            elif "str" not in text.partition("[")[0]:
                value = json.loads(value)
        found[field.name] = value
    return found


@pytest.fixture(params=list(FORMATS))
def form(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    return str(request.param)


@pytest.fixture
def now() -> float:
    """The moment of the test."""
    return time.time()


@pytest.fixture
def store(migrated_url: str) -> Iterator[Store]:
    """Open an empty database."""
    opened = open_store(migrated_url)
    opened.migrate()
    yield opened
    opened.close()


def export(url: str, kind: str, form: str, folder: Path, *more: str) -> list[dict[str, Any]]:
    """Run the verb, parse what it wrote."""
    done = run(
        "export", kind, "--format", form, "--db", url, *OURS, "--output", kind, *more,
        folder=folder,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return parsed((folder / kind).read_bytes().decode(), form)


def test_samples_and_events_come_back_as_they_are(
    store: Store, migrated_url: str, form: str, now: float, tmp_path: Path
):
    """Every field, also of hostile texts, is what the store holds; more than one page of them."""
    samples = [
        sample(number, at=now - number / 3, route=text or "/", data={"tags": {"text": text}})
        for number, text in enumerate(HOSTILE * 40)
    ]
    events = [
        replace(event(number, at=now - 5.25), route=text, data={"text": text, "own_s": 0.1})
        for number, text in enumerate(HOSTILE)
    ]
    worker = store.register(SHOP, host="web-1", pid=1, at=now)
    one = frame(int(now), worker.id, values={counter(): 1.0})
    store.write(batch(one, issues=[counted()], events=events, samples=samples).owned_by(worker.id))

    found = export(migrated_url, "samples", form, tmp_path)
    found_events = export(migrated_url, "events", form, tmp_path)

    kind = type(samples[0])
    expected = [replace(cut_sample(one), worker=worker.id) for one in reversed(samples)]
    assert expected == [kind(**as_stored(row, kind, form)) for row in found]
    kind = type(events[0])
    assert [cut_event(one) for one in events] == [
        kind(**as_stored(row, kind, form)) for row in found_events
    ]
    assert {"1"} == {str(row["issue"]) for row in found_events}


def test_issues_and_incidents_come_back_as_they_are(
    store: Store, migrated_url: str, form: str, now: float, tmp_path: Path
):
    """Titles and rules of any text, nulls and numbers are what the store holds."""
    for number, text in enumerate(HOSTILE):
        one = frame(int(now) - 10 * number, 0, values={counter(): 1.0})
        title = counted(f"1:{number:016x}", at=now - number, title=text, type=text)
        store.write(batch(one, issues=[title]))
        rule = cut(text, MAX_NAME)
        keep_incident(store, rule, at=now - number, over_at=now if number % 2 else None)

    issues = export(migrated_url, "issues", form, tmp_path)
    incidents = export(migrated_url, "incidents", form, tmp_path)

    stored = store.next_issues(**SCOPE, seen_since=0, after=0, limit=99)
    assert len(HOSTILE) == len(stored)
    kind = type(stored[0])
    assert stored == [kind(**{**as_stored(row, kind, form), "scope": SHOP}) for row in issues]
    assert {"v1"} == {row["release"] for row in issues}
    found = store.next_incidents(**SCOPE, since=0, after=0, limit=99)
    kind = type(found[0])
    assert found == [kind(**as_stored(row, kind, form)) for row in incidents]


def test_hours_and_requests_have_the_stored_figures(
    store: Store, migrated_url: str, form: str, now: float, tmp_path: Path
):
    """Figures of each kind of metric are exact; half a character of a label survives too."""
    route = '=1+1\n"x", \ud800'
    keep_hours(
        store,
        {
            http(method="GET", route=route, status="200"): durations(0.1, 0.25, 1 / 3),
            counter(plan="pro"): 3.5,
            replace(counter("memory_bytes"), kind=Kind.GAUGE): Gauge(5.0, -4.0, 9.5),
        },
        now=now,
    )

    hours = export(migrated_url, "hours", form, tmp_path)
    requests = export(migrated_url, "requests", form, tmp_path)

    def read(value: Any) -> Any:
        if form == "csv":
            return None if value == "" else json.loads(value)
        return value

    stored = store.hours(since=0, until=now, **SCOPE)
    assert len(stored) >= 15
    expected = {
        (row.start, row.series.metric, row.series.labels): (
            row.hour.count,
            row.hour.sum,
            row.hour.min,
            row.hour.max,
            row.hour.quantile(0.5),
            row.hour.quantile(0.95),
            row.hour.quantile(0.99),
            row.hour.last,
        )
        for row in stored
    }
    names = ("count", "sum", "min", "max", "p50", "p95", "p99", "last")
    found = {
        (read(row["start"]), row["metric"], tuple(sorted(read(row["labels"]).items()))): tuple(
            read(row[name]) for name in names
        )
        for row in hours
    }
    assert expected == found
    assert [read(row["start"]) for row in hours] == sorted(read(row["start"]) for row in hours)
    (first, *_) = requests
    assert 3 == len(requests)
    assert ("GET", "200", "v1") == (first["method"], first["status"], first["release"])
    shown = route.replace("\ud800", "\\ud800") if form == "csv" else route
    assert shown == first["route"]
    assert (3, 0.1) == (read(first["count"]), read(first["min"]))


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_standard_output_has_what_a_file_has(
    store: Store, migrated_url: str, form: str, now: float, tmp_path: Path
):
    """Whatever the text, a process writes the same bytes to a pipe."""
    for number, text in enumerate(HOSTILE):
        one = frame(int(now) - 10 * number, 0, values={counter(): 1.0})
        store.write(batch(one, issues=[counted(f"1:{number:016x}", at=now, title=text)]))
    command = [sys.executable, "-m", "watchkeeper.cli", "export", "issues", "--format", form]

    done = subprocess.run(
        [*command, "--db", migrated_url, *OURS],
        cwd=tmp_path, capture_output=True, check=True, timeout=60,
    )  # fmt: skip

    assert len(HOSTILE) == len(export(migrated_url, "issues", form, tmp_path))
    assert (tmp_path / "issues").read_bytes() == done.stdout


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_no_cell_is_a_formula(store: Store, migrated_url: str, now: float, tmp_path: Path):
    """A spreadsheet takes no text of an export for a formula."""
    for number, text in enumerate(HOSTILE):
        one = frame(int(now) - 10 * number, 0, values={counter(): 1.0})
        store.write(batch(one, issues=[counted(f"1:{number:016x}", at=now, title=text)]))

    done = run_process("export", "issues", "--db", migrated_url, *OURS, folder=tmp_path)

    cells = [
        cell for row in csv.reader(io.StringIO(done.stdout, newline="")) for cell in row if cell
    ]
    assert len(HOSTILE) * 10 < len(cells)
    assert [] == [cell for cell in cells if cell[0] in "=+-@\t\r\n"]


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_since_and_scope_choose(store: Store, migrated_url: str, now: float, tmp_path: Path):
    """Rows of before, and of other services, are left out."""
    for number, days in enumerate((0.5, 3, 10)):
        keep_request(store, number, at=now - days * DAY_S)
    keep_request(store, 7, at=now, scope=OTHER)
    keep_incident(store, "old", at=now - 20 * DAY_S, over_at=now - 19 * DAY_S)
    keep_incident(store, "long", at=now - 20 * DAY_S)
    keep_incident(store, "late", at=now - 20 * DAY_S, over_at=now - DAY_S)

    def count(kind: str, since: str) -> int:
        return len(export(migrated_url, kind, "jsonl", tmp_path, "--since", since))

    assert [1, 2, 3] == [count("samples", since) for since in ("1d", "7d", "30d")]
    assert [1, 2, 3] == [count("events", since) for since in ("1d", "7d", "30d")]
    assert [1, 2, 3] == [count("issues", since) for since in ("1d", "7d", "30d")]
    assert [1, 3] == [count("incidents", since) for since in ("7d", "30d")]


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_file_is_there_when_it_is_whole(
    store: Store, migrated_url: str, now: float, tmp_path: Path
):
    """The file replaces an older one in one move; nothing else is left in the folder."""
    keep_request(store, 1, at=now)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "samples.csv").write_text("yesterday's", "utf-8")

    done = run(
        "export", "samples", "--db", migrated_url, *OURS, "--output", "out/samples.csv",
        folder=tmp_path,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stdout)
    assert "1 row of samples from sqlite watchkeeper.db\n" == done.stderr
    assert ["samples.csv"] == [one.name for one in folder.iterdir()]
    assert 1 == len(parsed((folder / "samples.csv").read_text("utf-8"), "csv"))


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_an_export_that_fails_leaves_the_old_file(
    store: Store, migrated_url: str, now: float, tmp_path: Path
):
    """When the database fails in the midst, the old file stays and no half one lies beside it."""
    keep_request(store, 1, at=now)
    connection = sqlite3.connect(migrated_url.removeprefix("sqlite:///"))
    connection.execute("DROP TABLE wk_sample")
    connection.commit()
    connection.close()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "samples.csv").write_text("yesterday's", "utf-8")

    done = run(
        "export", "samples", "--db", migrated_url, *OURS, "--output", "out/samples.csv",
        folder=tmp_path,
    )  # fmt: skip

    assert 3 == done.returncode
    assert 1 == len(done.stderr.splitlines())
    assert ["samples.csv"] == [one.name for one in folder.iterdir()]
    assert "yesterday's" == (folder / "samples.csv").read_text("utf-8")


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_who_stops_reading_ends_the_export(
    store: Store, migrated_url: str, now: float, tmp_path: Path
):
    """`| head -1` ends the verb without a word about pipes."""
    worker = store.register(SHOP, host="web-1", pid=1, at=now)
    some = [sample(number, at=now, data={"text": "x" * 5_000}) for number in range(500)]
    one = frame(int(now), worker.id, values={counter(): 1.0})
    store.write(batch(one, samples=some).owned_by(worker.id))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "watchkeeper.cli",
            "export",
            "samples",
            "--db",
            migrated_url,
            *OURS,
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert first.startswith(b"time,id,at")
    assert (1, b"") == (process.returncode, errors)


@pytest.mark.parametrize(
    "arguments",
    [["export"], ["export", "orders"], ["export", "hours", "--since", "2 weeks"],
     ["export", "hours", "--format", "xml"]],
)  # fmt: skip
def test_wrong_usage_exits_64(arguments: list[str], tmp_path: Path):
    """What is not understood is told in words."""
    done = run(*arguments, "--db", "none.db", folder=tmp_path)

    assert 64 == done.returncode
    assert done.stderr


def test_memory_stays_bounded(sqlite_url: str, now: float, tmp_path: Path):
    """An export of many rows takes as little memory as one of few: they are read in pages."""
    store = open_store(sqlite_url)
    store.migrate()
    worker = store.register(SHOP, host="web-1", pid=1, at=now)
    program = (
        "import resource, sys\n"
        "from watchkeeper.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )

    def peak_kb() -> int:
        done = subprocess.run(
            [sys.executable, "-c", program, "export", "samples", "--db", sqlite_url, *OURS,
             "--format", "jsonl", "--output", "samples.jsonl"],
            cwd=tmp_path, capture_output=True, check=True, text=True, timeout=100,
        )  # fmt: skip
        return int(done.stderr.splitlines()[-1])

    def write(first: int, count: int) -> None:
        text = "a text that is larger in memory than packed " * 100
        for start in range(first, first + count, 1_000):
            some = [
                sample(number, at=now - number, data={"text": text})
                for number in range(start, start + 1_000)
            ]
            one = frame(int(now) - start, worker.id, values={counter(): 1.0})
            store.write(batch(one, samples=some).owned_by(worker.id))

    write(0, 1_000)
    few = peak_kb()
    write(1_000, 14_000)
    many = peak_kb()
    store.close()

    # All of it would be 65 MB of text alone.
    assert (tmp_path / "samples.jsonl").stat().st_size > 60_000_000
    assert many - few < 15_000


def test_hours_are_read_some_at_a_time(now: float, sqlite_url: str, tmp_path: Path):
    """Ten days of hours, more than are read at once, come whole and in order."""
    store = open_store(sqlite_url)
    store.migrate()
    keep_hours(
        store,
        {http(method="GET", route=f"/{number}", status="200"): durations(0.1)
         for number in range(40)},
        now=now,
        hours=240,
    )  # fmt: skip
    store.close()

    found = export(sqlite_url, "requests", "jsonl", tmp_path)

    assert 240 * 40 == len({(row["start"], row["route"]) for row in found}) == len(found)
    starts = [row["start"] for row in found]
    assert starts == sorted(starts)
    assert {HOUR_S} == {b - a for a, b in pairwise(starts) if a != b}


def test_a_terminal_is_not_steered(sqlite_url: str, now: float, tmp_path: Path):
    """A stored text cannot clear the screen of who looks at an export."""
    store = open_store(sqlite_url)
    store.migrate()
    one = frame(int(now), 0, values={counter(): 1.0})
    store.write(batch(one, issues=[counted(at=now, title="\x1b[2J clears\nit")]))
    store.close()

    code, shown = run_on_terminal("export", "issues", "--db", sqlite_url, *OURS, folder=tmp_path)

    line = next(line for line in shown.splitlines() if "clears" in line)
    assert (0, "\x1b" in line) == (code, False)
    assert "\N{REPLACEMENT CHARACTER}[2J clears" in line


def test_a_bar_is_shown_on_a_terminal_and_not_in_the_file(
    sqlite_url: str, now: float, tmp_path: Path
):
    """The bar comes to its end; the file holds rows alone."""
    store = open_store(sqlite_url)
    store.migrate()
    for number in range(3):
        keep_request(store, number, at=now - number)
    store.close()

    code, shown = run_on_terminal(
        "export", "samples", "--db", sqlite_url, *OURS, "--output", "s.csv", folder=tmp_path
    )

    assert 0 == code
    assert "exporting samples" in shown
    assert "100%" in shown
    assert 3 == len(parsed((tmp_path / "s.csv").read_text("utf-8"), "csv"))


def test_what_is_no_file_is_written_to_and_not_replaced(
    sqlite_url: str, now: float, tmp_path: Path
):
    """A pipe stays a pipe, and a link stays a link to the file that is replaced."""
    store = open_store(sqlite_url)
    store.migrate()
    keep_request(store, 1, at=now)
    store.close()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "real.csv").write_text("old", "utf-8")
    (tmp_path / "link.csv").symlink_to("real.csv")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)

    arguments = ("export", "samples", "--db", sqlite_url, *OURS, "--output")
    codes = [run(*arguments, name, folder=tmp_path).returncode for name in ("pipe", "link.csv")]

    read, _ = reader.communicate(timeout=20)
    assert [0, 0] == codes
    assert read == (tmp_path / "real.csv").read_bytes()
    assert read.startswith(b"time,id,at")
    assert (tmp_path / "link.csv").is_symlink()


def test_an_export_that_is_ended_leaves_nothing(sqlite_url: str, now: float, tmp_path: Path):
    """SIGTERM in the midst of an export takes the half-written file away."""
    store = open_store(sqlite_url)
    store.migrate()
    worker = store.register(SHOP, host="web-1", pid=1, at=now)
    for start in range(0, 10_000, 1_000):
        some = [sample(number, at=now - number) for number in range(start, start + 1_000)]
        one = frame(int(now) - start, worker.id, values={counter(): 1.0})
        store.write(batch(one, samples=some).owned_by(worker.id))
    store.close()
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "watchkeeper.cli", "export", "samples", "--db", sqlite_url, *OURS,
         "--output", "out/samples.csv"],
        cwd=tmp_path, stderr=subprocess.PIPE,
    )  # fmt: skip

    with process:
        assert until(lambda: any(folder.iterdir()), every_s=0.005)
        process.terminate()
        _, errors = process.communicate(timeout=20)

    assert (1, b"") == (process.returncode, errors.strip())
    assert [] == list(folder.iterdir())
