"""Alerts come once: real processes on real databases, killed, paused and cut off.

Each test is about a story that is told beside the others, for all of them mostly wait. Several
tests may be about the same one: it is the processes that cost.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import servers
from processes import until
from receivers import Received, Receiver

import shops
from shops import Deployment, Load, Shop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
]  # the first test waits for others' stories

# Short slots: what is shown is that it comes once, not how soon.
QUICK = {"slot": "1s", "flush_jitter": "0s"}
BRIEF = {**shops.PLAIN, "over": "3s", "keep": "2s"}
LONG = {**shops.PLAIN, "over": "1m"}
HELD = {**LONG, "hold": "30s"}
A_WHILE_S = 6.0  # in which a second copy would arrive: several evaluations of each worker
PAUSED_S = 30.0
CLAIM_S = 60.0  # what a killed process held is free again
WITHIN_S = 60.0  # on a busy machine
PER_S = 10.0  # requests: what is sent of them costs more than all the rest
AT_ONCE = 4  # stories
DEPLOYMENTS = {
    "one worker": Deployment(),
    "four workers": Deployment(workers=4),
    "two hosts of four workers": Deployment(hosts=2, workers=4, preloaded=True),
}
DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Told:
    """What the receiver was told in a story, and what the servers wrote."""

    messages: Sequence[Received]
    log: str
    at_first: Sequence[str] = ()  # the kinds of those before anything was done to the shop

    @property
    def kinds(self) -> list[str]:
        """The kinds of the messages, in the order in which they arrived."""
        return kinds(self.messages)


def kinds(messages: Sequence[Received]) -> list[str]:
    """Return the kinds of messages."""
    return [one.json()["watchkeeper"]["kind"] for one in messages]


@contextmanager
def failing(shop: Shop) -> Iterator[Load]:
    """Serve a second well, then let half of what is asked for fail."""
    with Load(shop.urls, per_s=PER_S) as load:
        time.sleep(1.0)
        load.failing = 0.5
        yield load


def story(
    act: Callable[..., Any],
    rule: dict[str, Any],
    deployment: Deployment,
    folder: Path,
    url: str,
    **more: Any,
) -> Told:
    """Serve a shop, let it fail, and do something meanwhile; what the receiver was told."""
    with Receiver() as receiver:
        channels = shops.webhook(receiver)
        shop = Shop(folder, url, deployment, alerts=[rule], channels=channels, **QUICK)
        with shop, failing(shop) as load:
            at_first = act(shop=shop, receiver=receiver, load=load, **more)
        return Told(receiver.received, shop.log, at_first or ())


def end(receiver: Receiver, load: Load) -> None:
    """Serve well again until that was told, and a while longer."""
    load.failing = 0.0
    shops.wait_told(receiver, "resolved", within_s=WITHIN_S)
    time.sleep(A_WHILE_S)


def wait_recorded(shop: Shop, receiver: Receiver) -> list[str]:
    """Wait until it was told that it fires, and that was recorded, and a while longer.

    What was told by then.
    """
    shops.wait_told(receiver, "firing", within_s=WITHIN_S)
    until(lambda: shop.statuses()["firing sent"])
    time.sleep(A_WHILE_S)
    return kinds(receiver.received)


def pause_the_leader(*, shop: Shop, receiver: Receiver, load: Load) -> list[str]:
    """Let the worker that holds the lease sleep in the midst of it."""
    at_first = wait_recorded(shop, receiver)
    leader = shop.leader()
    assert leader is not None
    os.kill(leader, signal.SIGSTOP)
    try:
        time.sleep(PAUSED_S)
    finally:
        os.kill(leader, signal.SIGCONT)
    end(receiver, load)
    return at_first


def kill_while_firing(*, shop: Shop, receiver: Receiver, load: Load) -> list[str]:
    at_first = wait_recorded(shop, receiver)
    shop.kill()
    shop.start()
    time.sleep(A_WHILE_S)
    end(receiver, load)
    return at_first


def kill_while_pending(*, shop: Shop, receiver: Receiver, load: Load) -> None:
    """Restart in the midst of its hold, and wait for less than another one."""
    assert until(lambda: "pending" in shop.states(), within_s=WITHIN_S), shop.log
    time.sleep(15.0)
    shop.kill()
    shop.start()
    shops.wait_told(receiver, "firing", within_s=25.0)


def stop_the_database(
    *, shop: Shop, receiver: Receiver, load: Load, database: servers.Postgres
) -> None:
    wait_recorded(shop, receiver)
    database.stop()
    time.sleep(A_WHILE_S)
    database.start()
    until(lambda: "database is back after" in shop.log, within_s=WITHIN_S)
    time.sleep(A_WHILE_S)
    end(receiver, load)


def send_the_receiver_away(*, shop: Shop, receiver: Receiver, load: Load) -> None:
    receiver.refuse()
    until(lambda: shop.statuses()["firing due"], within_s=WITHIN_S)
    time.sleep(A_WHILE_S)
    receiver.accept()
    shops.wait_told(receiver, "firing", within_s=WITHIN_S)
    time.sleep(A_WHILE_S)


def kill_while_sending(*, shop: Shop, receiver: Receiver, load: Load) -> None:
    """End the process when the receiver has the message, and the sender does not know."""
    receiver.hang()
    shops.wait_told(receiver, "firing", within_s=WITHIN_S)
    shop.kill()
    receiver.release()
    shop.start()
    shops.wait_told(receiver, "firing", count=2, within_s=CLAIM_S + WITHIN_S)


def database_stopped(folder: Path, url: str) -> Told:
    """Tell the story of a database that is away, which needs a server of its own."""
    with servers.postgres() as database:
        act = partial(stop_the_database, database=database)
        return story(act, BRIEF, Deployment(workers=2), folder, database.shop_url)


EVERYWHERE = [f"{one} on {place}" for place in DATABASES for one in DEPLOYMENTS]
ONE, FOUR, TWICE_FOUR = DEPLOYMENTS.values()
FORKED = Deployment(workers=4, preloaded=True)
STORIES: dict[str, tuple[str, Callable[[Path, str], Told]]] = {
    "sent between": ("sqlite", partial(story, kill_while_sending, LONG, ONE)),
    "database away": ("sqlite", database_stopped),
    "receiver away": ("sqlite", partial(story, send_the_receiver_away, LONG, FORKED)),
    "pending": ("sqlite", partial(story, kill_while_pending, HELD, ONE)),
    **{
        f"{what} on {database}": (database, partial(story, act, BRIEF, deployment))
        for database in DATABASES
        for what, act, deployment in (
            ("two hosts of four workers", pause_the_leader, TWICE_FOUR),
            ("one worker", kill_while_firing, ONE),
            ("four workers", kill_while_firing, FOUR),
        )
    },
}


class Telling:
    """Tells stories, some at once, each on a database of its own."""

    def __init__(self, names: Sequence[str], folder: Path, server: str) -> None:
        self._server = server
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._of: dict[str, Future[Told]] = {}
        for number, name in enumerate(one for one in STORIES if one in names):
            place, tell = STORIES[name]
            own = folder / str(number)
            self._of[name] = self._pool.submit(self._tell, tell, own, place)

    def _tell(self, tell: Callable[[Path, str], Told], folder: Path, place: str) -> Told:
        folder.mkdir()
        url = self._database() if place == "postgresql" else f"sqlite:///{folder}/w.db"
        return tell(folder, url)

    def _database(self) -> str:
        import psycopg

        name = f"once_{uuid4().hex}"
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self._server.rpartition('/')[0]}/{name}"

    def of(self, name: str) -> Told:
        """Return what was told in a story."""
        return self._of[name].result()

    def close(self) -> None:
        """Wait for what is still being told."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def telling(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: str,
) -> Iterator[Telling]:
    """Tell each story that a test asks for, once."""
    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
        and "name" in item.callspec.params
    ]
    stories = Telling(asked, tmp_path_factory.mktemp("once"), postgres_server)
    yield stories
    stories.close()


