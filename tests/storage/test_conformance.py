"""What every store does: one suite for memory, SQLite, PostgreSQL and MariaDB."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import pytest
from stored import (
    HERE,
    OTHER,
    SHOP,
    THERE,
    VALUES,
    batch,
    counted,
    counter,
    event,
    fired,
    frame,
    incident,
    latency,
    memory,
    notice,
    result,
    state,
)

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import FrameKey
from watchkeeper.storage import Store
from watchkeeper.storage.records import MAX_PAST_WORKERS
from watchkeeper.storage.store import (
    ALL_WORKERS,
    OWN_WORKER,
    AlertChange,
    CheckChange,
    Event,
    Issue,
    OutboxRow,
    Swap,
    Worker,
    Written,
)

Result = TypeVar("Result")


@pytest.fixture
def worker(store: Store) -> Worker:
    """Register a worker of the shop."""
    return store.register(SHOP, host="web-1", pid=4242, at=0.0)


def together(calls: list[Callable[[], Result]]) -> list[Result]:
    """Run calls at the same moment, each in a thread of its own."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def only_issue(store: Store) -> Issue:
    """Return the one issue that there is."""
    (issue,) = store.issues(**HERE, seen_since=0, limit=10)
    return issue


class TestWorkers:
    """Processes that record."""

    def test_ids_are_new_and_numbers_are_the_smallest_free(self, store: Store):
        """A worker that stopped gives its number back, never its id."""
        first = store.register(SHOP, host="web-1", pid=1, at=100.0)
        second = store.register(SHOP, host="web-1", pid=2, at=100.0)
        store.stop_worker(first.id, at=101.0)

        third = store.register(SHOP, host="web-1", pid=1, at=102.0)

        assert [1, 2, 1] == [first.number, second.number, third.number]
        assert 3 == len({first.id, second.id, third.id})

    def test_each_service_numbers_its_own_workers(self, store: Store):
        """Another service's workers do not use up the numbers."""
        store.register(SHOP, host="web-1", pid=1, at=100.0)

        assert 1 == store.register(OTHER, host="web-1", pid=2, at=100.0).number

    def test_a_silent_worker_gives_its_number_back(self, store: Store):
        """The number of a worker that was killed is free again after 90 seconds."""
        store.register(SHOP, host="web-1", pid=1, at=100.0)

        assert 2 == store.register(SHOP, host="web-1", pid=2, at=189.0).number
        assert 1 == store.register(SHOP, host="web-1", pid=3, at=191.0).number

    def test_workers_that_start_together_get_different_numbers(self, store: Store):
        """Eight workers that register at the same moment are numbered 1 to 8."""
        calls = [
            lambda pid=pid: store.register(SHOP, host="web-1", pid=pid, at=100.0)
            for pid in range(8)
        ]

        workers = together(calls)

        assert list(range(1, 9)) == sorted(one.number for one in workers)
        assert 8 == len({one.id for one in workers})

    def test_a_flush_is_a_heartbeat(self, store: Store, worker: Worker):
        """A worker is listed as long as it writes; a flush that waited does not turn back time."""
        store.write(batch(frame(40, worker.id), at=50.5))
        store.write(batch(frame(30, worker.id), at=40.5))

        (seen,) = store.workers(**HERE, seen_since=50)

        assert replace(worker, seen_at=50.5) == seen
        assert [] == store.workers(**HERE, seen_since=51)
        assert [] == store.workers(**THERE, seen_since=0)

    def test_scopes_are_those_of_workers(self, store: Store):
        """Who asks about a service that never wrote can be told which ones did."""
        for scope in (SHOP, OTHER, SHOP):
            store.register(scope, host="web-1", pid=1, at=100.0)

        wanted = {(scope.service, scope.environment) for scope in (SHOP, OTHER)}
        assert sorted(wanted) == store.scopes()

    def test_a_clean_stop_is_recorded(self, store: Store, worker: Worker):
        """A worker that stopped is told apart from one that is missing."""
        store.stop_worker(worker.id, at=60.0)

        assert [60.0] == [one.stopped_at for one in store.workers(**HERE, seen_since=0)]

    def test_a_thousand_restarts_leave_few_rows(self, store: Store):
        """A worker that restarts a thousand times within an hour stays number 1."""
        for number in range(1_000):
            at = number * 3.6
            one = store.register(SHOP, host="web-1", pid=number, at=at)
            assert 1 == one.number
            store.stop_worker(one.id, at=at + 3.0)
            if number % 160 == 0:  # each ten minutes
                store.prune_workers(before=-1.0, limit=1_000)
        last = store.register(SHOP, host="web-1", pid=1, at=3_600.0)

        assert MAX_PAST_WORKERS + 40 == len(store.workers(**HERE, seen_since=0))
        assert 40 == store.prune_workers(before=-1.0, limit=1_000)

        kept = store.workers(**HERE, seen_since=0)
        assert (1, 1_001) == (last.number, last.id)
        assert list(range(1_001, 501, -1)) == [one.id for one in kept]

    def test_workers_that_crash_again_and_again_leave_few_rows(self, store: Store):
        """Killed ones are past once they are silent for an hour while others write."""
        for at in range(5):
            store.register(SHOP, host="web-1", pid=1, at=at * 100.0)
        living = store.register(SHOP, host="web-1", pid=1, at=450.0)

        assert 0 == store.prune_workers(before=-1.0, limit=9, most=2)
        store.write(batch(frame(3_800, living.id), at=3_810.5))

        # Silent for an hour at 3,810.5: those of 0, 100 and 200.
        assert 3 == store.prune_workers(before=-1.0, limit=9, most=2)
        assert [3_810.5, 400.0, 300.0] == [
            one.seen_at for one in store.workers(**HERE, seen_since=0)
        ]

    def test_running_workers_are_never_pruned_for_their_number(self, store: Store):
        """However many run, each keeps its row; another service's restarts do not count."""
        running = [store.register(SHOP, host="web-1", pid=1, at=100.0) for _ in range(5)]
        for _ in range(3):
            store.stop_worker(store.register(OTHER, host="web-1", pid=1, at=90.0).id, at=91.0)

        assert 1 == store.prune_workers(before=-1.0, limit=9, most=2)

        assert 5 == len(store.workers(**HERE, seen_since=0)) == len(running)
        assert 2 == len(store.workers(**THERE, seen_since=0))

    def test_frames_of_a_forgotten_worker_are_read(self, store: Store, worker: Worker):
        """What a worker wrote outlives its row."""
        store.write(batch(frame(10, worker.id)))
        store.stop_worker(worker.id, at=21.0)
        store.register(SHOP, host="web-1", pid=2, at=22.0)

        assert 1 == store.prune_workers(before=-1.0, limit=9, most=1)

        (read,) = store.frames(10, since=0, until=60, **HERE)
        assert VALUES == read.values
        assert [] == store.frames(10, since=0, until=60, **THERE)

    def test_workers_long_gone_are_pruned(self, store: Store, worker: Worker):
        """Workers that nobody has seen for long are deleted."""
        late = store.register(SHOP, host="web-1", pid=1, at=500.0)

        assert 1 == store.prune_workers(before=400.0, limit=10)
        assert [late.id] == [one.id for one in store.workers(**HERE, seen_since=0)]
        assert worker.id < store.register(SHOP, host="web-1", pid=1, at=900.0).id


