"""What people did is written down, never at its cost."""

import logging

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.runtime.retention import DAY_S, Keep, prune
from watchkeeper.storage import Store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Audit, Release

SHOP = Scope(service="shop", environment="production", release="v1")
HERE = {"service": "shop", "environment": "production"}
ALWAYS = {"since": 0.0, "until": 1e12, "limit": 9}


class Full(MemoryStore):
    """A store that takes no entries."""

    def audit(self, entry: Audit) -> None:
        """Refuse."""
        raise StorageUnavailableError("disk full")


def test_an_entry_holds_all_that_was_said():
    """Who did what to what, when, and how."""
    store = MemoryStore()

    write_down(
        store, SHOP, Action.RELEASE_MARK, actor="cli alice", at=5.0, target="v1", data={"a": 1}
    )

    assert [
        Audit(**HERE, at=5.0, actor="cli alice", action="release.mark", target="v1", data={"a": 1})
    ] == store.audits(**HERE, **ALWAYS)


def test_what_cannot_be_written_down_is_done_all_the_same(caplog: pytest.LogCaptureFixture):
    """A store that takes no entry keeps nobody from signing in; one line says so."""
    with caplog.at_level(logging.WARNING):
        write_down(Full(), SHOP, Action.SESSION_BEGIN, actor="session 1", at=5.0)

    assert ["watchkeeper: not in the audit: session.begin by session 1 (disk full)"] == [
        record.getMessage() for record in caplog.records
    ]


def test_marks_and_entries_are_kept_400_days(store: Store):
    """What is older goes when the rest is pruned; the release that is live keeps its mark."""
    for release, day in (("v1", 1), ("v2", 2), ("v3", 100)):
        scope = Scope(service="shop", environment="production", release=release)
        store.mark_release(Release(scope=scope, at=day * DAY_S))
        write_down(store, scope, Action.RELEASE_MARK, actor="cli", at=day * DAY_S, target=release)

    prune(
        store,
        now=402 * DAY_S,
        keep=Keep(
            frames_s={10: DAY_S, 60: DAY_S, 3_600: DAY_S},
            events_s=DAY_S,
            samples_s=DAY_S,
            max_samples=9,
        ),
        pause=lambda: None,
    )

    assert ["v3", "v2"] == [one.scope.release for one in store.releases(**HERE, **ALWAYS)]
    assert ["v3", "v2"] == [one.target for one in store.audits(**HERE, **ALWAYS)]
