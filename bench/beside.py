"""Good requests beside a storm of errors: the throughput that the application keeps.

A thread of the application raises 10,000 errors of one bug a second, in turns to drop them and to
capture them; the uvicorn server is asked for as many good requests as it can serve. What counts is
the CPU that these took, own threads and all: that is what a server at its limit has to share.
Turns are of one server, for two equal ones differ by up to 5 % as long as they live. Everywhere
the median of turns counts, so that what a slot's and a minute's end cost is not: `storm.py` and
`recording.py` have that.

Besides, without a goal: every second request fails, in a server that is watched and in a bare one.
There the requests that fail are served by the same core, and what watching costs without errors
is in the figure too, so good requests alone are measured beside it.

python bench/beside.py 9 4000                         nine rounds of 4,000 of each (20,000
                                                      beside the storm), as JSON
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Final

import psutil

import apps
import databases  # knows where the tests' servers are
import exchanges
import goals
import raising

GOOD: Final = "/carts/7"
BAD: Final = "/fail"
LEAST_KEPT: Final = 0.95
CONNECTIONS: Final = 8
START_S: Final = 15.0
LONGER: Final = 5  # times as many requests beside the storm: starting and settling takes long
SETTLE_S: Final = 12.0  # a slot and more: what a start costs is over
STORMS: Final = {"raising": signal.SIGUSR1, "capturing": signal.SIGUSR2}  # tells a server to
KINDS: Final = ("bare", "watched")
RATE: Final = 10_000  # errors of the storm, in a second
TICK_S: Final = 0.01
TURNS: Final = 20  # that a round is split into: what slows the machine down meets all kinds alike
FRAMES: Final = 10

Paths = tuple[str, ...]
Work = Callable[[str, Paths], tuple[float, float]]
Found = dict[str, list[tuple[float, float]]]
"""CPU and wall seconds of each turn, by kind."""


def measure(rounds: int, pairs: int) -> dict[str, Any]:
    """Do the work in all ways."""
    return {
        "rounds": rounds,
        "requests": pairs,
        "storm": _beside_storm(rounds, LONGER * pairs // TURNS),
        "every_second_fails": {
            "in_process": _in_process(rounds, pairs // TURNS),
            "uvicorn": _uvicorn(rounds, pairs // TURNS),
        },
    }


def _beside_storm(rounds: int, pairs: int) -> dict[str, Any]:
    found: Found = {kind: [] for kind in STORMS}
    for _ in range(rounds):
        with _server("storm") as server:
            ask = _asking(dict.fromkeys(STORMS, server), pairs)

            def work(
                kind: str, paths: Paths, server: "Server" = server, ask: Work = ask
            ) -> tuple[float, float]:
                server.process.send_signal(STORMS[kind])
                time.sleep(2 * TICK_S)
                return ask(kind, paths)

            in_turn = _in_turn(work, tuple(STORMS), 1, (GOOD,), settles=rounds > 1)
        for kind, took in in_turn.items():
            found[kind] += took
    return {
        "errors_per_s": RATE,
        "requests": pairs * TURNS,
        "kept": goals.at_least(LEAST_KEPT, _kept(found, 0), "of the throughput"),
        "kept_by_the_clock": round(_kept(found, 1), 3),
    }


def _in_process(rounds: int, pairs: int) -> dict[str, Any]:
    loop = asyncio.new_event_loop()
    with apps.watching(apps.DEFAULT_SLOT):
        served = {"bare": apps.failing_shop(), "watched": apps.watched(apps.failing_shop)}

        def work(kind: str, paths: Paths) -> tuple[float, float]:
            scopes = [exchanges.scope(path) for _ in range(pairs) for path in paths]
            cpu, begun = time.process_time(), time.perf_counter()
            loop.run_until_complete(exchanges.serve_asgi(served[kind], scopes))
            return time.process_time() - cpu, time.perf_counter() - begun

        found = _figures(work, rounds)
    loop.close()
    return found


def _uvicorn(rounds: int, pairs: int) -> dict[str, Any]:
    with _server("bare") as bare, _server("watched") as watched:
        return _figures(_asking({"bare": bare, "watched": watched}, pairs), rounds)


def _asking(servers: dict[str, "Server"], pairs: int) -> Work:
    """Return what asks a server, and says which CPU and wall seconds that took."""

    def work(kind: str, paths: Paths) -> tuple[float, float]:
        server = servers[kind]
        cpu, begun = server.cpu_s(), time.perf_counter()
        asyncio.run(_ask_all(server.port, pairs, paths))
        return server.cpu_s() - cpu, time.perf_counter() - begun

    return work


def _in_turn(work: Work, kinds: Paths, rounds: int, paths: Paths, *, settles: bool) -> Found:
    """Work in short turns after a warm-up, with time for what comes at a start if it `settles`."""
    for kind in kinds:
        work(kind, paths)
    time.sleep(SETTLE_S if settles else 0)
    found: Found = {kind: [] for kind in kinds}
    for number in range(rounds * TURNS):
        for kind in kinds if number % 2 else reversed(kinds):
            found[kind].append(work(kind, paths))
    return found


def _figures(work: Work, rounds: int) -> dict[str, float]:
    """Return the share of the throughput that is kept, with errors and without."""
    storm, calm = (
        _in_turn(work, KINDS, rounds, paths, settles=rounds > 1)
        for paths in ((GOOD, BAD), (GOOD,))
    )
    return {
        "kept": round(_kept(storm, 0), 3),
        "kept_by_the_clock": round(_kept(storm, 1), 3),
        "kept_without_errors": round(_kept(calm, 0), 3),
    }


def _kept(found: Found, at: int) -> float:
    """Return the median of the turns' ratios, the first kind's to the second's: CPU or clock."""
    pairs = zip(*found.values(), strict=True)
    return statistics.median(less[at] / more[at] for less, more in pairs)


