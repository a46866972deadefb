"""What an instrumented query costs: CPU added to one query, and its ratio to the bare one.

python bench/query.py             as JSON; a minute on a quiet machine
python bench/query.py --quick     the same in ten seconds, for a first impression

Rounds with and without the instrument follow each other, so that both meet the same machine; the
figures are medians. SQLAlchemy asks a SQLite database in memory; psycopg and asyncpg ask a
PostgreSQL server, the HTTP clients a small server, both started for the purpose: only the client's
CPU counts.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter, process_time
from typing import Final

import asyncpg
import httpx
import psycopg
import requests
import urllib3
from sqlalchemy import create_engine, text

from watchkeeper.core.metrics import Scope
from watchkeeper.integrations.instruments import asyncpg as asyncpg_instrument
from watchkeeper.integrations.instruments import httpx as httpx_instrument
from watchkeeper.integrations.instruments import psycopg as psycopg_instrument
from watchkeeper.integrations.instruments import requests as requests_instrument
from watchkeeper.integrations.instruments import sqlalchemy as sqlalchemy_instrument
from watchkeeper.integrations.instruments import urllib3 as urllib3_instrument
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.record import Record, current
from watchkeeper.runtime.recorder import Recorder

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
import servers  # the tests' own PostgreSQL

QUERIES: Final = 500  # of one round; a request holds a thousand spans
OBSERVER: Final = Observer(Recorder(Scope(service="bench", environment="bench")))

Install = Callable[[Observer], Callable[[], None]]


@contextmanager
def watched(install: Install | None) -> Iterator[None]:
    """Run a round as one request, with the instrument or without."""
    token = current.set(Record.beginning(perf_counter()))
    undo = install(OBSERVER) if install else None
    try:
        yield
    finally:
        if undo:
            undo()
        current.reset(token)


def result(bare: list[float], with_us: list[float]) -> dict[str, float]:
    """Put the CPU seconds of the rounds into figures per query."""
    base = statistics.median(bare) / QUERIES * 1e6
    added = (
        statistics.median(one - other for one, other in zip(with_us, bare, strict=True))
        / QUERIES
        * 1e6
    )
    return {
        "bare_us": round(base, 2),
        "added_us": round(added, 2),
        "ratio": round(added / base, 4),
    }


def measure(ask: Callable[[], object], install: Install, rounds: int) -> dict[str, float]:
    """Ask the same query many times, in turns with the instrument and without."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * rounds + 2):
        on = number % 2 == 1
        with watched(install if on else None):
            begin = process_time()
            for _ in range(QUERIES):
                ask()
            spent = process_time() - begin
        if number >= 2:  # the first of each is for warming up
            seconds[on].append(spent)
    return result(seconds[False], seconds[True])


async def measure_async(
    ask: Callable[[], Awaitable[object]], install: Install, rounds: int
) -> dict[str, float]:
    """Do the same with a query that is awaited."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * rounds + 2):
        on = number % 2 == 1
        with watched(install if on else None):
            begin = process_time()
            for _ in range(QUERIES):
                await ask()
            spent = process_time() - begin
        if number >= 2:
            seconds[on].append(spent)
    return result(seconds[False], seconds[True])


def with_sqlalchemy(rounds: int) -> dict[str, float]:
    """Select a row of a SQLite database in memory, on one connection."""
    query = text("SELECT name FROM items WHERE id = :id")
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("CREATE TABLE items (id int PRIMARY KEY, name text)"))
        connection.execute(text("INSERT INTO items VALUES (1, 'x')"))
        return measure(
            lambda: connection.execute(query, {"id": 1}).all(),
            sqlalchemy_instrument.install,
            rounds,
        )


def with_psycopg(url: str, rounds: int) -> dict[str, float]:
    """Select a value from PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        return measure(
            lambda: cursor.execute("SELECT %s::int", [1]).fetchall(),
            psycopg_instrument.install,
            rounds,
        )


async def with_asyncpg(url: str, rounds: int) -> dict[str, float]:
    """Select a value from PostgreSQL, on an event loop."""
    connection = await asyncpg.connect(url)
    try:
        return await measure_async(
            lambda: connection.fetch("SELECT $1::int", 1), asyncpg_instrument.install, rounds
        )
    finally:
        await connection.close()


SERVER: Final = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
"""


def with_http_clients(rounds: int) -> dict[str, dict[str, float]]:
    """Get two bytes over one connection that is kept open."""
    with Popen([sys.executable, "-c", SERVER], stdout=PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip()
            with httpx.Client() as client, requests.Session() as session:
                pool = urllib3.PoolManager()
                return {
                    "httpx": measure(lambda: client.get(url), httpx_instrument.install, rounds),
                    "requests": measure(lambda: session.get(url), as_in_use, rounds),
                    "urllib3": measure(
                        lambda: pool.request("GET", url), urllib3_instrument.install, rounds
                    ),
                }
        finally:
            server.terminate()


def as_in_use(observer: Observer) -> Callable[[], None]:
    """Switch on the instruments of requests and of urllib3, which it drives."""
    undo = urllib3_instrument.install(observer), requests_instrument.install(observer)
    return lambda: [one() for one in reversed(undo)]


def main() -> None:
    """Measure what is there and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    rounds = 10 if parser.parse_args().quick else 100
    figures = {"sqlalchemy": with_sqlalchemy(rounds)}
    if servers.postgres_programs() is not None:
        with servers.postgres() as server:
            figures["psycopg"] = with_psycopg(server.url, rounds)
            figures["asyncpg"] = asyncio.run(with_asyncpg(server.url, rounds))
    figures |= with_http_clients(rounds // 2)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
