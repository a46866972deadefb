"""The distance of this host's clock from the database server's, measured at real servers."""

import logging
import time

import pytest
from stored import SHOP

from watchkeeper.core.self_metrics import SELF_CLOCK_SKEW
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.skew import Skew, measured_skew
from watchkeeper.storage import open_store


def is_server(url: str) -> bool:
    """Tell whether a database has a clock of its own."""
    return not url.startswith("sqlite")


def test_a_server_tells_its_time_and_a_file_has_that_of_its_host(sql_url: str) -> None:
    """Here both are of one machine, so that they agree."""
    store = open_store(sql_url)

    told = store.database_time()

    assert is_server(sql_url) == (told is not None)
    assert told is None or abs(told - time.time()) < 10
    store.close()


def test_a_clock_that_is_ahead_is_recorded_and_told_once(
    sql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the host's name; a file says nothing."""
    store, recorder = open_store(sql_url), Recorder(SHOP)
    skew = Skew(recorder, clock=lambda: time.time() + 95.0, host="web-1")

    with caplog.at_level(logging.WARNING, logger="watchkeeper"):
        for _ in range(2):
            skew.look(store)

    found = {
        dict(series.labels)["host"]: value
        for series, value in recorder.take().items()
        if series.metric == SELF_CLOCK_SKEW.name
    }
    if not is_server(sql_url):
        assert ({}, []) == (found, caplog.messages)
        return
    gauge = found["web-1"]
    assert isinstance(gauge, Gauge)
    assert 85 < gauge.last < 105
    (message,) = caplog.messages
    assert "the clock of web-1 is " in message
    assert "ahead of the database's" in message
    store.close()


def test_a_clock_that_was_set_right_may_be_told_of_again(
    sql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is said is about now."""
    if not is_server(sql_url):
        assert measured_skew(open_store(sql_url), time.time) is None
        return
    store, ahead_s = open_store(sql_url), [95.0]
    skew = Skew(Recorder(SHOP), clock=lambda: time.time() + ahead_s[0], host="web-1")

    with caplog.at_level(logging.WARNING, logger="watchkeeper"):
        for now in (95.0, 0.0, -95.0):
            ahead_s[0] = now
            skew.look(store)

    assert ["ahead", "behind"] == [
        word for one in caplog.messages for word in ("ahead", "behind") if word in one
    ]
    store.close()


def test_a_database_that_is_away_stops_nothing() -> None:
    """Whoever looks after it tells."""
    store = open_store("postgresql+psycopg://nobody@127.0.0.1:1/none")
    recorder = Recorder(SHOP)

    Skew(recorder, clock=time.time).look(store)

    assert {} == recorder.take()
