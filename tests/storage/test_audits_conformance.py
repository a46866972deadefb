"""What every store does with what people did."""

from dataclasses import replace
from typing import Any

from stored import HERE, THERE

from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_ACTION, MAX_NAME
from watchkeeper.storage.store import Audit

ALWAYS = {"since": 0.0, "until": 1e12, "limit": 99}


def entry(at: float, **more: Any) -> Audit:
    """Make an entry."""
    fields: dict[str, Any] = {
        **HERE,
        "at": at,
        "actor": "cli alice",
        "action": "release.mark",
        "target": "v1",
        "data": {"note": "ü\x00≤", "count": 3},
    }
    return Audit(**{**fields, **more})


def test_what_was_written_is_read(store: Store):
    """All of an entry comes back, the newest first."""
    store.audit(entry(100.0))
    store.audit(entry(200.0, target="", data={}))

    assert [entry(200.0, target="", data={}), entry(100.0)] == store.audits(**HERE, **ALWAYS)


def test_each_service_has_its_own_entries(store: Store):
    """What was done to another service is not listed."""
    store.audit(entry(100.0))
    store.audit(entry(100.0, **THERE))

    assert [entry(100.0, **THERE)] == store.audits(**THERE, **ALWAYS)


def test_a_window_of_entries_is_read(store: Store):
    """Entries from the start on, before the end, as many as wanted, the last first."""
    for number in range(4):
        store.audit(entry(100.0 + number // 2, target=str(number)))

    found = store.audits(**HERE, since=100.0, until=102.0, limit=3)

    assert ["3", "2", "1"] == [one.target for one in found]
    assert [] == store.audits(**HERE, since=0.0, until=100.0, limit=3)


def test_old_entries_are_pruned(store: Store):
    """What is past its time goes, a few rows at a time."""
    for number in range(4):
        store.audit(entry(100.0 + number))

    assert 2 == store.prune_audits(before=103.0, limit=2)
    assert 1 == store.prune_audits(before=103.0, limit=2)
    assert 0 == store.prune_audits(before=103.0, limit=2)

    assert [entry(103.0)] == store.audits(**HERE, **ALWAYS)


def test_long_texts_are_cut(store: Store):
    """No name is too long to be written down."""
    long = "x" * 300
    store.audit(entry(100.0, actor=long, action=long, target=long))

    (found,) = store.audits(**HERE, **ALWAYS)

    cut = replace(
        entry(100.0), actor="x" * MAX_NAME, action="x" * MAX_ACTION, target="x" * MAX_NAME
    )
    assert cut == found
