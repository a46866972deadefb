"""The load on the demo shop: real HTTP over real connections, and what the client saw of it."""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from watchkeeper.demo.pages import PAGES, Page

MAX_CONNECTIONS: Final = 48
MAX_SEEN: Final = 100_000  # requests remembered; a round has a few thousand
ANSWER_WITHIN_S: Final = 20.0
LOST_SHARE: Final = 0.01  # of requests go to addresses that are nobody's page
SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Seen:
    """One completed request as the client saw it: when it was complete, how long, which status."""

    finished_at: float
    duration_s: float
    status: int

    @property
    def failed(self) -> bool:
        """Whether the server failed."""
        return self.status >= 500


class Traffic:
    """Requests at random moments, about `rate` a second, from a thread of its own.

    Arrivals do not wait for answers, as visitors do not wait for each other. `seen` holds the
    completed requests, `broken` counts those that got no complete answer.
    """

    def __init__(
        self, port: int, *, rate: float, seed: int = SEED, clock: Callable[[], float] = time.time
    ) -> None:
        """Prepare for a shop on a port of loopback; `start` begins."""
        self.rush = False
        self.broken = 0
        self.seen: deque[Seen] = deque(maxlen=MAX_SEEN)
        self._port = port
        self._rate = rate
        self._clock = clock
        self._rng = random.Random(seed)  # noqa: S311  # made visitors, no secret
        self._idle: list[_Connection] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="demo traffic", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more, and wait for the answers still under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(ANSWER_WITHIN_S + 1)

    async def _run(self) -> None:
        room = asyncio.Semaphore(MAX_CONNECTIONS)
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stopping.is_set():
            due = max(due + self._rng.expovariate(self._rate), time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await room.acquire()
            task = asyncio.create_task(self._visit(*self._choose()))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            task.add_done_callback(lambda _: room.release())
        await asyncio.gather(*under_way)
        for connection in self._idle:
            connection.close()

    def _choose(self) -> tuple[str, str]:
        """Choose the next page: method and path."""
        if self._rng.random() < LOST_SHARE:
            return "GET", f"/wp-{self._rng.randrange(1000)}.php"
        pages = list(PAGES.values())
        weights = [page.rush if self.rush else page.weight for page in pages]
        page = self._rng.choices(pages, weights)[0]
        return page.method, self._path(page)

    def _path(self, page: Page) -> str:
        number = self._rng.randrange(1, 9)
        path = page.template.replace("{code}", f"TEA{number * 5}")
        for name in ("{product_id}", "{basket_id}", "{order_id}"):
            path = path.replace(name, str(number))
        if page.template == "/search":
            path += "?q=te"
        if page.template == "/checkout":
            path += f"?product_id={number}"
        return path

    async def _visit(self, method: str, path: str) -> None:
        """Make one request on an idle connection, or on a new one."""
        connection = self._idle.pop() if self._idle else _Connection(self._port)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status = await connection.request(method, path)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            self.broken += 1
            connection.close()
            return
        self.seen.append(Seen(self._clock(), time.perf_counter() - started, status))
        if connection.is_open:
            self._idle.append(connection)


class _Connection:
    """One kept-alive connection that speaks as much HTTP/1.1 as the shop answers with."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether another request may be sent."""
        return self._writer is not None and not self._writer.is_closing()

    async def request(self, method: str, path: str) -> int:
        """Send a request, read the whole answer, and return its status.

        Raises OSError, EOFError or ValueError if there is no complete answer.
        """
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        body = b"content-length: 0\r\n" if method == "POST" else b""
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n".encode()
        self._writer.write(head + body + b"\r\n")
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        await self._reader.readexactly(int(fields["content-length"]))
        # uvicorn hangs up after an exception, without saying so in the answer.
        if status >= 500 or fields.get("connection") == "close":
            self.close()
        return status

    def close(self) -> None:
        """Let go of the connection."""
        if self._writer is not None:
            self._writer.close()