class TestFrames:
    """Slots of aggregates."""

    def test_what_was_written_is_read(self, store: Store, worker: Worker):
        """Counters, gauges and histograms come back as they were."""
        written = frame(20, worker.id)

        assert Written.STORED == store.write(batch(written))
        assert [written] == store.frames(10, since=0, until=30, **HERE)

    def test_a_repeated_flush_changes_nothing(self, store: Store, worker: Worker):
        """After an uncertain commit the same flush is written again, and nothing counts twice."""
        flush = batch(
            frame(20, worker.id),
            issues=[counted(count=4)],
            events=[event(1)],
            check_changes=[CheckChange(name="db", worker=0, before="pass", after="fail", at=5.0)],
        )

        assert Written.STORED == store.write(flush)
        assert Written.DUPLICATE == store.write(flush)

        issue = only_issue(store)
        assert 4 == issue.count
        assert {issue.id: {20: 4}} == store.issue_counts(
            [issue.id], since=0, until=100, resolution=10
        )
        assert 1 == len(store.events(issue.id, limit=10))
        assert 1 == len(store.check_changes(**HERE, since=0, limit=10))
        assert 1 == len(store.frames(10, since=0, until=100, **HERE))

    def test_the_same_flush_from_two_threads_counts_once(self, store: Store, worker: Worker):
        """A flush that is repeated while the first try still hangs is stored once."""
        flush = batch(frame(20, worker.id), issues=[counted(count=4)])

        outcomes = together([lambda: store.write(flush)] * 4)

        assert [Written.DUPLICATE] * 3 + [Written.STORED] == sorted(outcomes)
        assert 4 == only_issue(store).count

    def test_an_early_flush_is_a_second_row_of_its_slot(self, store: Store, worker: Worker):
        """Several flushes of one slot stand beside each other."""
        frames = [frame(20, worker.id, sequence=number) for number in range(3)]
        for one in frames:
            store.write(batch(one))

        assert frames == store.frames(10, since=20, until=30, **HERE)

    def test_frames_come_in_order_and_within_the_span(self, store: Store, worker: Worker):
        """The span takes in its beginning and leaves out its end; the oldest comes first."""
        for start in (40, 10, 30, 20):
            store.write(batch(frame(start, worker.id)))
        store.add_frames([frame(0, 0, resolution=60)])

        found = store.frames(10, since=20, until=40, **HERE)

        assert [20, 30] == [one.key.start for one in found]

    def test_frames_of_another_service_are_left_out(self, store: Store, worker: Worker):
        """A scope sees its own workers' frames, and its own series of rolled-up frames."""
        stranger = store.register(OTHER, host="web-9", pid=1, at=0.0)
        store.write(batch(frame(20, worker.id)))
        theirs = frame(20, stranger.id, values={counter(scope=OTHER): 1.0})
        store.write(batch(theirs, OTHER))
        mixed = {counter(): 2.0, counter(scope=OTHER): 7.0}
        store.add_frames([frame(60, ALL_WORKERS, resolution=60, values=mixed)])

        assert [theirs] == store.frames(10, since=0, until=60, **THERE)
        assert [{counter(): 2.0}] == [
            one.values for one in store.frames(60, since=0, until=120, **HERE)
        ]
        assert [] == store.frames(60, since=0, until=120, service="shop", environment="staging")

    def test_known_frames_are_skipped(self, store: Store, worker: Worker):
        """The evaluator reads only what it has not read before."""
        for start in (10, 20, 30):
            store.write(batch(frame(start, worker.id)))

        skip = {FrameKey(10, 10, worker.id, 0), FrameKey(10, 30, worker.id, 0)}
        found = store.frames(10, since=0, until=60, **HERE, skip=skip)

        assert [20] == [one.key.start for one in found]

    def test_some_metrics_can_be_read_alone(self, store: Store, worker: Worker):
        """A chart reads the series of its metrics and no others."""
        store.write(batch(frame(20, worker.id)))

        (found,) = store.frames(10, since=0, until=60, **HERE, metrics=["request_seconds"])

        assert {latency(route="/checkout"): VALUES[latency(route="/checkout")]} == found.values

    def test_many_series_survive(self, store: Store, worker: Worker):
        """A frame of 2,000 series, larger than a database page, comes back whole."""
        values = {counter(route=f"/r/{number}"): number + 0.123 for number in range(2_000)}
        written = frame(20, worker.id, values=values)
        store.write(batch(written))

        assert [written] == store.frames(10, since=0, until=60, **HERE)

    def test_odd_label_values_survive(self, store: Store, worker: Worker):
        """Quotes, line ends, NUL, lone surrogates and any script are label values like others."""
        values = {
            counter(route=text): 1.0
            for text in (
                "",
                "'; DROP TABLE wk_frame; --",
                "a\nb",
                "\x00",
                "\ud800",
                "日本語",
                "%s",
            )
        }
        written = frame(20, worker.id, values=values)
        store.write(batch(written))

        assert [written] == store.frames(10, since=0, until=60, **HERE)

    def test_the_end_of_the_newest_frame_is_known(self, store: Store):
        """A chart joins coarse frames and fine ones at the end of the newest coarse one."""
        assert 30.0 == store.rolled_until(60, since=30.0)

        store.add_frames([frame(start, 0, resolution=60) for start in (60, 120)])

        assert 180.0 == store.rolled_until(60, since=30.0)
        assert 500.0 == store.rolled_until(60, since=500.0)

    def test_a_made_history_may_be_added_twice(self, store: Store):
        """Ready-made frames whose key exists are left alone."""
        history = [frame(60 * minute, 0, resolution=60) for minute in range(300)]

        store.add_frames(history)
        store.add_frames(history)

        assert history == store.frames(60, since=0, until=60 * 300, **HERE)

    def test_frames_are_pruned_by_age_and_resolution(self, store: Store, worker: Worker):
        """Old frames of one resolution are deleted, in pieces, the oldest first."""
        store.add_frames([frame(start, worker.id) for start in range(0, 100, 10)])
        store.add_frames([frame(0, 0, resolution=60)])

        pruned = [store.prune_frames(10, before=70, limit=5) for _ in range(3)]

        assert 7 == sum(pruned)
        assert pruned[-1] == 0
        assert [70, 80, 90] == [
            one.key.start for one in store.frames(10, since=0, until=100, **HERE)
        ]
        assert 1 == len(store.frames(60, since=0, until=100, **HERE))


