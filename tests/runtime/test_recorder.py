"""Recording is exact under threads, bounded against anything, and empty after a fork."""

import subprocess
import sys
import textwrap

import pytest

from watchkeeper.core.catalogue import HTTP_DISCONNECTS, HTTP_DURATION, PROCESS_FDS
from watchkeeper.core.metrics import OTHER, UNMATCHED, Across, Kind, Metric, Scope, Series
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.caps import MAX_OVERFLOW
from watchkeeper.runtime.live import FOLD_AT
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.storage import turns as turns_module

SCOPE = Scope(service="shop", environment="test", release="7")
ORDERS = Metric(name="orders_total", kind=Kind.COUNTER, help="", labels=("plan",))
QUEUE = Metric(name="queue_length", kind=Kind.GAUGE, help="", across=Across.MAX)
RENDER = Metric(name="render_duration_seconds", kind=Kind.HISTOGRAM, help="")


def recorder(**caps: int) -> Recorder:
    return Recorder(SCOPE, **caps)


def request(recorder: Recorder, route: str, status: str = "200", method: str = "GET"):
    return recorder.series(HTTP_DURATION, {"method": method, "route": route, "status": status})


def test_scope_labels_are_on_every_series():
    """Service, environment and release are labels of everything recorded."""
    live = recorder().series(ORDERS, {"plan": "pro"})

    assert (
        Series(
            "orders_total",
            Kind.COUNTER,
            (("environment", "test"), ("plan", "pro"), ("release", "7"), ("service", "shop")),
        )
        == live.series
    )


def test_the_same_labels_give_the_same_series():
    """A series exists once, whoever asks for it."""
    rec = recorder()

    assert rec.series(ORDERS, {"plan": "pro"}) is rec.series(ORDERS, {"plan": "pro"})
    assert rec.series(ORDERS, {"plan": "pro"}) is not rec.series(ORDERS, {"plan": "free"})
    assert 2 == rec.size


def test_a_missing_label_is_an_error():
    """A series needs a value for each label of its metric."""
    with pytest.raises(KeyError):
        recorder().series(ORDERS, {})
    with pytest.raises(KeyError):
        recorder().series(ORDERS, {"size": "xl"})


def test_each_instrument_takes_its_kind_of_value():
    """Counters add up, gauges keep last, lowest and highest, histograms every observation."""
    rec = recorder()
    for value in (3.0, 1.0, 2.0):
        rec.series(ORDERS, {"plan": "pro"}).record(value)
        rec.series(QUEUE).record(value)
        rec.series(RENDER).record(value)

    taken = {series.metric: value for series, value in rec.take().items()}

    assert 6.0 == taken["orders_total"]
    assert Gauge(2.0, 1.0, 3.0) == taken["queue_length"]
    assert 3 == taken["render_duration_seconds"].count
    assert 6.0 == taken["render_duration_seconds"].sum


def test_series_without_new_data_are_left_out():
    """A slot holds what happened in it; a gauge appears when it was set."""
    rec = recorder()
    rec.series(QUEUE).record(4.0)
    rec.series(RENDER)

    assert ["queue_length"] == [series.metric for series in rec.take()]
    assert {} == rec.take()

    rec.series(QUEUE).record(4.0)
    assert [Gauge(4.0, 4.0, 4.0)] == list(rec.take().values())


def test_what_was_taken_does_not_change_any_more():
    """A closed slot is not touched by later requests."""
    rec = recorder()
    rec.series(RENDER).record(1.0)
    (taken,) = rec.take().values()

    for _ in range(2 * FOLD_AT):
        rec.series(RENDER).record(1.0)

    assert 1 == taken.count


def test_a_series_holds_a_bounded_number_of_values():
    """Between two flushes a busy series keeps its buckets, not its observations."""
    live = recorder().series(RENDER)
    for _ in range(10 * FOLD_AT + 5):
        live.record(1.0)

    assert len(live.pending) < FOLD_AT
    assert 10 * FOLD_AT + 5 == live.recorded()


def test_taking_gives_way_to_other_threads(monkeypatch: pytest.MonkeyPatch):
    """Taking a slot of many series lets requests run in between."""
    turns: list[float] = []
    monkeypatch.setattr(turns_module, "_turn", turns_module._Turn())  # no turn from before
    monkeypatch.setattr(turns_module, "WORK_S", -1.0)  # as if each series had taken long
    monkeypatch.setattr(turns_module, "sleep", turns.append)
    rec = recorder()
    for number in range(50):
        rec.series(ORDERS, {"plan": str(number)}).record(1)

    rec.take()

    assert 50 == len(turns)
    assert min(turns) > 0


def test_routes_beyond_the_cap_are_counted_together():
    """Too many routes share one series per method and status, so that error rates stay right."""
    rec = recorder(max_routes=3)
    for number in range(10):
        request(rec, f"/{number}").record(0.1)
    request(rec, "/8", status="500").record(0.1)
    request(rec, UNMATCHED).record(0.1)

    counts = {
        (series.label("route"), series.label("status")): value.count
        for series, value in rec.take().items()
    }

    assert {
        ("/0", "200"): 1,
        ("/1", "200"): 1,
        ("/2", "200"): 1,
        (OTHER, "200"): 7,
        (OTHER, "500"): 1,
        (UNMATCHED, "200"): 1,
    } == counts
    assert 8 == rec.dropped["routes"]


