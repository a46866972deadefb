"""`watchkeeper size` on real SQLite files."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from stored import SHOP, batch, counted, event, frame

from watchkeeper.cli import watchkeeper
from watchkeeper.cli.size import sentence
from watchkeeper.core import upkeep
from watchkeeper.core.budget import Reason as Why
from watchkeeper.core.budget import Storing
from watchkeeper.core.growth import Forecast, Limit, Reason
from watchkeeper.core.upkeep import Notes
from watchkeeper.storage import Store, open_store

DAY_S = 86_400.0
MB = 1_000_000


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a database, in a directory without any other settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATCHKEEPER_DATABASE_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "shop-monitor.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    """A database with ten minutes of slots and one error, two days old."""
    made = open_store(f"sqlite:///{file}")
    made.migrate()
    at = time.time() - 2.5 * DAY_S
    worker = made.register(SHOP, host="web-1", pid=1, at=at)
    made.write(batch(frame(0, worker.id), issues=[counted(at=at)], events=[event(1, at=at)]))
    made.add_frames([frame(int(at) // 10 * 10 + 10 * n, worker.id) for n in range(60)])
    yield made
    made.close()


def size(file: Path, *more: str) -> Result:
    """Run the verb."""
    return CliRunner().invoke(watchkeeper, ["size", "--db", str(file), *more])


def note(store: Store, **more: object) -> None:
    """Say what the upkeep did last."""
    now = time.time()
    room = store.room()
    history = tuple(
        (now - back * DAY_S / 4, room.used_bytes - back / 4 * 24 * MB)
        for back in range(24, -1, -1)
    )
    notes = Notes(
        at=now - 30,
        room=room,
        rolled_at=now - 30,
        pruned_at=now - 300,
        pruned_rows=1_234,
        history=history,
        **more,
    )
    store.set_meta(upkeep.KEY, upkeep.write_notes(notes))


def test_tables_are_listed_by_size(file: Path, store: Store):
    """Each table with its bytes, its share, its rows and how old its oldest row is."""
    lines = size(file).output.splitlines()

    (frames,) = [line for line in lines if "wk_frame" in line]
    (events,) = [line for line in lines if "wk_event" in line]
    assert " 61 " in frames
    assert "slots" in frames
    assert events.split()[-3:] == ["1", "2", "d"]
    assert [] == [line for line in lines if "wk_incident" in line]
    assert any("empty tables" in line for line in lines)


def test_it_fits_a_narrow_terminal(file: Path, store: Store):
    """No line is wider than 80 columns, also while room is short."""
    note(store, storing=Storing.SHORTER, reason=Why.BUDGET, keep_s={"slots": 60_000.0})

    assert max(len(line) for line in size(file).output.splitlines()) <= 80


def test_before_the_first_upkeep_nothing_is_made_up(file: Path, store: Store):
    """No growth, no forecast, no roll-up: it says that it does not know."""
    output = size(file).output

    assert "not known yet: it takes a day of measurements" in output
    assert "nothing was done yet" in output
    found = json.loads(size(file, "--json").output)
    assert (None, None, "unknown") == (
        found["growth_bytes_per_day"],
        found["full_in_s"],
        found["forecast"],
    )
    assert (None, None, None) == (found["rolled_up_at"], found["pruned_at"], found["pruned_rows"])


def test_growth_and_forecast_are_told(file: Path, store: Store):
    """At 24 MB a day a gibibyte is full in about 45 days; upkeep's last turns are named."""
    note(store)

    output = size(file).output

    assert "full in about 45 days, at 24 MB a day" in output
    assert "of 1.07 GB" in output
    assert "rolled up 30 s ago, pruned 5 min ago (1,234 rows)" in output
    assert "storing" not in output


def test_json_has_every_figure(file: Path, store: Store):
    """Scripts get what the screen shows, in bytes and seconds."""
    note(store)

    found = json.loads(size(file, "--json").output)

    assert 2**30 == found["budget_bytes"]
    assert found["used_bytes"] == found["stored_bytes"] - found["free_bytes"]
    assert 24 * MB == pytest.approx(found["growth_bytes_per_day"], rel=0.01)
    assert found["full_in_s"] == pytest.approx(44.7 * DAY_S, rel=0.02)
    assert ("growing", "budget", "everything") == (
        found["forecast"],
        found["limit"],
        found["storing"],
    )
    tables = {one["table"]: one for one in found["tables"]}
    assert 61 == tables["wk_frame"]["rows"]
    assert 1.0 == pytest.approx(sum(one["share"] for one in tables.values()))


def test_it_says_what_is_stored_while_room_is_short(file: Path, store: Store):
    """Whoever wonders where old data went reads it here."""
    note(store, storing=Storing.SHORTER, reason=Why.DISK, keep_s={"slots": 64_800.0})

    output = size(file).output

    assert "the finest data for a shorter time" in output
    assert "because the disk is nearly or wholly used up" in output
    assert "slots are kept for 18 h" in output


def test_the_budget_that_is_set_counts(file: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    """The budget is the application's: environment or file."""
    monkeypatch.setenv("WATCHKEEPER_STORAGE_BUDGET", "20MB")

    assert "of 20 MB" in size(file).output


def test_without_a_database_it_says_so(file: Path):
    """The exit code is that of the unknown."""
    result = size(file)

    assert 3 == result.exit_code
    assert "there is no database" in result.stderr


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            Forecast(reason=Reason.GROWING, limit=Limit.DISK, per_day_bytes=2e9, full_in_s=3e4),
            "the disk is full in about 8 h, at 2 GB a day",
        ),
        (
            Forecast(reason=Reason.STEADY, limit=Limit.BUDGET, per_day_bytes=-5.0),
            "steady, at 0 B a day; no end in sight within a year",
        ),
        (
            Forecast(reason=Reason.SHRINKING, limit=Limit.BUDGET, per_day_bytes=-3e6),
            "shrinks by 3 MB a day",
        ),
        (
            Forecast(reason=Reason.FULL, limit=Limit.BUDGET, per_day_bytes=3e6, full_in_s=0.0),
            "the budget is used up",
        ),
    ],
)
def test_each_forecast_has_its_sentence(found: Forecast, expected: str):
    """A reader learns what will happen, never a number without sense."""
    assert expected == sentence(found)
