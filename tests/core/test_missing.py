"""Which workers are missing: those that crash and hang, not those that come and go."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.metrics import Scope
from watchkeeper.core.missing import ALL, FORGOTTEN_S, STOPPED_S, Missing, Reason, missing

NOW = 10_000.0
SLOT_S = 10
V1 = Scope(service="shop", environment="test", release="v1")
V2 = Scope(service="shop", environment="test", release="v2")
_ids = iter(range(1, 1_000_000))


@dataclass(frozen=True, kw_only=True)
class One:
    """A worker of a host, seen some seconds ago."""

    number: int = 1
    host: str = "a"
    scope: Scope = V1
    started_at: float = NOW - 5_000
    seen_at: float = NOW - 5
    stopped_at: float | None = None
    id: int = field(default_factory=lambda: next(_ids))


def silent(ago: float = 40.0, **more) -> One:
    return One(**{"seen_at": NOW - ago, **more})


def began(ago: float, **more) -> One:
    return One(**{"started_at": NOW - ago, **more})


def stopped(ago: float, **more) -> One:
    return One(**{"seen_at": NOW - ago, "stopped_at": NOW - ago, **more})


def found(*workers: One, now: float = NOW) -> list[tuple[str, str, Reason]]:
    """Say who is missing: host, worker and reason."""
    return [(one.host, one.worker, one.reason) for one in missing(workers, now=now, slot_s=SLOT_S)]


def test_nobody_is_missing_while_all_write():
    """Workers that have written lately live."""
    assert [] == found(One(number=1), One(number=2), silent(30, number=3))


def test_a_worker_that_falls_silent_is_missing():
    """No heartbeat for more than three slots while others live: a crash or a hang."""
    expected = Missing(host="a", worker="2", reason=Reason.WORKER_SILENT, seen_at=NOW - 31)

    assert [expected] == missing([One(), silent(31, number=2)], now=NOW, slot_s=SLOT_S)
    assert {"host": "a", "worker": "2"} == expected.labels
    assert not expected.is_critical


def test_a_clean_stop_is_not_missing():
    """Deploys, `max_requests`, a scale-down with a goodbye."""
    assert [] == found(One(), stopped(60, number=2), stopped(2_000, number=3))


def test_a_whole_host_is_missing():
    """Each of its workers is told, with the reason that the host has none left."""
    assert [
        ("b", "1", Reason.HOST_SILENT),
        ("b", "2", Reason.HOST_SILENT),
    ] == found(One(), silent(50, host="b", number=1), silent(40, host="b", number=2))


def test_a_worker_that_the_supervisor_started_again_is_not_missing():
    """kill -9, and a new one on the same host: the place is taken."""
    assert [] == found(One(number=1), silent(60, number=2), began(50, number=3))


def test_each_new_worker_takes_one_place():
    """Two crashed and one came back: one is missing, the last that fell silent is not."""
    assert [("a", "2", Reason.WORKER_SILENT)] == found(
        One(number=1), silent(90, number=2), silent(80, number=3), began(50, number=4)
    )


def test_a_crash_loop_is_one_place():
    """Each of them took the place of the one before; the last has nobody."""
    loop = [silent(90 - 10 * n, started_at=NOW - 95 + 10 * n, number=n) for n in range(1, 5)]

    assert [("a", "4", Reason.WORKER_SILENT)] == found(One(number=9), *loop)


def test_a_new_container_takes_the_place_of_one_that_is_gone():
    """Another host counts if it is new since then, as an evicted pod's successor is."""
    gone = silent(60, host="pod-1")

    assert [] == found(One(host="pod-2"), gone, began(50, host="pod-3"))


def test_a_restart_on_another_host_takes_no_place():
    """That host had its workers all the time."""
    gone = silent(60, host="b")
    recycled = [stopped(50, number=2), began(49, number=3)]

    assert [("b", "1", Reason.HOST_SILENT)] == found(One(number=1), gone, *recycled)