def test_series_beyond_the_cap_are_counted_together():
    """Past the cap of series, requests keep method and status; other metrics keep nothing."""
    rec = recorder(max_series=2)
    request(rec, "/a").record(0.1)
    request(rec, "/b").record(0.1)
    request(rec, "/c", status="503").record(0.1)
    rec.series(ORDERS, {"plan": "pro"}).record(1)
    rec.series(QUEUE).record(5)

    taken = rec.take()

    assert 1 == next(
        value.count
        for series, value in taken.items()
        if (OTHER, "503") == (series.label("route"), series.label("status"))
    )
    assert {"orders_total": OTHER} == {
        series.metric: series.label("plan") for series in taken if series.metric == "orders_total"
    }
    assert any(series.metric == "queue_length" for series in taken)
    assert 2 == rec.dropped["series"]


def test_no_series_is_made_past_the_last_bound():
    """Even a flood of metrics ends: what has no room at all is dropped and counted."""
    rec = recorder(max_series=2)
    for number in range(5_000):
        metric = Metric(name=f"m{number}_total", kind=Kind.COUNTER, help="", labels=("a",))
        rec.series(metric, {"a": "x"}).record(1)

    assert 2 + 2 * MAX_OVERFLOW == rec.size
    assert 5_000 - 2 == rec.dropped["series"]
    assert 2 + 2 * MAX_OVERFLOW == len(rec.take())


def test_label_values_are_cut_and_made_storable():
    """A label value is at most 200 characters and holds nothing that a database refuses."""
    rec = recorder()

    rec.series(ORDERS, {"plan": "x" * 1_000}).record(1)
    rec.series(ORDERS, {"plan": "a\x00b\ud800"}).record(1)
    rec.series(ORDERS, {"plan": "a\x00b\ud800"}).record(1)

    values = {series.label("plan"): value for series, value in rec.take().items()}
    assert {"x" * 200: 1.0, "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}": 2.0} == values


def test_labels_of_our_own_metrics_have_no_cap_per_label():
    """Hosts and workers are few; only routes and users' labels are capped one by one."""
    rec = recorder()
    for number in range(60):
        rec.series(PROCESS_FDS, {"host": "a", "worker": str(number)}).record(1)

    assert 60 == rec.size


def test_trouble_is_told_at_the_third_bad_request_and_at_each_doubling():
    """The flusher is woken when it matters, not for each failing request."""
    rec = recorder()
    calls: list[tuple[int, int]] = []
    rec.watch_for(error_rate=0.05, slow_s=1.0, on_trouble=lambda: calls.append(rec.local_rate()))
    ok = request(rec, "/")

    for _ in range(12):
        ok.record(0.1)
        rec.note_bad()

    assert [(3, 3), (6, 6), (12, 12)] == calls


def test_a_few_bad_requests_among_many_are_no_trouble():
    """Three errors in a thousand requests do not wake anybody."""
    rec = recorder()
    calls: list[None] = []
    rec.watch_for(error_rate=0.05, slow_s=1.0, on_trouble=lambda: calls.append(None))
    for _ in range(1_000):
        request(rec, "/").record(0.1)

    for _ in range(3):
        rec.note_bad()

    assert [] == calls


def test_the_local_rate_is_that_of_the_open_slot():
    """Requests and disconnects since the last flush are what bad ones are compared with."""
    rec = recorder()
    request(rec, "/").record(0.1)
    rec.series(HTTP_DISCONNECTS, {"method": "GET", "route": "/"}).record(1)
    rec.series(RENDER).record(1)
    rec.note_bad()

    assert (1, 2) == rec.local_rate()
    rec.take()
    assert (0, 0) == rec.local_rate()


def test_a_forked_child_starts_empty():
    """What the parent recorded is the parent's to write, even if a thread was recording."""
    script = textwrap.dedent("""
        import os, sys
        from watchkeeper.core.metrics import Kind, Metric, Scope
        from watchkeeper.runtime.recorder import Recorder

        recorder = Recorder(Scope(service="s", environment="e"))
        os.register_at_fork(after_in_child=recorder.reset)
        live = recorder.series(Metric(name="a_total", kind=Kind.COUNTER, help=""))
        live.record(5)
        recorder.active.add(0.0)
        recorder.note_bad()
        live._lock.acquire()
        child = os.fork()
        if child == 0:
            empty = recorder.take() == {} and not recorder.active
            live.record(2)
            ours = list(recorder.take().values()) == [2.0]
            os._exit(0 if empty and ours and recorder.local_rate() == (0, 0) else 1)
        live._lock.release()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.exit(status or list(recorder.take().values()) != [5.0])
    """)

    assert 0 == subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode
