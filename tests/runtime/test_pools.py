"""Pools of connections are read before each slot is closed; only their owners hold them."""

import pytest
from observed import Observed

from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.pools import MAX_POOLS, PoolState


class Engine:
    """Something that owns a pool."""

    def __init__(self, used: int, idle: int, most: int = 0) -> None:
        self.state = PoolState(used=used, idle=idle, most=most)


@pytest.fixture
def observed() -> Observed:
    """An observer of a process of its own."""
    return Observed()


def add(observed: Observed, engine: Engine, name: str = "shop") -> None:
    """Have an engine's pool watched."""
    observed.observer.pools.add(engine, name, lambda owner: owner.state)


def test_pools_of_one_name_are_summed(observed: Observed):
    """Two engines for one database are one pool to whoever looks at it."""
    engines = [Engine(1, 2, 5), Engine(3, 0, 5)]
    for engine in engines:
        add(observed, engine)

    assert {"shop used": 4, "shop idle": 2, "shop most": 10} == observed.pools()


def test_the_share_in_use_is_of_what_may_be_opened(observed: Observed):
    """9 of 10 connections are 90 %, however many are open; without a limit there is no share."""
    engines = [Engine(9, 1, 10), Engine(3, 7)]
    add(observed, engines[0], "shop")
    add(observed, engines[1], "reports")

    observed.observer.pools.sample()

    taken = observed.recorder.take()
    shares = {
        series.label("pool"): value.last
        for series, value in taken.items()
        if series.metric == "db_client_connection_utilization_ratio"
    }
    assert {"shop": 0.9} == shares


def test_a_pool_without_a_limit_tells_none(observed: Observed):
    """What is not known is absent, not 0."""
    engine = Engine(1, 2)
    add(observed, engine)

    assert {"shop used": 1, "shop idle": 2} == observed.pools()


def test_a_pool_is_forgotten_with_its_owner(observed: Observed):
    """Watching keeps no engine alive."""
    engine = Engine(1, 2)
    add(observed, engine)
    del engine

    assert {} == observed.pools()


def test_a_pool_that_cannot_be_read_spoils_no_other(observed: Observed):
    """The others are read all the same, and the failure is counted as ours."""
    take_errors()  # those of earlier tests
    broken, engine = object.__new__(Engine), Engine(1, 2)
    add(observed, broken, "broken")
    add(observed, engine)

    assert {"shop used": 1, "shop idle": 2} == observed.pools()
    assert {"pool": 1} == take_errors()


def test_pools_are_bounded(observed: Observed):
    """A program that makes pools without end has its first ones watched."""
    engines = [Engine(1, 0) for _ in range(MAX_POOLS + 5)]
    for number, engine in enumerate(engines):
        add(observed, engine, f"shop {number}")

    assert MAX_POOLS == sum(name.endswith(" used") for name in observed.pools())
