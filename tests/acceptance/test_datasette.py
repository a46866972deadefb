"""A real application that we did not write: its answers stay the same, every request counts."""

import re
import sqlite3
import time

import pytest
from processes import get, uvicorn

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.rollup import merge_frames
from watchkeeper.storage import open_store

PATHS = (
    "/",
    "/books",
    "/books/author",
    "/books/author.json?_shape=array",
    "/books/author/1",
    "/books/author.csv",
    "/books?sql=select+count(*)+from+author",
    "/books/nowhere",
    "/-/versions.json",
    "/-/static/app.css",
    "/-/metadata",
    "/nothing/here",
    "/books/author?_sort=name&_facet=name",
)
ROUNDS = 5

# Datasette gives up counting and faceting after some milliseconds, which on a busy machine shows:
# the counts are handed in and the limits raised, so that each answer is always the same.
BARE = """
from datasette.app import Datasette
app = Datasette(
    immutables=["books.db"],
    inspect_data={"books": {
        "hash": "0" * 64, "size": 8192, "file": "books.db", "tables": {"author": {"count": 150}},
    }},
    settings={
        "sql_time_limit_ms": 20000,
        "facet_time_limit_ms": 20000,
        "facet_suggest_time_limit_ms": 20000,
    },
    secret="fixed",
).app()
"""
WATCHED = """
import watchkeeper
app = watchkeeper.asgi(app, watchkeeper.Settings(
    database_url=DATABASE, service="datasette", environment="test", slot="1s",
))
"""
# What differs between any two answers of the same server.
VARIES = (
    (re.compile(rb"Queries took [0-9.]+ms"), b"Queries took -ms"),
    (re.compile(rb'"query_ms": ?[0-9.]+'), b'"query_ms": 0'),
    (re.compile(rb'csrftoken" value="[^"]+"'), b'csrftoken" value="-"'),
    (re.compile(rb"http://127\.0\.0\.1:[0-9]+"), b"http://host"),
    (re.compile(rb"127\.0\.0\.1:[0-9]+"), b"host"),
)


@pytest.fixture
def folder(tmp_path):
    """A folder with a small database to be served."""
    with sqlite3.connect(tmp_path / "books.db") as books:
        books.execute("create table author (id integer primary key, name text)")
        books.executemany(
            "insert into author (name) values (?)", [(f"Author {at}",) for at in range(150)]
        )
    books.close()
    (tmp_path / "bare.py").write_text(BARE)
    return tmp_path


def masked(answer):
    """An answer without what differs each time."""
    status, headers, body = answer
    for pattern, calm in VARIES:
        body = pattern.sub(calm, body)
    kept = {
        name: re.sub(r"ds_csrftoken=[^;]+", "ds_csrftoken=-", value)
        for name, value in headers.items()
        if name not in ("date", "etag", "last-modified")
    }
    kept.pop("content-length", None)  # follows from the body
    kept = {name: re.sub(r"127\.0\.0\.1:[0-9]+", "host", value) for name, value in kept.items()}
    return status, kept, body


@pytest.mark.slow
def test_answers_are_the_same_and_every_request_is_counted(folder, postgres_url):
    """Behind two workers datasette answers byte for byte as without us, and counts are exact."""
    (folder / "watched.py").write_text(BARE + WATCHED.replace("DATABASE", repr(postgres_url)))
    sent = 0
    with uvicorn("bare:app", folder=folder, ready="/-/versions.json") as bare:
        expected = [masked(get(bare.url + path)) for path in PATHS]

    with uvicorn("watched:app", folder=folder, workers=2, ready="/watchkeeper/livez") as watched:
        for _ in range(ROUNDS):
            for path, answer in zip(PATHS, expected, strict=True):
                got = masked(get(watched.url + path))
                sent += 1
                assert answer == got, path
        assert 200 == get(watched.url + "/watchkeeper/livez")[0]

    store = open_store(postgres_url)
    frames = store.frames(
        1, since=0, until=time.time() + 60, service="datasette", environment="test"
    )
    workers = store.workers(service="datasette", environment="test", seen_since=0)
    store.close()
    counted = sum(
        value.count
        for series, value in merge_frames(frames).items()
        if series.metric == HTTP_DURATION.name
    )
    assert sent == counted
    assert 1 <= len(workers) <= 2
    assert all(worker.stopped_at for worker in workers)
