"""Alerts come once: real processes on real databases, killed, paused and cut off."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import until
from receivers import Receiver

import shops
from shops import Deployment, Load, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# Short slots: what is shown is that it comes once, not how soon.
QUICK = {"slot": "1s", "flush_jitter": "0s"}
BRIEF = {**shops.PLAIN, "over": "3s", "keep": "2s"}
LONG = {**shops.PLAIN, "over": "1m"}
A_WHILE_S = 6.0  # in which a second copy would arrive: several evaluations of each worker
PAUSED_S = 30.0
DEPLOYMENTS = [Deployment(), Deployment(workers=4), Deployment(hosts=2, workers=4)]


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Name an empty database of both kinds in turn."""
    return str(request.getfixturevalue(request.param))


@contextmanager
def failing(shop: Shop) -> Iterator[Load]:
    """Serve a second well, then let half of what is asked for fail."""
    with Load(shop.urls, per_s=40.0) as load:
        time.sleep(1.0)
        load.failing = 0.5
        yield load


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=str)
def test_however_many_workers_there_are_one_copy_is_sent(
    tmp_path: Path, database_url: str, deployment: Deployment
):
    """One message that it fires, and one that it is over."""
    with Receiver() as receiver:
        channels = shops.webhook(receiver)
        shop = Shop(tmp_path, database_url, deployment, alerts=[BRIEF], channels=channels, **QUICK)
        with shop, failing(shop) as load:
            assert shops.wait_told(receiver, "firing"), shop.log
            time.sleep(A_WHILE_S)
            load.failing = 0.0
            assert shops.wait_told(receiver, "resolved"), shop.log
            time.sleep(A_WHILE_S)

        assert ["firing", "resolved"] == [
            one.json()["watchkeeper"]["kind"] for one in receiver.received
        ]


def test_a_paused_leader_sends_no_second_copy(tmp_path: Path, database_url: str):
    """The worker that holds the lease sleeps half a minute in the midst of it, and wakes up."""
    with Receiver() as receiver:
        channels = shops.webhook(receiver)
        deployment = Deployment(workers=4)
        shop = Shop(tmp_path, database_url, deployment, alerts=[BRIEF], channels=channels, **QUICK)
        with shop, failing(shop) as load:
            assert shops.wait_told(receiver, "firing"), shop.log
            leader = shop.leader()
            assert leader is not None
            os.kill(leader, signal.SIGSTOP)
            try:
                time.sleep(PAUSED_S)
            finally:
                os.kill(leader, signal.SIGCONT)
            load.failing = 0.0
            assert shops.wait_told(receiver, "resolved"), shop.log
            time.sleep(A_WHILE_S)

        assert 1 == len(shops.told(receiver, "firing"))
        assert 1 == len(shops.told(receiver, "resolved"))


@pytest.mark.parametrize("workers", [1, 4])
def test_killed_while_firing_it_is_not_told_again(tmp_path: Path, database_url: str, workers: int):
    """After `kill -9` and a restart the incident goes on, and ends with one message."""
    with Receiver() as receiver:
        channels = shops.webhook(receiver)
        deployment = Deployment(workers=workers)
        shop = Shop(tmp_path, database_url, deployment, alerts=[BRIEF], channels=channels, **QUICK)
        with shop, failing(shop) as load:
            assert shops.wait_told(receiver, "firing"), shop.log
            assert until(lambda: shop.statuses()["firing sent"])
            shop.kill()
            shop.start()
            time.sleep(A_WHILE_S)
            load.failing = 0.0
            assert shops.wait_told(receiver, "resolved"), shop.log

        assert 1 == len(shops.told(receiver, "firing"))
        assert 1 == len(shops.told(receiver, "resolved"))


def test_a_restart_while_it_is_pending_does_not_begin_anew(tmp_path: Path, sqlite_url: str):
    """What was seen of the hold before the restart counts."""
    held = {**LONG, "hold": "20s"}
    with Receiver() as receiver:
        channels = shops.webhook(receiver)
        shop = Shop(tmp_path, sqlite_url, Deployment(), alerts=[held], channels=channels, **QUICK)
        with shop, failing(shop):
            time.sleep(17.0)
            shop.kill()
            shop.start()

            assert shops.wait_told(receiver, "firing", within_s=15.0), shop.log


def test_a_database_that_is_away_makes_no_second_copy(tmp_path: Path, own_postgres):
    """The alert fires on when the database is back, and nobody is told again."""
    with Receiver() as receiver:
        shop = Shop(
            tmp_path,
            own_postgres.shop_url,
            Deployment(workers=2),
            alerts=[BRIEF],
            channels=shops.webhook(receiver),
            **QUICK,
        )
        with shop, failing(shop) as load:
            assert shops.wait_told(receiver, "firing"), shop.log
            own_postgres.stop()
            time.sleep(A_WHILE_S)
            own_postgres.start()
            assert until(lambda: "database is back after" in shop.log, within_s=40), shop.log
            time.sleep(A_WHILE_S)
            load.failing = 0.0
            assert shops.wait_told(receiver, "resolved", within_s=40), shop.log

        assert 1 == len(shops.ids(shops.told(receiver, "firing")))
        assert 1 == len(shops.ids(shops.told(receiver, "resolved")))


def test_a_receiver_that_is_away_gets_one_copy_when_it_is_back(tmp_path: Path, sqlite_url: str):
    """Whichever of the workers tries it."""
    with Receiver() as receiver:
        receiver.refuse()
        channels = shops.webhook(receiver)
        deployment = Deployment(workers=4)
        shop = Shop(tmp_path, sqlite_url, deployment, alerts=[LONG], channels=channels, **QUICK)
        with shop, failing(shop):
            assert until(lambda: shop.statuses()["firing due"]), shop.log
            time.sleep(A_WHILE_S)
            receiver.accept()
            assert shops.wait_told(receiver, "firing"), shop.log
            time.sleep(A_WHILE_S)

        assert 1 == len(receiver.received)


def test_killed_between_sending_and_recording_the_same_id_is_sent(tmp_path: Path, sqlite_url: str):
    """The one way to a second copy: receivers can tell by its id."""
    with Receiver() as receiver:
        receiver.hang()  # it has the message, and the sender does not know
        channels = shops.webhook(receiver)
        shop = Shop(tmp_path, sqlite_url, Deployment(), alerts=[LONG], channels=channels, **QUICK)
        with shop, failing(shop):
            assert shops.wait_told(receiver, "firing"), shop.log
            shop.kill()
            receiver.release()
            shop.start()
            again = shops.wait_told(receiver, "firing", count=2, within_s=90.0)

        assert 2 == len(again), shop.log
        assert 1 == len(shops.ids(again))