@dataclass(frozen=True, slots=True)
class Server:
    """A uvicorn server of the shop."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU seconds that its threads used so far, exactly.

        Source: Linux' documentation of /proc/PID/schedstat; `psutil` tells hundredths of seconds.
        """
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9


@contextmanager
def _server(kind: str) -> Iterator[Server]:
    port = databases.servers.free_port()
    running = Popen([sys.executable, Path(__file__), kind, str(port)], stdout=DEVNULL)
    try:
        ends = time.monotonic() + START_S
        while not _answers(port):
            if time.monotonic() > ends or running.poll() is not None:
                raise RuntimeError(f"the {kind} server did not start")
            time.sleep(0.1)
        yield Server(port, psutil.Process(running.pid))
    finally:
        running.terminate()
        running.wait()


def _answers(port: int) -> bool:
    try:
        asyncio.run(_ask_all(port, 1, (GOOD,)))
    except OSError:
        return False
    return True


async def _ask_all(port: int, pairs: int, paths: Paths) -> None:
    """Ask for the paths in turn, over several connections at once."""
    each = max(1, pairs // CONNECTIONS)
    many = min(CONNECTIONS, pairs)
    await asyncio.gather(*(_ask(port, paths * each) for _ in range(many)))


async def _ask(port: int, paths: Paths) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for path in paths:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(size)
    finally:
        writer.close()


def serve(kind: str, port: int) -> None:
    """Serve the shop until the process is told to end."""
    import uvicorn

    def run(app: Any) -> None:
        uvicorn.run(app, port=port, log_level="critical", access_log=False)

    if kind == "bare":
        run(apps.failing_shop())
        return
    with apps.watching(apps.DEFAULT_SLOT) as watchkeeper:
        if kind == "storm":
            storm = Storm(watchkeeper.capture)
            signal.signal(STORMS["raising"], lambda *_: storm.captures(False))
            signal.signal(STORMS["capturing"], lambda *_: storm.captures(True))
            threading.Thread(target=storm.run, daemon=True).start()
        run(apps.watched(apps.failing_shop))


class Storm:
    """Errors of one bug at the rate, until the process ends."""

    def __init__(self, capture: Callable[[BaseException], object]) -> None:
        """Begin with dropping them."""
        self._capture = capture
        self._captures = False

    def captures(self, whether: bool) -> None:
        """Capture them from now on, or drop them."""
        self._captures = whether

    def run(self) -> None:
        """Raise them."""
        per_tick = int(RATE * TICK_S)
        with tempfile.TemporaryDirectory(prefix="watchkeeper-raising-") as folder:
            raises = raising.chain(Path(folder), FRAMES)
            due = time.perf_counter()
            while True:
                captures = self._captures
                for _ in range(per_tick):
                    if captures:
                        raising.capturing(raises, self._capture)
                    else:
                        raising.caught(raises)
                # What a busy machine did not get done is not made up for in the next turn.
                due = max(due + TICK_S, time.perf_counter() - TICK_S)
                time.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    if sys.argv[1] in (*KINDS, "storm"):
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2])), indent=1))
