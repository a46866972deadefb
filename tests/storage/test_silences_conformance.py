"""What every store does with silences and planned windows."""

from dataclasses import replace
from typing import Any

from stored import HERE, THERE

from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_COMMENT, MAX_NAME
from watchkeeper.storage.store import Audit, Silence

ALWAYS = {"since": 0.0, "until": 1e12, "limit": 99}


def silence(**more: Any) -> Silence:
    """Make a silence for an hour."""
    fields: dict[str, Any] = {
        **HERE,
        "matchers": {"severity": "warning", "route": ["/a*", "/ü"]},
        "starts_at": 100.0,
        "ends_at": 3_700.0,
        "author": "alice",
        "comment": "deploy",
        "created_at": 99.5,
    }
    return Silence(**{**fields, **more})


def audit(action: str = "silence.add", **more: Any) -> Audit:
    """Make the entry of who did it."""
    return Audit(**{**HERE, "at": 99.5, "actor": "cli alice", "action": action, **more})


def add(store: Store, **more: Any) -> Silence:
    """Store a silence."""
    return store.add_silence(silence(**more), audit=audit())


def test_what_was_set_is_read(store: Store):
    """All of a silence comes back, with its id."""
    added = add(store, schedule="Sun 02:00-04:00 Europe/Berlin", ends_at=None)

    assert (
        silence(id=added.id, schedule="Sun 02:00-04:00 Europe/Berlin", ends_at=None),
        added,
        [added],
    ) == (added, store.silence(added.id), store.silences(**HERE, limit=9))
    assert added.id > 0
    assert store.silence(added.id + 1) is None


def test_who_set_it_is_written_down_with_it(store: Store):
    """The entry is about the silence's id."""
    added = add(store)

    assert [audit(target=str(added.id))] == store.audits(**HERE, **ALWAYS)


def test_each_service_has_its_own_silences(store: Store):
    """Another service's are not listed; the newest come first."""
    add(store, **THERE)
    first, second = add(store), add(store)

    assert [second, first] == store.silences(**HERE, limit=9)
    assert [second] == store.silences(**HERE, limit=1)


def test_those_that_may_be_in_force_are_listed(store: Store):
    """Also those that begin later; not those that are over or were ended."""
    open_end = add(store, ends_at=None)
    over = add(store, ends_at=200.0)
    later = add(store, starts_at=9_000.0, ends_at=9_100.0)
    ended = add(store)
    store.end_silence(ended.id, at=150.0, audit=audit("silence.end"))
    ended = replace(ended, ended_at=150.0)

    assert [ended, later, over, open_end] == store.silences(**HERE, at=149.0, limit=9)
    assert [later, over, open_end] == store.silences(**HERE, at=150.0, limit=9)
    assert [later, open_end] == store.silences(**HERE, at=200.0, limit=9)
    assert [open_end] == store.silences(**HERE, at=9_100.0, limit=9)


def test_a_silence_is_ended_once(store: Store):
    """Who comes second changes nothing, and nothing is written down."""
    added = add(store, ends_at=None)

    assert store.end_silence(added.id, at=150.0, audit=audit("silence.end"))
    assert not store.end_silence(added.id, at=160.0, audit=audit("silence.end"))
    assert not store.end_silence(added.id + 1, at=160.0, audit=audit("silence.end"))

    assert replace(added, ended_at=150.0) == store.silence(added.id)
    assert [
        audit("silence.end", target=str(added.id)),
        audit(target=str(added.id)),
    ] == store.audits(**HERE, **ALWAYS)


def test_what_is_over_for_long_is_pruned(store: Store):
    """By its end, or by when it was ended; without an end it stays."""
    stays = add(store, ends_at=None)
    ended = add(store, ends_at=None)
    store.end_silence(ended.id, at=150.0, audit=audit())
    add(store, ends_at=120.0)
    later = add(store, ends_at=300.0)

    assert 1 == store.prune_silences(before=200.0, limit=1)
    assert 1 == store.prune_silences(before=200.0, limit=9)
    assert 0 == store.prune_silences(before=200.0, limit=9)

    assert [later, stays] == store.silences(**HERE, limit=9)


def test_long_texts_are_cut(store: Store):
    """No name is too long to be written down."""
    long = "x" * 3_000

    added = add(store, author=long, comment=long, schedule=long)

    assert ("x" * MAX_NAME, "x" * MAX_COMMENT, "x" * MAX_NAME) == (
        added.author,
        added.comment,
        added.schedule,
    )
    assert added == store.silence(added.id)
