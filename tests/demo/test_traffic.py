"""The load on the shop and the independent timer, with the real shop under uvicorn."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from processes import until

from watchkeeper.demo.faults import Faults
from watchkeeper.demo.serve import copy_shop, load_shop
from watchkeeper.demo.stopwatch import Stopwatch, exact_quantile
from watchkeeper.demo.traffic import Traffic


@dataclass
class Running:
    """The shop, unwatched, on a port."""

    port: int
    faults: Faults
    stopwatch: Stopwatch


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    """Run the shop in a thread."""
    copy_shop(tmp_path)
    module = load_shop(tmp_path)
    faults = Faults()
    shelf = module.Shelf(tmp_path / "shop.db")
    stopwatch = Stopwatch(module.create_app(shelf, faults), skip="/watchkeeper")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(stopwatch, log_level="critical", timeout_keep_alive=75))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
    thread.start()
    yield Running(listener.getsockname()[1], faults, stopwatch)
    server.should_exit = True
    thread.join()
    listener.close()
    shelf.close()


def visit(shop: Running, *, until: int) -> Traffic:
    """Send requests until so many are answered."""
    traffic = Traffic(shop.port, rate=120)
    traffic.rush = True
    traffic.start()
    deadline = time.monotonic() + 30
    while len(traffic.seen) < until and time.monotonic() < deadline:
        time.sleep(0.05)
    traffic.stop()
    return traffic


def test_client_and_timer_see_the_same_requests(shop: Running):
    """Every request that the client completed is one time of the independent timer."""
    traffic = visit(shop, until=100)

    assert traffic.broken == 0
    # The client may have the last answer before the shop has noted its time.
    assert until(lambda: len(traffic.seen) == len(shop.stopwatch.times_s), within_s=5.0)


def test_the_shop_is_well_without_an_incident(shop: Running):
    """No request fails while nothing is wrong."""
    traffic = visit(shop, until=100)

    assert not any(one.failed for one in traffic.seen)


def test_an_incident_fails_checkouts_and_slows_the_search(shop: Running):
    """In an incident some requests fail with 500, and some take most of a second."""
    shop.faults.incident = True

    traffic = visit(shop, until=200)

    assert {one.status for one in traffic.seen} >= {200, 500}
    assert max(one.duration_s for one in traffic.seen) > 0.5
    assert traffic.broken == 0


def test_the_exact_quantile_is_a_value_that_was_seen():
    """The exact p95 of 1 … 100 is the value of rank 94, rounded down."""
    assert exact_quantile([float(number) for number in range(100, 0, -1)], 0.95) == 95.0


def test_there_is_no_quantile_of_nothing():
    """Without a value there is no percentile to claim."""
    with pytest.raises(ValueError, match="nothing"):
        exact_quantile([], 0.95)