class TestRollUp:
    """Marks that keep a frame from being counted twice."""

    def test_frames_wait_until_they_are_rolled_up(self, store: Store, worker: Worker):
        """A frame is handed out until its mark is set with the frame that it went into."""
        sources = [frame(start, worker.id) for start in (0, 10, 60)]
        store.add_frames(sources)

        waiting = store.unrolled(10, before=60, limit=100)
        minute = frame(0, ALL_WORKERS, resolution=60, values={counter(): 6.0})
        done = store.write_rollup([minute], [one.key for one in waiting])

        assert sources[:2] == waiting
        assert done
        assert [] == store.unrolled(10, before=60, limit=100)
        assert sources[2:] == store.unrolled(10, before=70, limit=100)
        assert [minute] == store.frames(60, since=0, until=60, **HERE)
        assert sources == store.frames(10, since=0, until=100, **HERE)

    def test_a_second_roller_changes_nothing(self, store: Store, worker: Worker):
        """If any source is rolled up already, nothing is written and no other is marked."""
        store.add_frames([frame(0, worker.id), frame(10, worker.id)])
        minute = frame(0, ALL_WORKERS, resolution=60, values={counter(): 6.0})
        first, second = (FrameKey(10, start, worker.id, 0) for start in (0, 10))

        assert store.write_rollup([minute], [first])
        assert not store.write_rollup([minute], [first, second])

        assert [second] == [one.key for one in store.unrolled(10, before=60, limit=9)]
        assert 1 == len(store.frames(60, since=0, until=60, **HERE))

    def test_a_source_that_is_gone_stops_the_roll_up(self, store: Store, worker: Worker):
        """What was pruned meanwhile cannot be marked, so nothing is written."""
        assert not store.write_rollup(
            [frame(0, 0, resolution=60)], [FrameKey(10, 0, worker.id, 0)]
        )
        assert [] == store.frames(60, since=0, until=60, **HERE)

    def test_late_frames_make_another_row(self, store: Store, worker: Worker):
        """What arrives after its minute was rolled up becomes one more part of the minute."""
        minute = frame(0, ALL_WORKERS, resolution=60, values={counter(): 6.0})
        for start in (0, 10):
            store.add_frames([frame(start, worker.id)])
            assert store.write_rollup([minute], [FrameKey(10, start, worker.id, 0)])

        found = store.frames(60, since=0, until=60, **HERE)

        assert [0, 1] == [one.key.sequence for one in found]

    def test_rollers_at_once_count_everything_once(self, store: Store, worker: Worker):
        """Of eight rollers that want the same frames, one wins each; all differ in sequence."""
        keys = [FrameKey(10, start, worker.id, 0) for start in (0, 10)]
        store.add_frames([frame(key.start, worker.id) for key in keys])
        minute = frame(0, ALL_WORKERS, resolution=60, values={counter(): 3.0})
        calls = [lambda key=keys[n % 2]: store.write_rollup([minute], [key]) for n in range(8)]

        won = together(calls)

        assert 2 == sum(won)
        found = store.frames(60, since=0, until=60, **HERE)
        assert [0, 1] == [one.key.sequence for one in found]

    def test_a_minute_that_does_not_fit_waits(self, store: Store, worker: Worker):
        """A limit never cuts a minute in two, unless one minute alone is larger."""
        store.add_frames([frame(start, worker.id) for start in range(0, 180, 10)])

        def starts(limit: int) -> list[int]:
            return [one.key.start for one in store.unrolled(10, before=180, limit=limit)]

        assert list(range(0, 120, 10)) == starts(17)
        assert list(range(0, 180, 10)) == starts(18)
        assert [0, 10, 20] == starts(3)


