"""The return of an older release is marked by those who run it."""

from dataclasses import replace

from stored import HERE, SHOP

from watchkeeper.runtime.returns import mark_return
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import MarkKind, Release

V2 = replace(SHOP, release="v2")
ALWAYS = {"since": 0.0, "until": 1e12, "limit": 99}


def rolled_back() -> MemoryStore:
    """Make a shop that went from v1 to v2 and back."""
    store = MemoryStore()
    for scope, begin, end in ((SHOP, 100.0, 1_000.0), (V2, 1_000.0, 2_000.0)):
        store.stop_worker(store.register(scope, host="web-1", pid=1, at=begin).id, at=end)
    store.register(SHOP, host="web-1", pid=2, at=2_005.0)
    return store


def names(store: MemoryStore) -> list[tuple[str, str]]:
    """Return the marks, newest first."""
    return [(one.scope.release, one.kind.value) for one in store.releases(**HERE, **ALWAYS)]


def test_a_rollback_is_marked_once():
    """By whichever of its workers comes first, at the moment when it began."""
    store = rolled_back()

    assert not mark_return(store, SHOP, now=2_060.0)
    assert mark_return(store, SHOP, now=2_120.0)
    assert not mark_return(store, SHOP, now=2_180.0)

    assert [("v1", "return"), ("v2", "new"), ("v1", "new")] == names(store)
    assert 2_005.0 == store.releases(**HERE, **ALWAYS)[0].at


def test_going_forward_again_is_a_return_as_well():
    """v2 was there before."""
    store = rolled_back()
    mark_return(store, SHOP, now=2_120.0)
    for worker in store.workers(**HERE, seen_since=0.0):
        store.stop_worker(worker.id, at=3_000.0)
    store.register(V2, host="web-1", pid=3, at=3_001.0)

    assert mark_return(store, V2, now=3_100.0)
    assert ("v2", "return") == names(store)[0]


def test_what_people_marked_in_between_hides_nothing():
    """A mark that no worker runs is passed over."""
    store = rolled_back()
    store.mark_release(
        Release(scope=replace(SHOP, release="new prices"), at=1_500.0, by="cli ada")
    )

    assert mark_return(store, SHOP, now=2_120.0)


def test_where_nobody_names_releases_nothing_is_marked():
    """No release of our own, no marks, or only some that nobody runs."""
    store = MemoryStore()

    assert not mark_return(store, replace(SHOP, release=""), now=100.0)
    assert not mark_return(store, SHOP, now=100.0)
    store.mark_release(Release(scope=V2, at=50.0, by="cli ada", kind=MarkKind.NEW))
    assert not mark_return(store, SHOP, now=100.0)
