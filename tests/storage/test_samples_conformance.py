"""Samples and statements: one suite for memory, SQLite and PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from stored import HERE, OTHER, SHOP, THERE, batch, counter, frame, sample, statement

from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_FINGERPRINT, MAX_NAME, MAX_STATEMENT
from watchkeeper.storage.store import Worker, Written


@pytest.fixture
def worker(store: Store) -> Worker:
    """Register a worker of the shop."""
    return store.register(SHOP, host="web-1", pid=4242, at=0.0)


class Writing:
    """Flushes one after the other, each a slot later."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self.store = store
        self.worker = worker
        self.start = 0

    def __call__(self, *, scope=SHOP, **more) -> Written:
        self.start += 10
        one = frame(self.start, self.worker.id, values={counter(): 1.0})
        return self.store.write(batch(one, scope, **more).owned_by(self.worker.id))


@pytest.fixture
def write(store: Store, worker: Worker) -> Writing:
    """Write flushes of the shop's worker."""
    return Writing(store, worker)


def ids(store: Store, **chosen) -> list[str]:
    """List the last two digits of the ids of the shop's samples."""
    chosen = {"since": 0, "until": 1_000, "limit": 100, **HERE, **chosen}
    return [one.id[-2:] for one in store.samples(**chosen)]


class TestSamples:
    """Stored requests."""

    def test_what_was_written_is_read(self, store: Store, write: Writing, worker: Worker):
        """A sample comes back as it was, under its worker, with what happened inside."""
        failed = sample(1, at=5.5, fingerprint="1:00aa", path="00bb")
        write(samples=[failed])

        expected = replace(failed, worker=worker.id)
        assert expected == store.sample(f"{1:032x}", **HERE)
        assert [expected] == store.samples(**HERE, since=0, until=10, limit=9)
        assert store.sample(f"{2:032x}", **HERE) is None

    def test_the_newest_come_first(self, store: Store, write: Writing):
        """A list begins with what ended last; the end of the time asked for is not in it."""
        write(samples=[sample(1, at=5.0), sample(2, at=7.0), sample(3, at=6.0)])

        assert ["02", "03", "01"] == ids(store)
        assert ["02", "03"] == ids(store, limit=2)
        assert ["03", "01"] == ids(store, until=7.0)
        assert ["02", "03"] == ids(store, since=6.0)

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            ({"route": "/cart"}, ["03", "02"]),
            ({"reason": "failed"}, ["02"]),
            ({"fingerprints": ["1:aa", "1:bb"]}, ["02"]),
            ({"fingerprints": []}, []),
            ({"request_id": "req-3"}, ["03"]),
            ({"route": "/cart", "reason": "slow"}, ["03"]),
            ({"route": "/"}, []),
        ],
    )
    def test_they_can_be_chosen(self, store: Store, write: Writing, chosen, expected):
        """By route, by reason, by the issue that they failed with, by request id."""
        write(
            samples=[
                sample(1, at=1.0),
                sample(2, at=2.0, route="/cart", reason="failed", fingerprint="1:aa"),
                sample(3, at=3.0, route="/cart"),
            ]
        )

        assert expected == ids(store, **chosen)

    def test_those_of_another_service_do_not_show(self, store: Store, write: Writing):
        """Each service sees its own requests, even by id."""
        write(scope=OTHER, samples=[sample(1)])

        assert [] == ids(store)
        assert ["01"] == ids(store, **THERE)
        assert store.sample(f"{1:032x}", **HERE) is None
        assert store.sample(f"{1:032x}", **THERE) is not None

    def test_a_repeated_flush_adds_nothing(self, store: Store, worker: Worker):
        """After an uncertain commit the same flush is written again, and nothing is twice."""
        one = batch(frame(20, worker.id), samples=[sample(1)], statements=[statement()])

        assert [Written.STORED, Written.DUPLICATE] == [store.write(one), store.write(one)]
        assert ["01"] == ids(store)

    def test_texts_are_cut(self, store: Store, write: Writing):
        """Whatever a client or a route sends, a row has a largest size."""
        long = "x" * 5_000
        write(
            samples=[
                sample(
                    1,
                    method=long,
                    route=long,
                    request_id=long,
                    fingerprint=long,
                    release=long,
                    path=long,
                )
            ]
        )

        (kept,) = store.samples(**HERE, since=0, until=10, limit=1)
        assert (*[MAX_NAME] * 3, MAX_FINGERPRINT, MAX_NAME, MAX_FINGERPRINT) == (
            len(kept.method),
            len(kept.route),
            len(kept.request_id),
            len(kept.fingerprint),
            len(kept.release),
            len(kept.path),
        )

    def test_old_ones_are_pruned(self, store: Store, write: Writing):
        """What ended before is deleted, in pieces of the size asked for."""
        write(samples=[sample(number, at=float(number)) for number in range(1, 10)])

        assert [3, 1, 0] == [store.prune_samples(before=5.0, most=100, limit=3) for _ in range(3)]
        assert ["09", "08", "07", "06", "05"] == ids(store)

    def test_no_more_than_the_most_are_kept(self, store: Store, write: Writing):
        """However young: the oldest beyond the number go, several of one moment among them."""
        write(samples=[sample(number, at=float(number // 3)) for number in range(1, 10)])

        assert [4, 2, 0] == [store.prune_samples(before=0.0, most=3, limit=4) for _ in range(3)]
        assert ["09", "08", "07"] == ids(store)


class TestStatements:
    """The texts of statements."""

    def test_what_was_written_is_read(self, store: Store, write: Writing):
        """A statement comes back as it was."""
        write(statements=[statement("b2"), statement("a1", at=7.0, operation="INSERT")])

        assert [statement("a1", at=7.0, operation="INSERT"), statement("b2")] == store.statements(
            **HERE
        )
        assert ["b2"] == [
            one.fingerprint for one in store.statements(**HERE, fingerprints=["b2", "c3"])
        ]
        assert [] == store.statements(**HERE, fingerprints=[])

    def test_those_of_another_service_do_not_show(self, store: Store, write: Writing):
        """The same statement of two services is kept for each, with its own callers."""
        write(statements=[statement("a1")])
        write(scope=OTHER, statements=[statement("a1", callers=("other:run:1",))])

        (here,), (there,) = store.statements(**HERE), store.statements(**THERE)
        assert ("shop.orders:place:12",) == here.callers
        assert ("other:run:1",) == there.callers

    def test_callers_add_up_newest_first(self, store: Store, write: Writing):
        """Of the places that execute a statement the five latest are kept."""
        for number in range(1, 8):
            write(statements=[statement(at=float(number), callers=(f"shop:f:{number}",))])
        write(statements=[statement(at=8.0, callers=("shop:f:4",))])

        (kept,) = store.statements(**HERE)
        assert ("shop:f:4", "shop:f:7", "shop:f:6", "shop:f:5", "shop:f:3") == kept.callers
        assert 8.0 == kept.at

    def test_a_flush_that_waited_does_not_turn_back_time(self, store: Store, write: Writing):
        """The latest moment stays, and a late flush's callers come after the newer ones."""
        write(statements=[statement(at=9.0, callers=("shop:new:1",))])
        write(statements=[statement(at=2.0, callers=("shop:old:1",), text="SELECT other")])

        (kept,) = store.statements(**HERE)
        assert (9.0, ("shop:new:1", "shop:old:1")) == (kept.at, kept.callers)
        assert "SELECT * FROM orders WHERE id = ?" == kept.text

    def test_one_flush_may_name_a_statement_twice(self, store: Store, write: Writing):
        """Two reports of one flush are one row."""
        write(
            statements=[
                statement(at=1.0, callers=("shop:f:1",)),
                statement(at=2.0, callers=("shop:f:2",)),
            ]
        )

        (kept,) = store.statements(**HERE)
        assert ("shop:f:2", "shop:f:1") == kept.callers

    def test_texts_are_cut(self, store: Store, write: Writing):
        """A statement of a megabyte, or a caller with an endless name, has a largest size."""
        write(statements=[statement(text="x" * 9_000, callers=("c" * 900,), db="d" * 900)])

        (kept,) = store.statements(**HERE)
        assert (MAX_STATEMENT, MAX_NAME, MAX_NAME) == (
            len(kept.text),
            len(kept.callers[0]),
            len(kept.db),
        )

    def test_workers_at_once_lose_no_caller(self, store: Store):
        """Four workers that meet a new statement in the same moment are all among its callers."""
        workers = [store.register(SHOP, host="web", pid=pid, at=0.0) for pid in range(4)]
        start = threading.Barrier(4)

        def run(worker: Worker) -> None:
            start.wait()
            for slot in range(3):
                found = [
                    statement(name, at=float(slot), callers=(f"shop:f:{worker.number}",))
                    for name in ("a1", "b2", "c3")
                ]
                store.write(batch(frame(slot * 10, worker.id), statements=found[::-1]))

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(run, workers))

        expected = {f"shop:f:{number}" for number in (1, 2, 3, 4)}
        assert {"a1": expected, "b2": expected, "c3": expected} == {
            one.fingerprint: set(one.callers) for one in store.statements(**HERE)
        }

    def test_those_no_more_seen_are_pruned(self, store: Store, write: Writing):
        """A statement goes with the samples of its time."""
        write(statements=[statement("a1", at=2.0), statement("b2", at=8.0)])

        assert 1 == store.prune_samples(before=5.0, most=100, limit=9)
        assert ["b2"] == [one.fingerprint for one in store.statements(**HERE)]