class TestIssues:
    """Groups of the same error."""

    def test_an_issue_adds_up(self, store: Store, worker: Worker):
        """Count, first and last time, and the newest release follow what workers report."""
        store.write(batch(frame(20, worker.id), issues=[counted(count=2, at=21.0)]))
        newer = replace(SHOP, release="v2")
        store.write(batch(frame(30, worker.id), newer, issues=[counted(count=3, at=31.0)]))
        store.write(batch(frame(10, worker.id), issues=[counted(count=1, at=11.0)]))

        issue = only_issue(store)

        assert (6, 11.0, 31.0, "v2") == (
            issue.count,
            issue.first_at,
            issue.last_at,
            issue.last_release,
        )
        assert ("v1", "open", "ValueError") == (issue.scope.release, issue.state, issue.type)
        assert issue == store.issue(issue.id)
        assert store.issue(issue.id + 1) is None

    def test_fingerprints_lead_to_their_issues(self, store: Store, worker: Worker):
        """Each name of an error leads to its issue, within the service that had it."""
        store.write(batch(frame(20, worker.id), issues=[counted("2:new", aliases=("1:old",))]))

        issue = only_issue(store)

        wanted = ["2:new", "1:old", "1:never"]
        assert {"2:new": issue.id, "1:old": issue.id} == store.issue_ids(wanted, **HERE)
        assert {} == store.issue_ids(wanted, **THERE)
        assert ["1:old", "2:new"] == store.issue_fingerprints(issue.id)
        assert [] == store.issue_fingerprints(issue.id + 1)

    def test_counts_are_kept_by_slot(self, store: Store, worker: Worker):
        """A sparkline adds up the counts of all workers by span."""
        second = store.register(SHOP, host="web-2", pid=1, at=0.0)
        for start, owner in ((0, worker), (0, second), (50, worker), (60, worker)):
            store.write(batch(frame(start, owner.id), issues=[counted(count=2)]))

        issue = only_issue(store)
        spans = store.issue_counts([issue.id, 99], since=0, until=61, resolution=60)

        assert {issue.id: {0: 6, 60: 2}} == spans
        assert {} == store.issue_counts([], since=0, until=61, resolution=60)

    def test_workers_that_see_a_new_error_together_make_one_issue(self, store: Store):
        """Eight workers that meet a new error at the same moment count into one issue."""
        workers = [store.register(SHOP, host="web-1", pid=pid, at=0.0) for pid in range(8)]
        flushes = [
            batch(
                frame(20, one.id),
                issues=[counted("1:bb", count=1), counted("1:aa", count=2)],
            )
            for one in workers
        ]

        together([lambda flush=flush: store.write(flush) for flush in flushes])

        found = store.issues(**HERE, seen_since=0, limit=10)
        assert {"1:aa": 16, "1:bb": 8} == {one.fingerprint: one.count for one in found}

    def test_an_older_fingerprint_leads_to_the_same_issue(self, store: Store, worker: Worker):
        """When the algorithm changes, old issues go on, whichever version a worker runs."""
        store.write(batch(frame(0, worker.id), issues=[counted("1:old")]))
        newer = counted("2:new", aliases=("1:old",))
        store.write(batch(frame(10, worker.id), issues=[newer]))
        store.write(batch(frame(20, worker.id), issues=[counted("2:new")]))
        store.write(batch(frame(30, worker.id), issues=[counted("1:old")]))
        store.write(batch(frame(40, worker.id), events=[event(1, fingerprint="2:new")]))

        issue = only_issue(store)

        assert 4 == issue.count
        assert "1:old" == issue.fingerprint
        assert 1 == len(store.events(issue.id, limit=10))

    def test_an_alias_is_known_from_the_first_occurrence(self, store: Store, worker: Worker):
        """An older worker that meets the error second finds the newer one's issue."""
        newer = counted("2:new", aliases=("1:old",))
        store.write(batch(frame(10, worker.id), issues=[newer]))
        store.write(batch(frame(20, worker.id), issues=[counted("1:old")]))

        assert 2 == only_issue(store).count

    def test_errors_that_a_newer_algorithm_tells_apart_are_two(self, store: Store, worker: Worker):
        """The first of them keeps the old issue, the other one is new, and so it stays."""
        one = counted("2:one", aliases=("1:old",))
        other = counted("2:other", aliases=("1:old",))
        store.write(batch(frame(0, worker.id), issues=[counted("1:old", count=100)]))
        store.write(batch(frame(10, worker.id), issues=[one]))
        for start in (20, 30):
            store.write(batch(frame(start, worker.id), issues=[other, one]))

        found = store.issues(**HERE, seen_since=0, limit=10)

        assert {"1:old": 103, "2:other": 2} == {issue.fingerprint: issue.count for issue in found}

    def test_of_two_new_errors_in_one_flush_one_keeps_the_old_issue(
        self, store: Store, worker: Worker
    ):
        """Also where both are met at once, and where there was no old issue at all."""
        for old in ("1:old", "1:never"):
            split = [counted(f"2:{name}-{old}", aliases=(old,)) for name in "ab"]
            if old == "1:old":
                store.write(batch(frame(0, worker.id), issues=[counted(old)]))
            store.write(batch(frame(len(old), worker.id), issues=split))

        found = store.issues(**HERE, seen_since=0, limit=10)

        assert {"1:old": 2, "2:b-1:old": 1, "2:a-1:never": 1, "2:b-1:never": 1} == {
            issue.fingerprint: issue.count for issue in found
        }

    def test_workers_agree_on_who_keeps_the_old_issue(self, store: Store):
        """Of eight workers that meet two errors of one old issue at once, none mixes them."""
        workers = [store.register(SHOP, host="web-1", pid=pid, at=0.0) for pid in range(8)]
        store.write(batch(frame(0, workers[0].id), issues=[counted("1:old")]))
        flushes = [
            batch(frame(10, one.id), issues=[counted(f"2:{'ab'[number % 2]}", aliases=("1:old",))])
            for number, one in enumerate(workers)
        ]

        together([lambda flush=flush: store.write(flush) for flush in flushes])

        found = store.issues(**HERE, seen_since=0, limit=10)
        assert [4, 5] == sorted(issue.count for issue in found)

    def test_services_have_issues_of_their_own(self, store: Store, worker: Worker):
        """The same fingerprint in another service is another issue."""
        store.write(batch(frame(10, worker.id), issues=[counted()]))
        store.write(batch(frame(20, worker.id), OTHER, issues=[counted(count=5)]))

        assert 1 == only_issue(store).count
        assert [5] == [one.count for one in store.issues(**THERE, seen_since=0, limit=9)]

    def test_issues_are_listed_by_last_seen(self, store: Store, worker: Worker):
        """The list begins with what was seen last, and can hold new issues only."""
        issues = [counted(f"1:{number}", at=float(number)) for number in range(1, 5)]
        store.write(batch(frame(10, worker.id), issues=issues))
        store.write(batch(frame(20, worker.id), issues=[counted("1:1", at=9.0)]))

        def listed(**options: float) -> list[str]:
            found = store.issues(**HERE, **{"seen_since": 0, "limit": 9, **options})
            return [one.fingerprint for one in found]

        assert ["1:1", "1:4", "1:3", "1:2"] == listed()
        assert ["1:1", "1:4"] == listed(limit=2)
        assert ["1:1", "1:4"] == listed(seen_since=4.0)
        assert ["1:4", "1:3"] == listed(first_seen_since=3.0)

    def test_texts_are_cut(self, store: Store, worker: Worker):
        """Texts longer than their column, or with NUL in them, never make a flush fail."""
        huge = counted(type="T" * 500, title="\x00x" * 9_000, culprit="c" * 500, level="l" * 300)
        long = replace(event(1), route="/r" * 500, release="\ud800", request_id="q" * 999)
        store.write(batch(frame(10, worker.id), issues=[huge], events=[long]))

        issue = only_issue(store)

        assert (200, 200, 200) == (len(issue.type), len(issue.culprit), len(issue.level))
        assert "xxx" == issue.title[:3]
        assert "/r" * 100 == store.events(issue.id, limit=1)[0].route


