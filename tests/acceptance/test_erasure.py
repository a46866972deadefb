"""A user of a real application is forgotten: what set_user marked is found and deleted."""

from dataclasses import replace
from pathlib import Path

import pytest
from kept import object_of, run_process
from processes import get, until, uvicorn

from watchkeeper.storage import Store, open_store

APP = """
import watchkeeper
from fastapi import FastAPI

app = FastAPI()


@app.get("/orders/{user}")
def orders(user: int) -> None:
    watchkeeper.set_user(user)
    watchkeeper.tag(plan="pro")
    raise ValueError("no such order")


watchkeeper.watch(app, watchkeeper.Settings(
    database_url=DATABASE, service="shop", environment="test", slot="1s", flush_jitter="0s",
    secret_key="only the code knows it",
))
"""
SCOPE = {"service": "shop", "environment": "test"}


def users(store: Store) -> list[set[str]]:
    """Return the marks of the stored samples and events."""
    samples = store.next_samples(**SCOPE, after=(0.0, ""), limit=99)
    events = store.next_events(**SCOPE, after=(0.0, ""), limit=99)
    return [
        {one.data.get("user", "") for one in samples},
        {one.data.get("user", "") for _, one in events},
    ]


@pytest.mark.slow
def test_a_user_is_forgotten_and_others_are_not(sqlite_url: str, tmp_path: Path):
    """With `--app` the key comes from the code; the other user's requests and errors stay.

    What is deleted in which database is shown with the verb, and with the stores.
    """
    (tmp_path / "shop.py").write_text(APP.replace("DATABASE", repr(sqlite_url)))
    store = open_store(sqlite_url)
    store.migrate()
    with uvicorn("shop:app", folder=tmp_path, ready="/watchkeeper/livez") as server:
        for user in (42, 7):
            assert 500 == get(f"{server.url}/orders/{user}")[0]
        assert until(lambda: [2, 2] == [len(one) for one in users(store)]), users(store)
    (issue,) = store.next_issues(**SCOPE, seen_since=0, after=0, limit=9)
    arguments = ("erase", "--user", "42", "--app", "shop:app", "--json")

    told = object_of(run_process(*arguments, "--dry-run", folder=tmp_path))
    done = object_of(run_process(*arguments, "--yes", folder=tmp_path))
    again = object_of(run_process(*arguments, "--yes", folder=tmp_path))

    assert told["samples"] == done["samples"] > 0
    assert told["events"] == done["events"] > 0
    assert (0, 0) == (again["samples"], again["events"])
    assert [1, 1] == [len(one) for one in users(store)]
    assert [replace(issue, users=1)] == store.next_issues(**SCOPE, seen_since=0, after=0, limit=9)
    assert (2, 2) == (issue.count, issue.users)
    store.close()
