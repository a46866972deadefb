"""Numbers of workers over processes: small, and never held by two at once."""

import subprocess
import sys

import pytest
from sqlalchemy import insert

from earlier import engine_of
from watchkeeper.storage import open_store
from watchkeeper.storage.sql.schema import worker

CHILD = """
import sys
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import open_store
scope = Scope(service="shop", environment="production", release=sys.argv[2])
store = open_store(sys.argv[1])
store.meta("schema")
print("ready", flush=True)
sys.stdin.readline()
made = [store.register(scope, host="web", pid=1, at=100.0) for _ in range(25)]
store.close()
print(" ".join(f"{one.id}:{one.number}" for one in made))
"""


@pytest.mark.parametrize("releases", [("v1", "v1"), ("v1", "v2")], ids=["same", "deploy"])
def test_processes_that_register_together_share_no_number(migrated_url: str, releases):
    """Two processes that register 25 workers each, at the same moment, get 1 to 50."""
    store = open_store(migrated_url)
    store.migrate()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, migrated_url, release],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for release in releases
    ]
    for child in children:
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline()

    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=100) for child in children]

    assert ["", ""] == [errors for _, errors in outputs]
    made = [one.split(":") for output, _ in outputs for one in output.split()]
    assert list(range(1, 51)) == sorted(int(number) for _, number in made)
    assert 50 == len({known for known, _ in made})
    marks = store.releases(service="shop", environment="production", since=0, until=1e12, limit=9)
    assert sorted(set(releases)) == sorted(one.scope.release for one in marks)
    store.close()


def test_a_table_that_has_grown_is_pruned(migrated_url: str):
    """Twenty thousand restarts, left by an earlier version, are not too many for one statement."""
    store = open_store(migrated_url)
    store.migrate()
    engine = engine_of(migrated_url)
    names = dict.fromkeys(("service", "environment", "release", "host"), "shop")
    rows = [
        {**names, "id": at, "number": 1, "pid": 1, "started_at": at, "seen_at": at}
        | {"stopped_at": at}
        for at in range(1, 20_001)
    ]
    with engine.begin() as connection:
        connection.execute(insert(worker), rows)
    engine.dispose()

    assert 1_000 == store.prune_workers(before=-1.0, limit=1_000)
    assert 18_500 == store.prune_workers(before=-1.0, limit=100_000)

    kept = store.workers(service="shop", environment="shop", seen_since=0)
    assert list(range(20_000, 19_500, -1)) == [one.id for one in kept]
    store.close()