class TestEvents:
    """Stored occurrences."""

    def test_events_come_back_newest_first(self, store: Store, worker: Worker):
        """An issue's page shows its newest events with all that was captured."""
        events = [event(number, at=float(number)) for number in range(1, 4)]
        store.write(batch(frame(10, worker.id), issues=[counted()], events=events))
        issue = only_issue(store)

        assert events[:0:-1] == store.events(issue.id, limit=2)
        assert [] == store.events(issue.id + 1, limit=2)

    def test_an_event_without_an_issue_is_left_out(self, store: Store, worker: Worker):
        """An event whose fingerprint leads nowhere does not make a flush fail."""
        assert Written.STORED == store.write(batch(frame(10, worker.id), events=[event(1)]))

    def test_old_events_and_counts_are_pruned(self, store: Store, worker: Worker):
        """Events past their time are deleted in pieces; the issue and its count stay."""
        for start in range(0, 100, 10):
            one = event(start, at=float(start))
            store.write(batch(frame(start, worker.id), issues=[counted()], events=[one]))
        issue = only_issue(store)

        assert [5, 2, 0] == [store.prune_events(before=70, limit=5) for _ in range(3)]
        assert [5, 2, 0] == [store.prune_counts(before=70, limit=5) for _ in range(3)]

        assert [90.0, 80.0, 70.0] == [one.at for one in store.events(issue.id, limit=99)]
        assert {issue.id: {70: 1, 80: 1, 90: 1}} == store.issue_counts(
            [issue.id], since=0, until=100, resolution=10
        )
        assert 10 == only_issue(store).count

    def test_issues_long_gone_are_pruned_with_all_they_hold(self, store: Store, worker: Worker):
        """After an issue was deleted, the same error is a new issue."""
        store.write(batch(frame(0, worker.id), issues=[counted()], events=[event(1)]))
        before = only_issue(store)

        assert 1 == store.prune_issues(before=6.0, limit=10)
        assert 0 == store.prune_issues(before=6.0, limit=10)
        assert [] == store.events(before.id, limit=9)
        store.write(batch(frame(10, worker.id), issues=[counted()]))
        assert before.id != only_issue(store).id


HISTORY = ((10.0, "unknown", "pass"), (20.0, "pass", "fail"), (30.0, "fail", "pass"))


class TestChecks:
    """Results and transitions of health checks."""

    def test_the_last_result_of_each_check_is_kept(self, store: Store, worker: Worker):
        """Each check and worker has one result, the newest, whatever order they arrive in."""
        newest = result(at=30.0, state="fail", output="refused\x00", failures=3, critical=False)
        own = result("disk", worker=worker.id, successes=2)
        for number, one in enumerate((result(at=20.0), newest, result(at=10.0), own)):
            store.write(batch(frame(10 * number, worker.id), checks=[one]))

        assert [replace(newest, output="refused"), own] == store.checks(**HERE)
        assert [] == store.checks(**THERE)

    def test_transitions_are_listed_newest_first(self, store: Store, worker: Worker):
        """The history of a check tells when it changed."""
        changes = [
            CheckChange(name="db", worker=0, before=before, after=after, at=at, output="no")
            for at, before, after in HISTORY
        ]
        store.write(batch(frame(0, worker.id), check_changes=changes))

        assert changes[:0:-1] == store.check_changes(**HERE, since=0, limit=2)
        assert changes[2:] == store.check_changes(**HERE, since=25, limit=9)

    def test_old_results_and_transitions_are_pruned(self, store: Store, worker: Worker):
        """What belongs to checks and workers that are gone is deleted."""
        changes = [
            CheckChange(name="db", worker=0, before=before, after=after, at=at)
            for at, before, after in HISTORY
        ]
        store.write(
            batch(
                frame(0, worker.id),
                check_changes=changes,
                checks=[result("old", at=5.0), result("db", at=24.0), result("new", at=50.0)],
            )
        )

        assert 4 == store.prune_checks(before=25.0, limit=9)
        assert 0 == store.prune_checks(before=25.0, limit=9)
        assert ["new"] == [one.name for one in store.checks(**HERE)]
        assert changes[2:] == store.check_changes(**HERE, since=0, limit=9)

    def test_what_a_check_measured_is_kept(self, store: Store, worker: Worker):
        """A figure with its unit, and how often the check runs, come with the result."""
        told = result(data={"value": 1.5, "unit": "ms", "every_s": 30.0, "tags": ["shop"]})
        store.write(batch(frame(0, worker.id), checks=[told]))

        assert [told] == store.checks(**HERE)

    def test_a_transition_tells_whether_its_check_was_critical(self, store: Store, worker: Worker):
        """So the past of a check that is gone is known as that of the service, or not."""
        change = CheckChange(name="db", worker=0, before="unknown", after="fail", at=5.0)
        told = [change, replace(change, name="mail", critical=False)]
        end = replace(told[1], before="fail", after="unknown", at=90.0)
        results = [result("db", state="fail"), result("mail", state="fail", critical=False)]
        store.write(batch(frame(0, worker.id), checks=results, check_changes=told))
        store.end_checks(**HERE, ends=[end])

        assert {("db", True), ("mail", False)} == {
            (one.name, one.critical) for one in store.check_changes(**HERE, since=0, limit=9)
        }

    def test_a_transition_that_two_workers_tell_is_one(self, store: Store, worker: Worker):
        """Both ran the check: what is known already, or is no change, is not stored again."""
        for number, at in enumerate((10.0, 11.0, 9.0, 10.0)):
            change = CheckChange(name="db", worker=0, before="unknown", after="fail", at=at)
            told = result("db", state="fail", at=at)
            store.write(batch(frame(number, worker.id), checks=[told], check_changes=[change]))

        (known,) = store.check_changes(**HERE, since=0, limit=9)
        assert ("unknown", "fail", 10.0) == (known.before, known.after, known.at)

    def test_workers_that_tell_a_transition_at_once_tell_it_once(
        self, store: Store, worker: Worker
    ):
        """Of eight that write in the same moment one is heard, also of the first of all."""

        def tell(number: int, state: str, before: str) -> None:
            at = 10.0 if state == "fail" else 20.0
            change = CheckChange(name="db", worker=0, before=before, after=state, at=at)
            told = result("db", state=state, at=at)
            written = frame(int(at), worker.id, sequence=number)
            store.write(batch(written, checks=[told], check_changes=[change]))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: tell(number, "fail", "unknown"), range(8)))
            list(threads.map(lambda number: tell(number, "pass", "fail"), range(8)))

        assert [("fail", "pass"), ("unknown", "fail")] == [
            (one.before, one.after) for one in store.check_changes(**HERE, since=0, limit=9)
        ]

    def test_transitions_follow_on_each_other(self, store: Store, worker: Worker):
        """Each begins with the state in which the one before it ended, whoever told it."""
        first = CheckChange(name="db", worker=0, before="unknown", after="fail", at=10.0)
        later = CheckChange(name="db", worker=0, before="warn", after="pass", at=20.0)
        store.write(
            batch(frame(0, worker.id), checks=[result("db", state="fail")], check_changes=[first])
        )
        store.write(batch(frame(1, worker.id), checks=[result("db")], check_changes=[later]))

        assert [("fail", "pass"), ("unknown", "fail")] == [
            (one.before, one.after) for one in store.check_changes(**HERE, since=0, limit=9)
        ]

    def test_a_worker_tells_its_own_results_under_its_id(self, store: Store, worker: Worker):
        """What a worker alone can lose is told apart from what is so for all."""
        change = CheckChange(name="disk", worker=OWN_WORKER, before="unknown", after="pass", at=5)
        told = batch(
            frame(0, 0),
            checks=[result("disk", worker=OWN_WORKER), result("db")],
            check_changes=[change],
        )
        store.write(told.owned_by(worker.id))

        assert [("db", 0, worker.id), ("disk", worker.id, worker.id)] == [
            (one.name, one.worker, one.data["ran_by"]) for one in store.checks(**HERE)
        ]
        assert [worker.id] == [one.worker for one in store.check_changes(**HERE, since=0, limit=9)]

    def test_what_a_clock_told_that_was_ahead_makes_way(self, store: Store, worker: Worker):
        """A result and transitions that are still to come do not keep off those of now."""
        now = time.time()
        for number, (at, seen) in enumerate(
            [(now - 60.0, "pass"), (now + 7_200.0, "warn"), (now - 30.0, "fail")]
        ):
            change = CheckChange(name="db", worker=0, before="unknown", after=seen, at=at)
            told = result("db", state=seen, at=at)
            store.write(batch(frame(number, worker.id), checks=[told], check_changes=[change]))

        assert [("fail", now - 30.0)] == [(one.state, one.at) for one in store.checks(**HERE)]
        assert [("fail", now - 30.0), ("pass", now - 60.0)] == [
            (one.after, one.at) for one in store.check_changes(**HERE, since=0, limit=9)
        ]

    def test_a_check_that_nobody_runs_any_more_ends(self, store: Store, worker: Worker):
        """Its result goes, its history says since when it is unknown; once, whoever tells it."""
        end = CheckChange(name="db", worker=0, before="pass", after="unknown", at=40.0)
        again = replace(end, name="again", at=4.0)
        never = replace(end, name="never ran", before="unknown")
        store.write(
            batch(
                frame(0, worker.id),
                checks=[result("db"), result("again"), result("never ran", state="unknown")],
            )
        )

        assert 2 == store.end_checks(**HERE, ends=[end, again, never])
        assert 0 == store.end_checks(**HERE, ends=[end, again, never])

        assert ["again"] == [one.name for one in store.checks(**HERE)]
        assert [end] == store.check_changes(**HERE, since=0, limit=9)


