"""A shop in real processes under real load, some of which fails: what alerts are proven on."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from processes import preloaded, until, uvicorn
from receivers import Received, Receiver
from sqlalchemy import create_engine, make_url, select

from watchkeeper.exceptions import StorageError
from watchkeeper.storage import open_store
from watchkeeper.storage.sql.schema import lease, worker

APP = """
import json
import os
import socket

if "SHOP_HOST" in os.environ:
    socket.gethostname = lambda: os.environ["SHOP_HOST"]

import watchkeeper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def fail(request: Request) -> PlainTextResponse:
    return PlainTextResponse("no", status_code=500)


async def elsewhere(request: Request) -> PlainTextResponse:
    # Fails in the workers that do not hold the lease for evaluating.
    return await (hello if watched._flusher._parts.writer.leads else fail)(request)


# Not FastAPI, to import which takes a fifth of the time of a start: many workers do.
app = Starlette(
    routes=[Route("/hello", hello), Route("/fail", fail), Route("/elsewhere", elsewhere)]
)
settings = json.loads(os.environ["SHOP_SETTINGS"])
alerts = [watchkeeper.Alert(**one) for one in settings.pop("alerts")]
watched = watchkeeper.watch(app, watchkeeper.Settings(**settings, alerts=alerts))
"""
SERVICE, ENVIRONMENT = "shop", "test"
CHANNEL = "oncall"
PLAIN = {"name": "plain", "when": "error_rate > 5%", "over": "1m", "sure": False}
SURE = {"name": "sure", "when": "error_rate > 5%", "over": ["1m", "5m"], "sure": True}
DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How many processes serve the shop: so many hosts, each with so many workers.

    Workers of uvicorn, or, `preloaded`, forks of a process that has loaded the shop.
    """

    hosts: int = 1
    workers: int = 1
    preloaded: bool = False

    def __str__(self) -> str:
        """Write it as the docs do: 1, 4, 2 × 4."""
        return f"{self.hosts} x {self.workers}" if self.hosts > 1 else str(self.workers)


class Shop:
    """The servers of one shop, over one database, telling one receiver."""

    def __init__(
        self, folder: Path, database_url: str, deployment: Deployment, **settings: Any
    ) -> None:
        """Prepare; `settings` are those of Watchkeeper, `alerts` among them as mappings."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "shop.py").write_text(APP)
        self.database_url = database_url
        chosen = {
            "enabled": True,
            "database_url": database_url,
            "service": SERVICE,
            "environment": ENVIRONMENT,
            "alert_pack": False,
            "alerts": [PLAIN],
            **settings,
        }
        serve = preloaded if deployment.preloaded else uvicorn
        self.servers = [
            serve(
                "shop:app",
                folder=folder,
                workers=deployment.workers,
                environ={"SHOP_SETTINGS": json.dumps(chosen), "SHOP_HOST": f"host-{number}"},
                ready="/watchkeeper/livez",
            )
            for number in range(deployment.hosts)
        ]

    @property
    def urls(self) -> list[str]:
        """Where each host serves."""
        return [server.url for server in self.servers]

    @property
    def log(self) -> str:
        """What the servers wrote."""
        return "\n".join(server.log.read_text() for server in self.servers)

    def start(self) -> None:
        """Start every host, one after the other."""
        for server in self.servers:
            server.__enter__()

    def stop(self) -> None:
        """Stop every host, as an operator would."""
        for server in self.servers:
            server.stop()

    def kill(self) -> None:
        """End every process at once, as `kill -9` would."""
        for server in self.servers:
            server.kill()

    def __enter__(self) -> "Shop":
        """Start."""
        with ExitStack() as started:
            for server in self.servers:
                started.enter_context(server)
            started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def leader(self) -> int | None:
        """Return the process that holds the lease for evaluating, None if none does yet."""
        with engine(self.database_url) as connection:
            holds = select(lease.c.owner).where(lease.c.name.like("alerts:%"))
            owner = connection.execute(holds).scalar()
            found = select(worker.c.pid).where(worker.c.id == int(owner or 0))
            return connection.execute(found).scalar()

    def states(self) -> set[str]:
        """Return the states of the alerts; none before there are tables."""
        try:
            with opened(self.database_url) as store:
                rows = store.alerts(service=SERVICE, environment=ENVIRONMENT)
                return {one.state for one in rows}
        except StorageError:
            return set()

    def statuses(self) -> Counter[str]:
        """Count the messages in the outbox by "kind status"; none before there are tables."""
        try:
            with opened(self.database_url) as store:
                return Counter(f"{one.kind} {one.status}" for one in store.outbox(limit=1_000))
        except StorageError:
            return Counter()


@contextmanager
def engine(url: str) -> Iterator[Any]:
    """Connect past the store."""
    parsed = make_url(url)
    made = create_engine(parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername)))
    try:
        with made.connect() as connection:
            yield connection
    finally:
        made.dispose()


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """Open the store of a shop, to read."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def webhook(receiver: Receiver) -> dict[str, Mapping[str, str]]:
    """Return the channels of a shop that tells a receiver."""
    return {CHANNEL: {"type": "webhook", "url": receiver.url}}


def told(receiver: Receiver, kind: str, *, rule: str = "plain") -> list[Received]:
    """Return the messages of a kind about a rule that arrived, oldest first."""
    return [
        one
        for one in receiver.received
        if one.method == "POST"  # whoever looks around on this machine is no message
        and one.json()["watchkeeper"]["kind"] == kind
        and one.json()["groupLabels"]["alertname"] == rule
    ]


def ids(messages: Sequence[Received]) -> set[str]:
    """Return the ids of messages: each message has one, however often it is sent."""
    return {one.headers["webhook-id"] for one in messages}


def wait_told(
    receiver: Receiver, kind: str, *, rule: str = "plain", count: int = 1, within_s: float = 30.0
) -> list[Received]:
    """Wait for messages; what there is after the time, too few or not."""
    until(lambda: len(told(receiver, kind, rule=rule)) >= count, within_s=within_s, every_s=0.02)
    return told(receiver, kind, rule=rule)


@dataclass(frozen=True, slots=True)
class Answer:
    """One request as its client saw it: when it was answered, and how."""

    at: float
    failed: bool


@dataclass
class Load:
    """Customers who send so many requests a second, each over a connection of its own.

    So the workers of a server share them. `failing` is the share that asks for what fails.
    """

    urls: Sequence[str]
    per_s: float = 50.0
    failing: float = 0.0
    path: str = "/fail"
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> "Load":
        """Begin."""
        self._gone = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._gone.set()
        self._thread.join(20)

    async def _send(self) -> None:
        chance = random.Random(6)  # noqa: S311  # the same requests each time
        begin, number = time.monotonic(), 0
        under_way: set[asyncio.Task[None]] = set()
        while not self._gone.is_set():
            await asyncio.sleep(max(0.0, begin + number / self.per_s - time.monotonic()))
            path = self.path if chance.random() < self.failing else "/hello"
            task = asyncio.create_task(self._ask(self.urls[number % len(self.urls)], path))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _ask(self, url: str, path: str) -> None:
        place = urlsplit(url)
        try:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode()
            )
            status = (await reader.readline()).split()
            await reader.read()
            writer.close()
        except OSError:
            return  # a server that is away answers nobody
        if len(status) > 1:
            self.answers.append(Answer(time.time(), failed=status[1] == b"500"))
