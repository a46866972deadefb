"""A Watchkeeper with its own `start`, which every hook calls; only its thread does not run."""

from collections.abc import Iterator

import pytest

from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.runtime import texts
from watchkeeper.runtime.flusher import Flusher
from watchkeeper.settings import Settings


@pytest.fixture(autouse=True)
def no_text_was_late() -> Iterator[None]:
    """Forget which texts are not asked again: that holds for a process."""
    texts._late.clear()
    yield
    texts._late.clear()


@pytest.fixture
def watchkeeper(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watchkeeper]:
    monkeypatch.setattr(Flusher, "start", lambda self, **how: None)
    made = obtain(settings)
    made.started = True  # so each test hooks in what it wants
    yield made
    made.started = False
    forget_current()