class TestAlerts:
    """States by compare-and-set, with incidents and notices."""

    def test_a_first_state_is_saved_with_its_incident_and_notices(self, store: Store):
        """A rule that fires stores state, incident and messages in one transaction."""
        saved = store.save_alert(fired("oncall", "mail"), at=100.0)

        assert saved is not None
        assert saved.incident is not None
        assert state(1, incident=saved.incident) == saved
        assert [saved] == store.alerts(**HERE)
        assert [] == store.alerts(**THERE)
        assert incident(id=saved.incident) == store.incident(saved.incident)
        assert store.incident(saved.incident + 1) is None
        assert ["mail", "oncall"] == [one.channel for one in store.outbox(limit=9)]

    def test_a_state_that_was_changed_meanwhile_is_not_overwritten(self, store: Store):
        """Who read an older version changes nothing: no state, no incident, no notice."""
        saved = store.save_alert(fired("oncall"), at=100.0)
        assert saved is not None
        resolved = AlertChange(
            row=replace(saved, state="ok", data={"n": [1, None]}),
            incident=incident(id=saved.incident, state="resolved", resolved_at=160.0),
            outgoing=[notice(kind="resolved")],
        )

        after = store.save_alert(resolved, at=160.0)
        again = store.save_alert(resolved, at=161.0)
        first = store.save_alert(fired("oncall"), at=162.0)

        assert after is not None
        assert (2, "ok", {"n": [1, None]}) == (after.version, after.state, after.data)
        assert (None, None) == (again, first)
        assert [after] == store.alerts(**HERE)
        assert ["resolved", "firing"] == [one.kind for one in store.outbox(limit=9)]
        ended = store.incidents(**HERE, states=["resolved"], since=0, limit=9)
        assert [(saved.incident, 160.0)] == [(one.id, one.resolved_at) for one in ended]

    def test_evaluators_at_once_save_one_transition(self, store: Store):
        """Of eight evaluators that see a rule fire at once, one wins; one message goes out."""
        outcomes = together([lambda: store.save_alert(fired("oncall", "mail"), at=100.0)] * 8)

        assert 1 == sum(outcome is not None for outcome in outcomes)
        assert 2 == len(store.outbox(limit=99))
        assert 1 == len(store.incidents(**HERE, states=["firing"], since=0, limit=9))

    def test_versions_survive_a_race(self, store: Store):
        """Each version is won once, however many try, and no step is lost."""
        store.save_alert(AlertChange(row=state()), at=1.0)

        def step() -> int:
            wins = 0
            for _ in range(5):
                (row,) = store.alerts(**HERE)
                wins += store.save_alert(AlertChange(row=row), at=2.0) is not None
            return wins

        won = sum(together([step] * 4))

        assert 1 + won == store.alerts(**HERE)[0].version

    def test_groups_have_states_of_their_own(self, store: Store):
        """A rule by route has one state per route, however long its text."""
        groups = ["route=/a", "route=/" + "b" * 2_000]
        for group in groups:
            assert store.save_alert(AlertChange(row=state(group=group)), at=1.0) is not None

        assert groups == sorted(one.group for one in store.alerts(**HERE))

    def test_notices_need_an_incident(self, store: Store):
        """A message without an incident to belong to is a fault of the caller."""
        with pytest.raises(ValueError, match="notices belong to an incident"):
            store.save_alert(AlertChange(row=state(), outgoing=[notice()]), at=1.0)

    def test_incidents_are_listed_by_state_and_time(self, store: Store):
        """What started or ended since is listed, newest first."""
        spans = [(10.0, 20.0), (15.0, 60.0), (40.0, 45.0)]
        for number, (started, ended) in enumerate(spans):
            one = incident(state="resolved", started_at=started, resolved_at=ended)
            store.save_alert(AlertChange(row=state(group=str(number)), incident=one), at=ended)

        def listed(**options: float) -> list[float]:
            options = {"since": 0, "limit": 9, **options}
            found = store.incidents(**HERE, states=["resolved", "event"], **options)
            return [one.started_at for one in found]

        assert [40.0, 15.0, 10.0] == listed()
        assert [40.0, 15.0] == listed(since=30.0)
        assert [40.0] == listed(limit=1)
        assert [] == store.incidents(**HERE, states=["firing"], since=0, limit=9)

    def test_old_incidents_are_pruned_with_their_notices(self, store: Store):
        """What is over is deleted after its time; what still fires stays."""
        kinds = [("resolved", 20.0), ("firing", None), ("event", None), ("resolved", 90.0)]
        for number, (kind, ended) in enumerate(kinds):
            one = incident(state=kind, started_at=10.0, resolved_at=ended)
            change = AlertChange(row=state(group=str(number)), incident=one, outgoing=[notice()])
            store.save_alert(change, at=10.0)

        assert 2 == store.prune_incidents(before=50.0, limit=9)
        states = ["resolved", "firing", "event"]
        left = store.incidents(**HERE, states=states, since=0, limit=9)
        assert ["firing", "resolved"] == sorted(one.state for one in left)
        assert 2 == len(store.outbox(limit=9))

    def test_evaluations_are_remembered(self, store: Store):
        """Whoever evaluates sees when it was last done, per scope."""
        assert 0 == store.evaluated_at(**HERE)

        store.mark_evaluated(**HERE, at=123.456789)

        assert 123.456789 == store.evaluated_at(**HERE)
        assert 0 == store.evaluated_at(**THERE)


