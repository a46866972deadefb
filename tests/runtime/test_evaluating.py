"""Who evaluates after a flush, and how much: all rules as a slot ends, urgent ones in trouble."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper.app import Watchkeeper
from watchkeeper.core.catalogue import HTTP_DURATION, PROCESS_THREADS
from watchkeeper.core.pace import Reason
from watchkeeper.core.rules import Alert
from watchkeeper.runtime.evaluating import lease_name
from watchkeeper.settings import Settings, load
from watchkeeper.storage import Store
from watchkeeper.storage.store import Outgoing
from watchkeeper.testing import ManualClock

ERRORS = Alert("Errors", when="error_rate > 5%", over="1m", sure=False)
THREADS = Alert("Threads", when="last(process_threads) > 5", over="1m")


class Shop:
    """A Watchkeeper whose test says when it flushes, and why."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        settings = Settings(
            enabled=True,
            database_url=f"sqlite:///{folder / 'watchkeeper.db'}",
            service="shop",
            environment="test",
            flush_jitter="0s",
            alert_pack=False,
            alerts=[ERRORS, THREADS],
            channels={"ops": {"type": "log"}},
        )
        self.watchkeeper = Watchkeeper(load(settings), clock=self.clock)

    @property
    def store(self) -> Store:
        """The store, once it is open."""
        store = self.watchkeeper.store
        assert store is not None
        return store

    def flush(self, reason: Reason | None) -> None:
        """Serve a hundred requests, half of them in vain, with many threads, and flush."""
        self.clock.move(1)
        series = self.watchkeeper.recorder.series
        for number in range(100):
            status = "500" if number % 2 else "200"
            labels = {"method": "GET", "route": "/cart", "status": status}
            series(HTTP_DURATION, labels).record(0.01)
        series(PROCESS_THREADS, {"host": "web-1", "worker": "9"}).record(50.0)
        self.watchkeeper._flusher._flush(self.clock(), reason)

    def firing(self) -> set[str]:
        """Return the rules that fire."""
        rows = self.store.alerts(service="shop", environment="test")
        return {row.rule for row in rows if row.state == "firing"}

    def delivers(self) -> bool:
        """Tell whether all that was put into the outbox is delivered, or about to be."""
        outbox = self.watchkeeper._flusher._opening.outbox
        assert outbox is not None
        assert outbox.wait(timeout_s=10)
        return not waiting(self)

    def leads(self, owner: str) -> bool:
        """Tell whether an owner gets the lease."""
        scope = self.watchkeeper.scope
        return self.store.acquire(lease_name(scope), owner=owner, ttl_s=30) is not None


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.store.close()


def test_as_trouble_goes_on_only_urgent_rules_are_evaluated(shop: Shop) -> None:
    """What is looked at once a slot waits for its end."""
    shop.flush(Reason.TROUBLE)
    assert {"Errors"} == shop.firing()

    shop.flush(Reason.SLOT_ENDS)
    assert {"Errors", "Threads"} == shop.firing()


@pytest.mark.parametrize("reason", [Reason.TROUBLE_BEGAN, Reason.NEWS, Reason.SLOT_ENDS, None])
def test_otherwise_every_rule_is_evaluated(shop: Shop, reason: Reason | None) -> None:
    """Also as trouble begins, with news, and when somebody asks for a flush."""
    shop.flush(reason)

    assert {"Errors", "Threads"} == shop.firing()


def test_trouble_does_not_ask_for_the_lease(shop: Shop) -> None:
    """Who does not lead evaluates all the same; the lease is for the end of slots."""
    shop.flush(Reason.TROUBLE)
    assert shop.leads("another")

    shop.flush(Reason.TROUBLE)
    assert shop.watchkeeper._flusher.evaluated_at == shop.clock()
    assert shop.leads("another")


def test_who_leads_keeps_the_lease_through_trouble(shop: Shop) -> None:
    """It lasts three slots, and is renewed as each ends."""
    shop.flush(Reason.SLOT_ENDS)
    shop.flush(Reason.TROUBLE)
    assert not shop.leads("another")


def test_who_does_not_lead_does_not_evaluate_as_a_slot_ends(shop: Shop) -> None:
    """Another worker does."""
    shop.flush(Reason.TROUBLE)
    assert shop.leads("another")
    before = shop.watchkeeper._flusher.evaluated_at
    shop.flush(Reason.SLOT_ENDS)

    assert before == shop.watchkeeper._flusher.evaluated_at


def put(shop: Shop) -> None:
    """Put a message into the outbox, as somebody did who is gone."""
    message = Outgoing(kind="firing", sequence=0, channel="ops", payload={}, due_at=1.0)
    assert shop.store.enqueue([message], service="shop", environment="test", at=1.0)


def waiting(shop: Shop) -> int:
    return shop.store.outbox_waiting(service="shop", environment="test")


def test_a_new_worker_delivers_nothing_that_may_be_over(shop: Shop) -> None:
    """It began with others, and one of them is just judging; with the next flush it does."""
    shop.watchkeeper._flusher._opened()
    put(shop)
    assert shop.leads("another")

    shop.flush(Reason.SLOT_ENDS)
    assert 1 == waiting(shop)

    shop.flush(Reason.SLOT_ENDS)
    assert shop.delivers()


def test_a_new_worker_that_evaluates_delivers_at_once(shop: Shop) -> None:
    """What is over by now is told as such."""
    shop.watchkeeper._flusher._opened()
    put(shop)

    shop.flush(Reason.SLOT_ENDS)
    assert shop.delivers()


def test_what_another_has_just_evaluated_is_left_to_it(shop: Shop) -> None:
    """Trouble seen by several workers at once is judged once."""
    shop.flush(Reason.TROUBLE)
    before = shop.watchkeeper._flusher.evaluated_at
    shop.store.mark_evaluated(service="shop", environment="test", at=shop.clock() + 5)
    assert shop.leads("another")
    shop.flush(Reason.NEWS)

    assert before == shop.watchkeeper._flusher.evaluated_at