def test_a_recycled_worker_does_not_hide_a_crash():
    """`max_requests` replaces a worker by another: that one holds no other's place."""
    crashed = silent(65, number=2)
    recycled = [stopped(50, number=3), began(49, number=4)]

    assert [("a", "2", Reason.WORKER_SILENT)] == found(One(number=1), crashed, *recycled)


def test_a_crash_whose_successor_was_recycled_is_over():
    """The place was taken, and then handed on."""
    crashed = silent(90, number=2)
    successor = stopped(60, started_at=NOW - 80, number=3)

    assert [] == found(One(number=1), crashed, successor, began(59, number=4))


def test_a_crash_whose_successor_stopped_cleanly_is_over():
    """Four crashed and were replaced at once, and the replacements scaled down to two."""
    crashed = [silent(200, number=n) for n in range(1, 5)]
    successors = [stopped(80, started_at=NOW - 195, number=n) for n in range(5, 9)]
    rest = [began(78, number=n) for n in (9, 10)]

    assert [] == found(*crashed, *successors, *rest)


def test_a_successor_of_another_that_stopped_cleanly_took_no_crashed_ones_place():
    """It came for one that was recycled, and held one place."""
    crashed = silent(200, number=2)
    recycled = stopped(185, number=3)
    successor = stopped(80, started_at=NOW - 184, number=4)

    assert [("a", "2", Reason.WORKER_SILENT)] == found(One(number=1), crashed, recycled, successor)


@pytest.mark.parametrize(("began_ago", "stopped_ago"), [(139, 60), (180, 121)])
def test_who_came_late_or_left_soon_held_no_place(began_ago: int, stopped_ago: int):
    """A supervisor starts another one at once, and a script does not stay."""
    script = stopped(stopped_ago, started_at=NOW - began_ago, number=3)

    assert [("a", "2", Reason.WORKER_SILENT)] == found(
        One(number=1), silent(200, number=2), script
    )


def test_a_place_that_was_given_up_is_not_taken():
    """A scale-down leaves a place for good; who comes later came instead of the crashed one."""
    crashed = silent(200, number=2)
    left = stopped(150, number=3)

    assert [] == found(One(number=1), crashed, left, began(60, number=4))


def test_a_script_takes_nobodys_place():
    """A process that came, did its work and went is no successor."""
    script = stopped(40, started_at=NOW - 50, number=3)

    assert [("a", "2", Reason.WORKER_SILENT)] == found(One(number=1), silent(60, number=2), script)


def test_a_rolling_restart_by_force_is_not_missing():
    """The new release is there before the old one is killed, here or in new containers."""
    here = [silent(60, number=1), began(70, number=2, scope=V2)]
    there = [silent(60, host="pod-1"), began(70, host="pod-2", scope=V2)]

    assert [] == found(One(number=9), *here)
    assert [] == found(One(number=9), *there)


def test_a_scale_up_before_a_crash_takes_no_place():
    """A worker of the same release that was there before is none that came instead."""
    assert [("a", "1", Reason.WORKER_SILENT)] == found(silent(60, number=1), began(70, number=2))


def test_a_worker_is_forgotten_after_ten_minutes():
    """A scale-down by SIGKILL says no goodbye; it is told of, and then over."""
    gone = silent(30 + FORGOTTEN_S, number=2)

    assert [("a", "2", Reason.WORKER_SILENT)] == found(One(), gone)
    assert [] == found(One(), silent(31 + FORGOTTEN_S, number=2))


def test_a_worker_that_comes_back_is_not_missing():
    """It hung, or its database was away: it writes again."""
    assert [] == found(One(number=1), One(number=2))


def test_everything_silent_is_told_once_for_all():
    """Nobody writes: one stands for all, beside those that were missing before already."""
    crew = [silent(50, number=1), silent(46, number=2), silent(47, host="b")]
    before = silent(90, number=3)

    everything, alone = missing([*crew, before], now=NOW, slot_s=SLOT_S)

    assert (ALL, ALL, Reason.ALL_SILENT, NOW - 46) == (
        everything.host,
        everything.worker,
        everything.reason,
        everything.seen_at,
    )
    assert everything.is_critical
    assert ("a", "3", Reason.HOST_SILENT) == (alone.host, alone.worker, alone.reason)