class TestOutbox:
    """Messages that wait for their channel."""

    @pytest.fixture(autouse=True)
    def _messages(self, store: Store) -> None:
        store.save_alert(fired("oncall", "mail"), at=100.0)

    def take(self, store: Store, at: float, *channels: str) -> list[OutboxRow]:
        """Claim for 60 seconds."""
        return store.claim(at=at, hold_s=60, channels=channels or ("oncall", "mail"), limit=9)

    def test_due_messages_are_handed_out_once(self, store: Store):
        """A claimed message is not handed out again until the claim runs out."""
        assert [] == self.take(store, 99.0)
        first = self.take(store, 100.0, "oncall")
        assert ["oncall"] == [one.channel for one in first]
        assert [1] == [one.attempts for one in first]
        assert ["mail"] == [one.channel for one in self.take(store, 101.0)]
        assert [] == self.take(store, 159.0)

        again = self.take(store, 160.0, "oncall")

        assert [(first[0].message_id, 2)] == [(one.message_id, one.attempts) for one in again]
        assert not store.settle(first[0], status="sent", at=161.0)
        assert store.settle(again[0], status="sent", at=161.0)

    def test_senders_at_once_share_the_messages(self, store: Store):
        """Eight senders that claim at the same moment get each message once."""
        claimed = together([lambda: self.take(store, 100.0)] * 8)

        assert ["mail", "oncall"] == sorted(one.channel for each in claimed for one in each)

    def test_a_sent_message_is_done(self, store: Store):
        """What was sent is never handed out again."""
        (row,) = self.take(store, 100.0, "oncall")

        assert store.settle(row, status="sent", at=101.0)
        assert not store.settle(row, status="failed", at=102.0)
        assert [] == self.take(store, 500.0, "oncall")
        stored = next(one for one in store.outbox(limit=9) if one.channel == "oncall")
        assert ("sent", 101.0, row.message_id, {"rule": "High"}) == (
            stored.status,
            stored.sent_at,
            stored.message_id,
            stored.payload,
        )

    def test_a_message_to_be_tried_again_waits_for_its_turn(self, store: Store):
        """After a failure the message is due again at the time that was given."""
        (row,) = self.take(store, 100.0, "oncall")
        store.settle(row, status="due", at=101.0, next_try_at=130.0, error="refused" * 999)

        assert [] == self.take(store, 129.0, "oncall")
        (again,) = self.take(store, 130.0, "oncall")
        assert (2, row.message_id) == (again.attempts, row.message_id)
        assert again.last_error.startswith("refused")
        assert 1_000 == len(again.last_error)

    def test_what_waits_is_counted(self, store: Store):
        """A message waits until it is sent or given up, also while it is being sent."""
        mail, oncall = self.take(store, 100.0)
        assert 2 == store.outbox_waiting(**HERE)
        assert 0 == store.outbox_waiting(**THERE)

        store.settle(mail, status="sent", at=101.0)
        store.settle(oncall, status="due", at=101.0, next_try_at=130.0)
        assert 1 == store.outbox_waiting(**HERE)

        (again,) = self.take(store, 130.0)
        store.settle(again, status="failed", at=131.0)
        assert 0 == store.outbox_waiting(**HERE)

    def test_messages_are_listed_by_incident(self, store: Store):
        """An incident's page shows its own messages."""
        (alert,) = store.alerts(**HERE)

        assert alert.incident is not None
        assert 2 == len(store.outbox(incident=alert.incident, limit=9))
        assert [] == store.outbox(incident=alert.incident + 1, limit=9)
        assert 1 == len(store.outbox(limit=1))

    def test_a_notice_that_exists_is_not_sent_twice(self, store: Store):
        """One incident has one notice of each kind, turn and channel."""
        (alert,) = store.alerts(**HERE)
        store.save_alert(AlertChange(row=alert, outgoing=[notice("oncall")]), at=110.0)

        assert 2 == len(store.outbox(limit=9))


class TestLeases:
    """Who may roll up, prune and evaluate now."""

    def test_one_owner_holds_a_lease(self, store: Store):
        """A lease that is held is not given to another; its owner renews it as it is."""
        held = store.acquire("evaluate", owner="a", ttl_s=60)
        renewed = store.acquire("evaluate", owner="a", ttl_s=90)

        assert held is not None
        assert renewed is not None
        assert held.token == renewed.token
        assert renewed.until > held.until
        assert store.acquire("evaluate", owner="b", ttl_s=60) is None
        assert store.acquire("prune", owner="b", ttl_s=60) is not None

    def test_a_lease_of_a_wrong_clock_is_free(self, store: Store):
        """A worker that died while its clock was an hour ahead blocks nobody for that hour."""
        store.acquire("evaluate", owner="a", ttl_s=3_630)

        assert store.acquire("evaluate", owner="b", ttl_s=3_600) is None
        assert store.acquire("evaluate", owner="b", ttl_s=30) is not None
        assert store.acquire("evaluate", owner="a", ttl_s=30) is None

    def test_a_released_lease_is_free(self, store: Store):
        """Only the owner can give a lease back; the token grows with the next owner."""
        first = store.acquire("evaluate", owner="a", ttl_s=60)
        store.release("evaluate", owner="b")
        assert store.acquire("evaluate", owner="b", ttl_s=60) is None
        store.release("evaluate", owner="a")

        second = store.acquire("evaluate", owner="b", ttl_s=60)

        assert first is not None
        assert second is not None
        assert second.token == first.token + 1

    def test_a_lease_that_ran_out_is_taken_over(self, store: Store):
        """After its time a lease goes to whoever asks, with a larger token."""
        first = store.acquire("evaluate", owner="a", ttl_s=0.05)
        second = None
        until = time.monotonic() + 20
        while second is None and time.monotonic() < until:
            second = store.acquire("evaluate", owner="b", ttl_s=60)

        assert first is not None
        assert second is not None
        assert second.token > first.token

    def test_one_of_many_wins_a_lease(self, store: Store):
        """Of eight that ask at the same moment, one gets the lease."""
        won = together(
            [
                lambda owner=owner: store.acquire("evaluate", owner=owner, ttl_s=60)
                for owner in "abcdefgh"
            ]
        )

        assert 1 == sum(lease is not None for lease in won)


