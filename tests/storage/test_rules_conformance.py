"""What every store does with rules that are kept in it."""

from dataclasses import replace
from typing import Any

import pytest
from stored import HERE, THERE

from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_NAME
from watchkeeper.storage.store import Audit, StoredRule

ALWAYS = {"since": 0.0, "until": 1e12, "limit": 99}


def rule(name: str = "Slow", **more: Any) -> StoredRule:
    """Make a rule that is not stored yet."""
    fields: dict[str, Any] = {
        **HERE,
        "name": name,
        "json": '{"v":1,"name":"Slöw"}',
        "hash": "a" * 64,
        "updated_by": "alice",
    }
    return StoredRule(**{**fields, **more})


def audit(action: str = "rule.set", **more: Any) -> Audit:
    """Make the entry of who did it."""
    fields = {"at": 50.0, "actor": "cli alice", "target": "Slow", "data": {"before": None}}
    return Audit(**{**HERE, **fields, "action": action, **more})


def save(store: Store, one: StoredRule, at: float = 50.0) -> StoredRule | None:
    """Save a rule."""
    return store.save_rule(one, at=at, audit=audit())


def test_what_was_saved_is_read(store: Store):
    """All of a rule comes back, by name, with its first version and the moment."""
    slow = save(store, rule(enabled=False))
    high = save(store, rule("High"), at=60.0)
    save(store, rule(**THERE))

    assert rule(enabled=False, version=1, updated_at=50.0) == slow
    assert [high, slow] == store.stored_rules(**HERE)


def test_a_change_needs_the_version_that_was_read(store: Store):
    """Who read an older one changes nothing, and nothing is written down."""
    first = save(store, rule())
    assert first is not None

    second = save(store, replace(first, json="{}", updated_by="x" * 300), at=60.0)

    assert second == replace(
        first, json="{}", version=2, updated_at=60.0, updated_by="x" * MAX_NAME
    )
    assert save(store, replace(first, json="[]"), at=70.0) is None
    assert save(store, rule(json="[]"), at=70.0) is None
    assert [second] == store.stored_rules(**HERE)
    assert [audit(), audit()] == store.audits(**HERE, **ALWAYS)


def test_a_rule_that_is_not_there_cannot_be_changed(store: Store):
    """It was reset meanwhile."""
    assert save(store, rule(version=3)) is None
    assert [] == store.stored_rules(**HERE)
    assert [] == store.audits(**HERE, **ALWAYS)


def test_a_rule_is_deleted_at_the_version_that_was_read(store: Store):
    """And who did it is written down with it."""
    first = save(store, rule())
    assert first is not None

    def delete(name: str, version: int) -> bool:
        return store.delete_rule(**HERE, name=name, version=version, audit=audit("rule.reset"))

    assert not delete("Slow", 2)
    assert not delete("Slow", 0)
    assert not delete("High", 1)
    assert not delete("High", 0)
    assert [first] == store.stored_rules(**HERE)

    assert delete("Slow", 1)
    assert [] == store.stored_rules(**HERE)
    assert [audit("rule.reset"), audit()] == store.audits(**HERE, **ALWAYS)


def test_a_change_can_be_told_at_a_glance(store: Store):
    """Each change of a scope's rules gives it another version, and nothing else does."""
    seen = [store.rules_version(**HERE)]
    assert [""] == seen

    first = save(store, rule())
    assert first is not None
    seen.append(store.rules_version(**HERE))
    save(store, replace(first, enabled=False))
    seen.append(store.rules_version(**HERE))
    store.delete_rule(**HERE, name="Slow", version=2, audit=audit("rule.reset"))
    seen.append(store.rules_version(**HERE))
    save(store, rule("Other"))
    seen.append(store.rules_version(**HERE))

    assert 5 == len(set(seen))
    save(store, rule("Other"))
    save(store, rule(**THERE))
    assert seen[-1] == store.rules_version(**HERE)


def test_a_name_that_would_be_cut_is_refused(store: Store):
    """It would be another rule's."""
    with pytest.raises(ValueError, match="at most 200 characters"):
        save(store, rule("x" * (MAX_NAME + 1)))

    assert save(store, rule("ü" * MAX_NAME)) is not None


def test_what_a_file_said_is_kept_until_it_says_something_else(store: Store):
    """Each scope has its own; the same text again is no change of the rules."""
    before = store.rules_version(**HERE)

    first = store.keep_last_good('{"rüles":1}', **HERE)
    changed = store.rules_version(**HERE)
    again = store.keep_last_good('{"rüles":1}', **HERE)
    after = store.rules_version(**HERE)
    other = store.keep_last_good("x" * 200_000, **HERE)

    assert (True, False, True) == (first, again, other)
    assert before != changed == after != store.rules_version(**HERE)
    assert ("x" * 200_000, "") == (store.last_good(**HERE), store.last_good(**THERE))
