"""What every store does with deploy marks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from stored import HERE, OTHER, SHOP, THERE

from watchkeeper.core.metrics import Scope
from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_NAME, RETURN_LENGTH
from watchkeeper.storage.store import MarkKind, Release

ALWAYS = {"since": 0.0, "until": 1e12, "limit": 99}


def mark(release: str, at: float, *, scope: Scope = SHOP, by: str = "") -> Release:
    """Make the mark of a release."""
    return Release(scope=replace(scope, release=release), at=at, by=by)


def test_the_first_worker_of_a_release_marks_it(store: Store):
    """A release is marked when a worker that runs it registers, and once only."""
    store.register(SHOP, host="web-1", pid=1, at=100.0)
    store.register(SHOP, host="web-2", pid=2, at=200.0)
    store.register(replace(SHOP, release="v2"), host="web-1", pid=3, at=300.0)

    assert [mark("v2", 300.0), mark("v1", 100.0)] == store.releases(**HERE, **ALWAYS)


def test_a_worker_without_a_release_marks_nothing(store: Store):
    """Where nobody names releases there are no marks."""
    store.register(replace(SHOP, release=""), host="web-1", pid=1, at=100.0)

    assert [] == store.releases(**HERE, **ALWAYS)


def test_each_service_has_its_own_marks(store: Store):
    """The same name in another service is another release."""
    store.register(SHOP, host="web-1", pid=1, at=100.0)

    assert store.mark_release(mark("v1", 200.0, scope=OTHER))
    assert [mark("v1", 200.0, scope=OTHER)] == store.releases(**THERE, **ALWAYS)
    assert [mark("v1", 100.0)] == store.releases(**HERE, **ALWAYS)


def test_a_mark_set_by_hand_tells_who_set_it(store: Store):
    """A first mark stays, whoever set it."""
    assert store.mark_release(mark("v1", 100.0, by="cli alice"))
    assert not store.mark_release(mark("v1", 200.0, by="cli bob"))
    store.register(SHOP, host="web-1", pid=1, at=300.0)

    assert [mark("v1", 100.0, by="cli alice")] == store.releases(**HERE, **ALWAYS)


def test_marks_that_are_set_together_are_one(store: Store):
    """Of eight who mark one release at the same moment, one is told that it was new."""
    with ThreadPoolExecutor(8) as threads:
        new = list(threads.map(lambda at: store.mark_release(mark("v1", at)), range(8)))

    assert 1 == sum(new)
    assert 1 == len(store.releases(**HERE, **ALWAYS))


def test_a_window_of_marks_is_read(store: Store):
    """Marks from the start on, before the end, the newest first, as many as wanted."""
    for number in range(5):
        store.mark_release(mark(f"v{number}", 100.0 + number))

    found = store.releases(**HERE, since=101.0, until=104.0, limit=2)

    assert ["v3", "v2"] == [one.scope.release for one in found]


def test_old_marks_are_pruned_but_the_newest_stays(store: Store):
    """A release that still runs after 400 days is not marked anew when a worker restarts."""
    for number in range(4):
        store.mark_release(mark(f"v{number}", 100.0 + number))
    store.mark_release(mark("v9", 50.0, scope=OTHER))

    assert 2 == store.prune_releases(before=1_000.0, limit=2)
    assert 1 == store.prune_releases(before=1_000.0, limit=9)
    assert 0 == store.prune_releases(before=1_000.0, limit=9)

    assert [mark("v3", 103.0)] == store.releases(**HERE, **ALWAYS)
    assert [mark("v9", 50.0, scope=OTHER)] == store.releases(**THERE, **ALWAYS)


def test_young_marks_stay(store: Store):
    """Only what is past its time goes."""
    store.mark_release(mark("v1", 100.0))
    store.mark_release(mark("v2", 200.0))

    assert 0 == store.prune_releases(before=100.0, limit=9)
    assert 2 == len(store.releases(**HERE, **ALWAYS))


def test_long_and_odd_names_are_cut(store: Store):
    """No name makes a start fail."""
    odd = replace(SHOP, release="ü\x00≤" + "v" * 300)
    store.register(odd, host="web-1", pid=1, at=100.0)
    store.register(odd, host="web-1", pid=2, at=101.0)

    (only,) = store.releases(**HERE, **ALWAYS)

    # Cut at the maximum first, then without what no database takes.
    assert "ü≤" + "v" * (MAX_NAME - 3) == only.scope.release


def test_a_return_is_a_mark_beside_the_first(store: Store):
    """Once for each moment; the first mark stays, and so does who set it."""
    back = Release(scope=SHOP, at=300.5, kind=MarkKind.RETURN)
    store.mark_release(mark("v1", 100.0))
    store.mark_release(mark("v2", 200.0))

    assert store.mark_release(back)
    assert not store.mark_release(back)
    assert store.mark_release(replace(back, at=400.0))

    assert [replace(back, at=400.0), back, mark("v2", 200.0), mark("v1", 100.0)] == (
        store.releases(**HERE, **ALWAYS)
    )


def test_returns_are_pruned_like_other_marks(store: Store):
    """The newest mark stays, of whatever kind it is."""
    back = Release(scope=SHOP, at=300.0, kind=MarkKind.RETURN)
    store.mark_release(mark("v1", 100.0))
    store.mark_release(mark("v2", 200.0))
    store.mark_release(back)

    assert 2 == store.prune_releases(before=1_000.0, limit=9)
    assert [back] == store.releases(**HERE, **ALWAYS)


def test_the_return_of_a_long_name_is_told_by_its_beginning(store: Store):
    """Name and moment have to find room together."""
    store.mark_release(
        Release(scope=replace(SHOP, release="v" * 300), at=300.0, kind=MarkKind.RETURN)
    )

    (only,) = store.releases(**HERE, **ALWAYS)

    assert "v" * (MAX_NAME - RETURN_LENGTH) == only.scope.release