class TestValuesAndTokens:
    """What the store keeps for itself."""

    def test_values_are_kept(self, store: Store):
        """A value is read as written; the first of several that make a key wins."""
        assert store.meta("signing_key") is None
        assert "one" == store.set_meta("signing_key", "one", only_new=True)
        assert "one" == store.set_meta("signing_key", "two", only_new=True)
        assert "three" == store.set_meta("signing_key", "three")
        assert "three" == store.meta("signing_key")

    def test_processes_that_make_a_key_together_agree(self, store: Store):
        """Eight processes that make a signing key at once all go on with the same one."""
        keys = together(
            [
                lambda key=key: store.set_meta("signing_key", key, only_new=True)
                for key in "abcdefgh"
            ]
        )

        assert 1 == len(set(keys))

    def test_values_are_read_by_the_beginning_of_their_keys(self, store: Store):
        """Nothing in a prefix is a pattern, and keys differ by case."""
        for key in ("job:a_:1", "job:a_:2", "job:ab:3", "JOB:a_:4", "job:a%:5"):
            store.set_meta(key, key)

        assert {"job:a_:1": "job:a_:1", "job:a_:2": "job:a_:2"} == store.values("job:a_:")
        assert {"job:a%:5": "job:a%:5"} == store.values("job:a%")
        assert {} == store.values("nothing")

    def test_values_change_only_from_what_they_were(self, store: Store):
        """Made, changed and deleted by compare-and-set; what somebody else changed stays."""
        store.set_meta("b", "one")

        assert {"a", "b"} == store.swap_values(
            [Swap(key="b", old="one", new="two"), Swap(key="a", old=None, new="naïve")]
        )
        assert set() == store.swap_values(
            [
                Swap(key="a", old="NAÏVE", new="x"),
                Swap(key="b", old=None, new="x"),
                Swap(key="b", old="one", new=None),
                Swap(key="c", old=None, new=None),
                Swap(key="c", old="one", new="x"),
            ]
        )
        assert {"a": "naïve"} == store.values("a")
        assert {"a"} == store.swap_values([Swap(key="a", old="naïve", new=None)])
        assert ({}, {"b": "two"}) == (store.values("a"), store.values("b"))

    def test_of_many_that_change_a_value_one_wins(self, store: Store):
        """Eight processes that change the same values at once lose nothing and wait for nobody."""
        store.set_meta("b", "0")

        def add(_: int) -> int:
            done = 0
            while done < 5:
                old = store.meta("b") or ""
                done += len(store.swap_values([Swap(key="b", old=old, new=str(int(old) + 1))]))
            return done

        assert 40 == sum(together([lambda: add(0)] * 8))
        assert "40" == store.meta("b")

    def test_a_token_works_once(self, store: Store):
        """A one-time link is good for one use, one purpose, and until its end."""
        for digest in ("aa", "bb"):
            store.add_token(digest, purpose="login", expires_at=time.time() + 300)

        assert not store.use_token("aa", purpose="ping", at=time.time())
        assert not store.use_token("bb", purpose="login", at=time.time() + 301)
        uses = together([lambda: store.use_token("aa", purpose="login", at=time.time())] * 8)
        assert 1 == sum(uses)
        assert not store.use_token("cc", purpose="login", at=time.time())


class TestTheStoreItself:
    """Schema, size, name."""

    def test_migrating_again_changes_nothing(self, store: Store, worker: Worker):
        """Every process migrates at its start; what is stored stays."""
        store.write(batch(frame(20, worker.id)))

        assert store.migrate() == store.migrate() >= 1
        assert 1 == len(store.frames(10, since=0, until=60, **HERE))

    def test_it_goes_on_after_close(self, store: Store, worker: Worker):
        """A closed store opens new connections when it is used again."""
        store.close()

        assert Written.STORED == store.write(batch(frame(20, worker.id)))

    def test_it_can_make_room_ahead(self, store: Store, worker: Worker):
        """Preparing the days ahead may be done at any time and loses nothing."""
        now = time.time()
        start = int(now) // 10 * 10 + 5 * 86_400
        store.write(batch(frame(start, worker.id)))
        for day in range(8):
            store.prepare(at=now + day * 86_400)

        assert 1 == len(store.frames(10, since=start, until=start + 10, **HERE))

    def test_it_tells_its_size_and_name(self, store: Store, worker: Worker):
        """Size and name are known; the name holds no secret."""
        store.write(batch(frame(20, worker.id)))

        assert store.size_bytes() > 0
        assert store.description().split()[0] in {"memory", "sqlite", "postgresql", "mariadb"}
        assert 0 == store.damaged_frames

    def test_a_batch_may_hold_nothing(self, store: Store, worker: Worker):
        """A worker without traffic still writes its heartbeat."""
        store.write(batch(frame(20, worker.id, values={})))

        assert [{}] == [one.values for one in store.frames(10, since=0, until=60, **HERE)]

    def test_values_of_a_gauge_survive(self, store: Store, worker: Worker):
        """A gauge keeps last, smallest and largest, and how workers combine."""
        store.write(batch(frame(20, worker.id)))

        (found,) = store.frames(10, since=0, until=60, **HERE, metrics=["memory_bytes"])

        assert {memory(): VALUES[memory()]} == found.values

    def test_long_names_never_make_a_write_fail(self, store: Store):
        """A service, host or release of any length is cut, not refused."""
        long = Scope(service="s" * 999, environment="e\x00", release="r" * 999)
        one = store.register(long, host="h" * 999, pid=1, at=0.0)
        write = batch(
            frame(20, one.id),
            long,
            issues=[counted()],
            events=[Event(id="x" * 99, fingerprint="1:00000000000000aa", at=1.0)],
            checks=[result("n" * 999)],
        )

        assert Written.STORED == store.write(write)