@pytest.mark.parametrize("name", EVERYWHERE)
def test_however_many_workers_there_are_one_copy_is_sent(telling: Telling, name: str):
    """One message that it fires, and one that it is over."""
    told = telling.of(name)

    assert ["firing"] == told.at_first, told.log
    assert ["firing", "resolved"] == told.kinds, told.log


@pytest.mark.parametrize("name", [one for one in EVERYWHERE if "hosts" in one])
def test_a_paused_leader_sends_no_second_copy(telling: Telling, name: str):
    """The worker that holds the lease sleeps half a minute in the midst of it, and wakes up."""
    told = telling.of(name)

    assert ["firing", "resolved"] == told.kinds, told.log


@pytest.mark.parametrize("name", [one for one in EVERYWHERE if "hosts" not in one])
def test_killed_while_firing_it_is_not_told_again(telling: Telling, name: str):
    """After `kill -9` and a restart the incident goes on, and ends with one message."""
    told = telling.of(name)

    assert ["firing", "resolved"] == told.kinds, told.log


@pytest.mark.parametrize("name", ["pending"])
def test_a_restart_while_it_is_pending_does_not_begin_anew(telling: Telling, name: str):
    """What was seen of the hold before the restart counts."""
    told = telling.of(name)

    assert ["firing"] == told.kinds, told.log


@pytest.mark.parametrize("name", ["database away"])
def test_a_database_that_is_away_makes_no_second_copy(telling: Telling, name: str):
    """The alert fires on when the database is back, and nobody is told again."""
    told = telling.of(name)

    assert ["firing", "resolved"] == told.kinds, told.log


@pytest.mark.parametrize("name", ["receiver away"])
def test_a_receiver_that_is_away_gets_one_copy_when_it_is_back(telling: Telling, name: str):
    """Whichever of four workers tries it."""
    told = telling.of(name)

    assert ["firing"] == told.kinds, told.log


@pytest.mark.parametrize("name", ["sent between"])
def test_killed_between_sending_and_recording_the_same_id_is_sent(telling: Telling, name: str):
    """The one way to a second copy: receivers can tell by its id."""
    told = telling.of(name)

    assert ["firing", "firing"] == told.kinds, told.log
    assert 1 == len(shops.ids(told.messages))
