"""All routes begin to fail in one slot: few transactions, and each of them fires once."""

import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest
from processes import until

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.alerts import AlertEngine
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertRow, Batch, Incident

SCOPE = Scope(service="shop", environment="production", release="v1")
HERE = {"service": "shop", "environment": "production"}
START = 1_700_000_000
AT = START + 69.0
ROUTES = 210  # more than one transaction's worth
RULE = compile_alert(
    Alert(
        "Route fails", when="error_rate > 5%", by="route", over="1m", keep="20s", max_groups=1_000
    ),
    where="test",
    origin=Origin.CODE,
    slot_s=10.0,
)


def engine(store: Store) -> AlertEngine:
    """Begin to evaluate, as another worker does."""
    return AlertEngine(
        store,
        scope=SCOPE,
        rules=[RULE],
        channels_for=lambda severity: ("hook",),
        slot_s=10,
        installed_at=0.0,
    )


def fail(store: Store, *, routes: int = ROUTES) -> None:
    """Write slots in which all is well, and one in which every route fails."""
    worker = store.register(SCOPE, host="h", pid=1, at=START - 3_600.0).id
    for number in range(7):
        status = "500" if number == 6 else "200"
        values = {served(route, status): Histogram([0.1] * 20) for route in range(routes)}
        frame = Frame(key=FrameKey(10, START + 10 * number, worker, number), values=values)
        store.write(Batch(scope=SCOPE, frame=frame, at=START + 10 * number + 9.0))


def served(route: int, status: str) -> Series:
    """Name the requests of a route."""
    labels = {"method": "GET", "route": f"/{route}", "status": status}
    pairs = tuple(sorted((*SCOPE.labels, *labels.items())))
    return Series(HTTP_DURATION.name, Kind.HISTOGRAM, pairs)


def states(store: Store) -> list[AlertRow]:
    """Read the states of the groups, without that of the rule itself."""
    return [row for row in store.alerts(**HERE) if row.group]


def incidents(store: Store) -> list[Incident]:
    """Read all incidents there are."""
    every = ("pending", "firing", "resolved", "event")
    return store.incidents(**HERE, states=every, since=0.0, limit=9_999)


def fires_once(store: Store, routes: Collection[int]) -> bool:
    """Tell whether each route fires, has an incident of its own, and there is no other one."""
    found, known = states(store), {one.id: one for one in incidents(store)}
    own = {row.incident: row for row in found}
    return (
        len(found) == len(own) == len(known) == len(routes)
        and {row.state for row in found} == {"firing"}
        and all(known[number or 0].group == row.group for number, row in own.items())
        and {row.data["labels"]["route"] for row in found} == {f"/{route}" for route in routes}
    )


def test_every_route_fires_with_an_incident_of_its_own(store: Store) -> None:
    """They are saved together, and told of together: each of them once."""
    fail(store)

    moved = engine(store).evaluate(now=AT)

    assert ["firing"] * ROUTES == [one.after.state.value for one in moved]
    assert fires_once(store, range(ROUTES))


def test_what_ends_together_ends_with_its_incident(store: Store) -> None:
    """The same the other way round."""
    fail(store)
    mine = engine(store)
    mine.evaluate(now=AT)
    for number in range(7, 17):
        values = {served(route, "200"): Histogram([0.1] * 20) for route in range(ROUTES)}
        frame = Frame(key=FrameKey(10, START + 10 * number, 1, number), values=values)
        store.write(Batch(scope=SCOPE, frame=frame, at=START + 10 * number + 9.0))
        mine.evaluate(now=START + 10 * number + 9.0)

    assert {"ok"} == {row.state for row in states(store)}
    assert ["resolved"] * ROUTES == [one.state for one in incidents(store)]


@pytest.mark.timeout(120)
def test_engines_at_once_begin_each_incident_once(store: Store) -> None:
    """Who loses the race for a row has stored nothing of it; who wins it, all."""
    fail(store)
    barrier = threading.Barrier(3)
    failed: list[BaseException] = []

    def evaluate() -> None:
        mine = engine(store)
        barrier.wait()
        try:
            for step in range(3):
                mine.evaluate(now=AT + step / 10)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=evaluate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failed
    assert fires_once(store, range(ROUTES))
    assert len(store.outbox(channel="hook", limit=99)) <= 2  # at once, or once more with the rest


CHILD = """
import sys
sys.path[:0] = {path!r}
from test_mass_failure import AT, engine
from watchkeeper.storage import open_store

store = open_store({url!r})
print("ready", flush=True)
sys.stdin.readline()
engine(store).evaluate(now=AT)
"""


@pytest.mark.timeout(240)
def test_a_worker_killed_amid_a_mass_failure_leaves_whole_states(migrated_url: str) -> None:
    """kill -9 between two transactions: the next one goes on, and no incident is there twice."""
    store = open_store(migrated_url)
    store.migrate()
    fail(store, routes=450)
    tests = Path(__file__).parents[1]
    code = CHILD.format(url=migrated_url, path=[str(tests), str(Path(__file__).parent)])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline()
        child.stdin.write("go\n")
        child.stdin.flush()
        begun = until(lambda: states(store), within_s=60, every_s=0.005)
        child.kill()

    assert begun
    left = states(store)
    assert {row.incident for row in left} == {one.id for one in incidents(store)}
    engine(store).evaluate(now=AT + 1.0)

    assert fires_once(store, range(450))
    store.close()
