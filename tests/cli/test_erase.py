"""`watchkeeper erase` as a process, on each database."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept import OURS, audited, keep_request, object_of, run
from stored import OTHER

from watchkeeper.runtime.marks import hashed_user, use_key
from watchkeeper.storage import Store, open_store

KEY = "the application's key"
SCOPE = {"service": "shop", "environment": "production"}
WITH_KEY = {"WATCHKEEPER_SECRET_KEY": KEY}


@pytest.fixture
def now() -> float:
    """The moment of the test."""
    return time.time()


@pytest.fixture
def store(migrated_url: str, now: float) -> Iterator[Store]:
    """A database with requests of two users and of nobody, and of another service's user 42."""
    use_key(KEY)
    ada, bob = hashed_user(42), hashed_user(7)
    use_key("")
    opened = open_store(migrated_url)
    opened.migrate()
    for number, user in enumerate((ada, bob, ada, "", ada)):
        keep_request(opened, number, at=now - number, user=user)
    keep_request(opened, 9, at=now, user=ada, scope=OTHER)
    yield opened
    opened.close()


def left(store: Store, service: str = "shop") -> list[list[str]]:
    """Return the last digits of the ids of the samples and events that are there."""
    scope = {"service": service, "environment": "production"}
    samples = store.next_samples(**scope, after=(0.0, ""), limit=99)
    events = store.next_events(**scope, after=(0.0, ""), limit=99)
    return [sorted(one.id[-1] for one in samples), sorted(one.id[-1] for _, one in events)]


def test_what_is_kept_about_a_user_goes(store: Store, migrated_url: str, tmp_path: Path):
    """Samples, events and marks of the user go, all others stay, and counts of issues too."""
    done = object_of(
        run(
            "erase", "--user", "42", "--db", migrated_url, *OURS, "--yes", "--json",
            folder=tmp_path, environ=WITH_KEY,
        )
    )  # fmt: skip

    assert (3, 3, 3, 10) == tuple(
        done[name] for name in ("samples", "events", "issues", "looked_at")
    )
    assert [["1", "3"]] * 2 == left(store)
    assert [["9"]] * 2 == left(store, "other")
    assert [("user.erase", {"samples": 3, "events": 3, "issues": 3})] == audited(migrated_url)
    assert [1] * 5 == [
        one.count for one in store.next_issues(**SCOPE, seen_since=0, after=0, limit=99)
    ]


def test_a_dry_run_counts_and_changes_nothing(store: Store, migrated_url: str, tmp_path: Path):
    """What would go is told; it is still there."""
    done = run(
        "erase", "--user", "42", "--db", migrated_url, *OURS, "--dry-run",
        folder=tmp_path, environ=WITH_KEY,
    )  # fmt: skip

    assert (
        "would erase 3 samples and 3 events of this user, of 10 rows of shop (production), "
        "and the mark on 3 issues\n" == done.stdout
    )
    assert [["0", "1", "2", "3", "4"]] * 2 == left(store)


def test_another_key_finds_nobody_and_says_why(store: Store, migrated_url: str, tmp_path: Path):
    """Without the application's key the hash is another one: nothing goes, and a hint is given."""
    done = run("erase", "--user", "42", "--db", migrated_url, *OURS, "--yes", folder=tmp_path)

    assert 0 == done.returncode
    assert done.stdout.startswith("erased 0 samples and 0 events")
    assert "hashed without a secret_key" in done.stderr
    assert [["0", "1", "2", "3", "4"]] * 2 == left(store)


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_nobody_to_ask_means_no(store: Store, migrated_url: str, tmp_path: Path):
    """Without a terminal and without --yes nothing is erased."""
    done = run(
        "erase", "--user", "42", "--db", migrated_url, *OURS, folder=tmp_path, environ=WITH_KEY
    )

    assert 64 == done.returncode
    assert [["0", "1", "2", "3", "4"]] * 2 == left(store)


@pytest.mark.parametrize("arguments", [["erase"], ["erase", "--user", ""]])
def test_no_user_is_wrong_usage(arguments: list[str], sqlite_url: str, tmp_path: Path):
    """The id has to be given."""
    done = run(*arguments, "--db", sqlite_url, "--yes", folder=tmp_path)

    assert 64 == done.returncode
    assert "--user" in done.stderr
