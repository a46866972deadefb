"""A Watchkeeper whose threads do not run: the tests take out themselves what was recorded."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper.app import Watchkeeper, forget_current, obtain
from watchkeeper.core.histogram import Histogram
from watchkeeper.settings import Settings

SHORT = {
    "http_server_request_duration_seconds": "answered",
    "http_server_broken_responses_total": "broken",
    "http_server_unhandled_exceptions_total": "unhandled",
    "http_server_disconnects_total": "left",
    "websocket_server_connections_total": "websockets",
}
ALSO = {
    "http_server_time_to_first_byte_seconds": "first byte",
    "http_server_request_queue_seconds": "queued",
    "websocket_server_connection_duration_seconds": "connected",
    "websocket_server_messages_total": "messages",
}


class Recorded:
    """What a Watchkeeper has recorded, in short words."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        self.watchkeeper = watchkeeper
        self.seconds: dict[str, float] = {}
        self.also: dict[str, int] = {}

    def outcomes(self) -> dict[str, int]:
        """Count requests since the last call: {"answered GET /items 200": 3}.

        `also` counts what else was recorded of them, `seconds` adds their times.
        """
        counts: dict[str, int] = {}
        self.also = {}
        for series, value in self.watchkeeper.recorder.take().items():
            word = SHORT.get(series.metric) or ALSO.get(series.metric)
            if word is None:
                continue
            labels = [series.label(name) for name in ("direction", "method", "route", "status")]
            key = " ".join([word, *filter(None, labels)])
            into = counts if series.metric in SHORT else self.also
            if isinstance(value, Histogram):
                into[key] = value.count
                self.seconds[key] = value.sum
            else:
                into[key] = int(value)
        return counts

    def issues(self) -> dict[str, int]:
        """Count captured exceptions since the last call, by type's own name."""
        counts, self.events = self.watchkeeper.issues.take()
        return {issue.type.rpartition(".")[2]: issue.count for issue in counts}

    @property
    def active(self) -> int:
        """Count the requests being answered."""
        return len(self.watchkeeper.recorder.active)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        enabled=True,
        database_url=f"sqlite:///{tmp_path / 'watchkeeper.db'}",
        service="shop",
        health_at_root=True,
    )


@pytest.fixture
def watchkeeper(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watchkeeper]:
    monkeypatch.setattr(Watchkeeper, "start", lambda self: None)
    made = obtain(settings)
    made.started = True
    yield made
    made.started = False
    forget_current()


@pytest.fixture
def recorded(watchkeeper: Watchkeeper) -> Recorded:
    return Recorded(watchkeeper)


@pytest.fixture
def unhooked() -> Iterator[None]:
    """Leave Django as it was after the test."""
    yield
    from watchkeeper.integrations.django.switch import switch_off

    switch_off()
    gc.collect()  # what Django left open is closed here, where its warning is expected
