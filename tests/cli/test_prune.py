"""`watchkeeper prune` as a process, on each database."""

import time
from pathlib import Path

import pytest
from kept import (
    DAY_S,
    HOUR_S,
    OURS,
    audited,
    http,
    keep_hours,
    keep_incident,
    keep_request,
    object_of,
    run,
    run_on_terminal,
)
from kept import requests as durations

from watchkeeper.core.slot import slot_start
from watchkeeper.storage import Store, open_store


@pytest.fixture
def now() -> float:
    """The moment of the test."""
    return time.time()


@pytest.fixture
def url(migrated_url: str, now: float) -> str:
    """A database with three days of everything: of today, forty and five hundred days ago."""
    store = open_store(migrated_url)
    store.migrate()
    keep_hours(store, {http(route="/"): durations(0.1)}, now=now - 500 * DAY_S)
    keep_hours(store, {http(route="/"): durations(0.1)}, now=now)
    for number, days in enumerate((0.01, 40, 500)):
        keep_request(store, number, at=now - days * DAY_S)
    keep_incident(store, "old", at=now - 500 * DAY_S, over_at=now - 499 * DAY_S)
    keep_incident(store, "firing since long", at=now - 500 * DAY_S)
    store.close()
    return migrated_url


def everything(store: Store, now: float) -> list[object]:
    """Read all that pruning could touch."""
    scope = {"service": "shop", "environment": "production"}
    return [
        store.frames(10, since=0, until=now + 100, **scope),
        store.frames(60, since=0, until=now + 100, **scope),
        store.hours(since=0, until=now, **scope),
        store.next_samples(after=(0.0, ""), limit=99, **scope),
        store.next_events(after=(0.0, ""), limit=99, **scope),
        store.next_issues(seen_since=0, after=0, limit=99, **scope),
        store.next_incidents(since=0, after=0, limit=99, **scope),
        store.statements(**scope),
        store.workers(seen_since=0, **scope),
    ]


def test_a_dry_run_tells_what_would_go_and_changes_nothing(url: str, now: float, tmp_path: Path):
    """Per kind of row: how many, from when, and from when on rows are kept."""
    store = open_store(url)
    before = everything(store, now)

    told = object_of(run("prune", "--db", url, "--dry-run", "--json", folder=tmp_path))

    assert before == everything(store, now)
    store.close()
    assert {} == told["deleted"]
    found = {(one["what"], one["resolution"]): one for one in told["due"] if one["rows"]}
    assert {
        ("frames", 10): 2,
        ("frames", 60): 0,
        ("sealed frames", 0): 5,
        ("hours", 0): 9,  # of three series: one that was written, two that sealing made
        ("chunks", 0): 9,
        ("events", 0): 2,
        ("samples", 0): 2,
        ("statements", 0): 2,
        ("issues", 0): 1,
        ("incidents", 0): 1,
        ("workers", 0): 2,
        ("issue counts", 0): 2,
    } == {("frames", 60): 0, **{key: one["rows"] for key, one in found.items()}}
    oldest = slot_start(now - 500 * DAY_S, HOUR_S) - 4 * HOUR_S
    assert oldest == found["hours", 0]["oldest"]
    assert abs(now - 400 * DAY_S - found["hours", 0]["before"]) < 60


def test_what_was_told_is_deleted_and_the_rest_stays(url: str, now: float, tmp_path: Path):
    """`--yes` deletes exactly what the dry run counted; a second run finds nothing."""
    told = object_of(run("prune", "--db", url, "--dry-run", "--json", folder=tmp_path))

    done = object_of(run("prune", "--db", url, *OURS, "--yes", "--json", folder=tmp_path))

    assert [("past.prune", done["deleted"])] == audited(url)
    due = sum(one["rows"] for one in told["due"])
    assert 0 < due == sum(done["deleted"].values())
    again = run("prune", "--db", url, "--yes", folder=tmp_path)
    assert "nothing is past its time\nnothing was deleted\n" == again.stdout
    store = open_store(url)
    frames, minutes, hours, samples, events, issues, incidents, statements, workers = everything(
        store, now
    )
    store.close()
    assert 1 == len(frames) == len(samples) == len(events) == len(statements) == len(workers)
    assert 2 == len(issues)  # one was seen forty days ago, and is kept for ninety
    assert ["firing since long"] == [one.rule for one in incidents]
    assert {slot_start(now, HOUR_S) - back * HOUR_S for back in (2, 3, 4)} == {
        row.start for row in hours
    }
    assert 1 == len(minutes)


def test_nobody_to_ask_means_no(url: str, now: float, tmp_path: Path):
    """Without a terminal and without --yes nothing is deleted, with the code of wrong usage."""
    store = open_store(url)
    before = everything(store, now)

    done = run("prune", "--db", url, folder=tmp_path)

    assert 64 == done.returncode
    assert (
        "watchkeeper: nobody can be asked here: add --yes to go on, --dry-run to look"
        == done.stderr.splitlines()[-1]
    )
    assert before == everything(store, now)
    store.close()


def test_how_long_things_are_kept_is_what_the_settings_say(
    sqlite_url: str, now: float, tmp_path: Path
):
    """A longer time in the environment keeps what the default would delete."""
    store = open_store(sqlite_url)
    store.migrate()
    keep_request(store, 1, at=now - 40 * DAY_S)
    store.close()

    told = object_of(
        run(
            "prune", "--db", sqlite_url, "--dry-run", "--json", folder=tmp_path,
            environ={"WATCHKEEPER_KEEP_EVENTS": "60d", "WATCHKEEPER_KEEP_SAMPLES": "60d"},
        )
    )  # fmt: skip

    rows = {one["what"]: one["rows"] for one in told["due"]}
    assert (0, 0) == (rows["events"], rows["samples"])


def test_a_person_is_asked(sqlite_url: str, now: float, tmp_path: Path):
    """At a terminal "n" leaves everything, "y" deletes it, with a bar."""
    store = open_store(sqlite_url)
    store.migrate()
    keep_request(store, 1, at=now - 40 * DAY_S)
    before = everything(store, now)

    no, shown = run_on_terminal("prune", "--db", sqlite_url, folder=tmp_path, answer="n\n")

    assert "Delete 6 rows? [y/N]" in shown
    assert (1, before) == (no, everything(store, now))

    yes, shown = run_on_terminal("prune", "--db", sqlite_url, folder=tmp_path, answer="y\n")

    assert 0 == yes
    assert "100%" in shown
    assert before != everything(store, now)
    store.close()