def test_silence_has_to_last_45_seconds():
    """A restart that takes half a minute is none."""
    assert [] == found(silent(44))
    assert [(ALL, ALL, Reason.ALL_SILENT)] == found(silent(45))


def test_silence_lasts_until_somebody_writes():
    """What stands for all is never forgotten."""
    assert [(ALL, ALL, Reason.ALL_SILENT)] == found(silent(86_400))
    assert [] == found(silent(86_400), One(number=2))


def test_after_a_silence_of_all_everybody_comes_back_in_his_own_time():
    """Four died together and one is back: the other three were told of, with it."""
    crew = [silent(90, number=n) for n in range(1, 5)]

    assert [] == found(*crew, began(5, number=5))


def test_a_quick_restart_of_all_leaves_nobody_out():
    """Without a silence in between, a worker that did not come back is missing."""
    crew = [silent(40, number=n) for n in (1, 2)]

    assert [("a", "1", Reason.WORKER_SILENT)] == found(*crew, began(20, number=3))


def test_after_a_clean_stop_silence_is_told_later():
    """A deploy takes a while; one that does not come back is told of after five minutes."""
    assert [] == found(stopped(STOPPED_S - 1))
    assert [(ALL, ALL, Reason.ALL_STOPPED)] == found(stopped(STOPPED_S))


def test_nobody_is_missing_where_nobody_ever_wrote():
    """An application that was never started is not silent."""
    assert [] == found()


@pytest.mark.parametrize("slot_s", [1, 60])
def test_slots_set_the_pace(slot_s: int):
    """Three slots, however long they are."""
    late = silent(3 * slot_s + 1, number=2)
    early = silent(3 * slot_s, number=3)

    gone = missing([One(seen_at=NOW), late, early], now=NOW, slot_s=slot_s)

    assert ["2"] == [one.worker for one in gone]


_moments = st.integers(-700, 0).map(lambda ago: NOW + ago)


@st.composite
def workers(draw: st.DrawFn) -> One:
    start, end = sorted((draw(_moments), draw(_moments)))
    return One(
        number=draw(st.integers(1, 4)),
        host=draw(st.sampled_from("abc")),
        scope=draw(st.sampled_from((V1, V2))),
        started_at=start,
        seen_at=end,
        stopped_at=draw(st.sampled_from((None, end))),
    )


@given(st.lists(workers(), max_size=12))
def test_only_those_that_fell_silent_are_missing(crew: list[One]):
    """Whatever came and went: no live and no stopped worker is missing, nobody twice."""
    told = [one for one in missing(crew, now=NOW, slot_s=SLOT_S) if one.host != ALL]
    gone = {one.seen_at for one in crew if one.stopped_at is None and one.seen_at < NOW - 30}

    assert all(one.seen_at in gone for one in told)
    assert len(told) <= sum(one.stopped_at is None and one.seen_at < NOW - 30 for one in crew)


@given(st.lists(workers(), max_size=10), st.randoms())
def test_the_order_of_rows_does_not_matter(crew: list[One], random):
    """A store may list workers as it likes."""
    mixed = list(crew)
    random.shuffle(mixed)

    def told(rows: list[One]) -> list[float]:
        return sorted(one.seen_at for one in missing(rows, now=NOW, slot_s=SLOT_S))

    assert told(crew) == told(mixed)


def test_of_two_that_ended_in_one_moment_the_silent_one_is_told():
    """One said goodbye just as the other fell silent: that nobody is left is not by intent."""
    scope = Scope(service="shop", environment="test", release="v1")
    times = {"started_at": NOW - 45, "seen_at": NOW - 45}
    fell = One(number=1, host="a", scope=scope, stopped_at=None, id=1, **times)
    stopped = One(number=1, host="a", scope=scope, stopped_at=NOW - 45, id=2, **times)

    for crew in ([fell, stopped], [stopped, fell]):
        assert [Reason.ALL_SILENT] == [
            one.reason for one in missing(crew, now=NOW, slot_s=SLOT_S) if one.host == ALL
        ]
