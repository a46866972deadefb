"""Silences that people set: checked, stored with who set them, ended once."""

from dataclasses import replace
from typing import Any

import pytest
from tests.stored import HERE, OTHER, SHOP

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.silences import (
    MAX_SILENCE_S,
    Request,
    add,
    as_asked,
    check,
    end,
    in_force,
    listed,
)
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Silence

NOW = 1_777_723_200.0
SLOW = Request(match={"rule": "Slow*", "route": ["/a", "/b"]}, author="Ada", for_s=7_200)
ALERT: dict[str, Any] = {"rule": "Slow route", "severity": "warning", "labels": {"route": "/b"}}


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


def audits(store: MemoryStore) -> list[tuple[str, str, str]]:
    entries = store.audits(**HERE, since=0, until=NOW * 2, limit=10)
    return [(one.actor, one.action, one.target) for one in entries]


def test_a_silence_is_stored_with_its_author_and_in_the_audit(store: MemoryStore) -> None:
    """Who set it, when it ends, and what it is about."""
    made = add(store, SHOP, replace(SLOW, comment=" a\nbackup "), actor="cli ada", at=NOW)

    assert (1, "Ada", "a backup", NOW, NOW + 7_200) == (
        made.id,
        made.author,
        made.comment,
        made.starts_at,
        made.ends_at,
    )
    assert [made] == listed(store, SHOP, at=NOW)
    assert [("cli ada", "silence.add", "1")] == audits(store)


def test_secrets_in_a_comment_are_masked(store: MemoryStore) -> None:
    """What people write is scrubbed as everything else is."""
    made = add(store, SHOP, replace(SLOW, comment="password=hunter2-fake"), actor="cli", at=NOW)

    assert "hunter2" not in made.comment


def test_check_says_what_an_alert_would_meet(store: MemoryStore) -> None:
    """Those of the database and the planned ones given."""
    add(store, SHOP, SLOW, actor="cli", at=NOW)

    met = check(store, SHOP, **ALERT, at=NOW + 7_199)
    assert met is not None
    assert "silence 1 (Ada)" == met.name
    assert check(store, SHOP, **ALERT, at=NOW + 7_200) is None
    assert check(store, OTHER, **ALERT, at=NOW) is None
    assert met == check(store, OTHER, **ALERT, at=NOW, planned=(met,))


def test_a_weekly_silence_needs_no_end(store: MemoryStore) -> None:
    """It is in force at its own times only."""
    request = Request(match={}, author="Ada", every="Sun 02:00-04:00 Europe/Berlin")
    made = add(store, SHOP, request, actor="cli", at=NOW)

    assert (None, "Sun 02:00-04:00 Europe/Berlin") == (made.ends_at, made.schedule)
    assert check(store, SHOP, **ALERT, at=NOW) is None
    assert check(store, SHOP, **ALERT, at=NOW + 13 * 3_600) is not None  # Sunday, 03:00


def test_a_silence_is_ended_once(store: MemoryStore) -> None:
    """By people of its own service; a second time there is nothing to end."""
    made = add(store, SHOP, SLOW, actor="cli", at=NOW)

    assert not end(store, OTHER, made.id, actor="cli", at=NOW + 5)
    assert end(store, SHOP, made.id, actor="cli bob", at=NOW + 5)
    assert not end(store, SHOP, made.id, actor="cli", at=NOW + 6)
    assert not end(store, SHOP, 99, actor="cli", at=NOW + 6)
    assert check(store, SHOP, **ALERT, at=NOW + 5) is None
    assert ("cli bob", "silence.end", "1") == audits(store)[0]
    ended = store.silence(made.id)
    assert ended is not None
    assert NOW + 5 == as_asked(ended).ends_at


def test_a_damaged_silence_holds_nothing_back(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """People are told rather than not, and the log says why."""
    made = add(store, SHOP, SLOW, actor="cli", at=NOW)
    damaged = replace(made, id=0, schedule="now and then")
    store._silences[77] = replace(damaged, id=77)  # type: ignore[attr-defined]

    assert 1 == len(in_force(store, SHOP, at=NOW))
    assert "silence 77 is left out" in caplog.text


def test_what_is_set_is_what_alerts_ask() -> None:
    """Without an end it lasts until it is ended."""
    stored = Silence(
        id=3, **HERE, matchers={"a": "x*"}, starts_at=5.0, author="Ada", created_at=5.0
    )

    assert (("a", ("x*",)),) == as_asked(stored).matchers
    assert float("inf") == as_asked(stored).until(6.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"for_s": None}, "say for how long (--for 2h), until when"),
        ({"until": NOW + 5}, "not both"),
        ({"for_s": 0.0}, "end before it begins"),
        ({"for_s": None, "until": NOW - 5}, "end before it begins"),
        ({"for_s": MAX_SILENCE_S + 1}, "longer than 400 days"),
        ({"every": "at night"}, "every: 'at night' is no time of the week"),
        ({"match": "x"}, "match: 'x' is no table"),
    ],
)
def test_what_cannot_be_is_refused_with_a_cure(
    store: MemoryStore, changes: dict[str, Any], said: str
) -> None:
    """And nothing is stored."""
    with pytest.raises(ConfigurationError) as raised:
        add(store, SHOP, replace(SLOW, **changes), actor="cli", at=NOW)

    assert said in str(raised.value)
    assert [] == listed(store, SHOP, at=None)
