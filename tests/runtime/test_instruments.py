"""A user's own metrics: declared strictly, used without any risk."""

import logging
from collections.abc import Iterator
from decimal import Decimal

import pytest

from watchkeeper.core.metrics import Across, Scope
from watchkeeper.core.slot import Gauge
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime import instruments
from watchkeeper.runtime.instruments import counter, gauge, histogram
from watchkeeper.runtime.recorder import Recorder


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test declares for itself."""
    monkeypatch.setattr(instruments, "_declared", {})
    monkeypatch.setattr(instruments, "_bound", [])


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(Scope(service="shop", environment="test"))
    instruments.bind(recorder)
    yield recorder
    instruments.unbind()


def test_instruments_do_nothing_before_anything_watches():
    """A module may declare and use its metrics whether or not the app is watched."""
    counter("orders_total", "Orders.").inc()
    gauge("queue_length", "Queue.").set(3)
    with histogram("render_duration_seconds", "Render.").time():
        pass


def test_a_metric_declared_early_records_once_watching():
    """Declaration and watch() may come in any order."""
    orders = counter("orders_total", "Orders placed.", labels=["plan"])
    recorder = Recorder(Scope(service="shop", environment="test"))
    instruments.bind(recorder)

    orders.inc(plan="pro")
    orders.inc(2, plan="pro")

    assert [3.0] == list(recorder.take().values())


def test_nothing_is_recorded_after_unbinding(recorder: Recorder):
    """Switching off makes every instrument do nothing again."""
    orders = counter("orders_total", "Orders.")
    instruments.unbind()

    orders.inc()

    assert {} == recorder.take()


def test_a_gauge_keeps_its_readings_and_says_how_workers_combine(recorder: Recorder):
    """across= is stored with the series."""
    queue = gauge("queue_length", "Jobs waiting.", across="max")
    queue.set(5)
    queue.set(2)

    ((series, value),) = recorder.take().items()

    assert Across.MAX is series.across
    assert Gauge(2.0, 2.0, 5.0) == value


def test_a_timer_observes_also_when_the_block_raises(recorder: Recorder):
    """The time until an exception is a duration like any other, and the exception goes on."""
    render = histogram("render_duration_seconds", "Render.", labels=["kind"])

    with pytest.raises(ZeroDivisionError), render.time(kind="pdf"):
        _ = 1 / 0

    ((series, value),) = recorder.take().items()
    assert "pdf" == series.label("kind")
    assert 1 == value.count


def test_values_and_labels_need_not_be_of_the_exact_type(recorder: Recorder):
    """A Decimal amount and a number as label are what they look like."""
    paid = counter("paid_euros_total", "Paid.", labels=["shop"])

    paid.inc(Decimal("1.5"), shop=7)

    ((series, value),) = recorder.take().items()
    assert ("7", 1.5) == (series.label("shop"), value)


@pytest.mark.parametrize(
    ("amount", "labels"),
    [
        (-1, {"plan": "pro"}),
        (float("nan"), {"plan": "pro"}),
        (float("inf"), {"plan": "pro"}),
        (10**400, {"plan": "pro"}),
        ("3", {"plan": "pro"}),
        (1, {}),
        (1, {"plan": "pro", "size": "xl"}),
        (1, {"paln": "pro"}),
    ],
)
def test_wrong_use_is_counted_and_logged_once(
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    amount: object,
    labels: dict[str, str],
):
    """A mistake in a request never raises: it is counted, and one line names it."""
    orders = counter("orders_total", "Orders.", labels=["plan"])

    with caplog.at_level(logging.WARNING, "watchkeeper"):
        orders.inc(amount, **labels)
        orders.inc(amount, **labels)

    assert {} == recorder.take()
    assert 2 == recorder.dropped["invalid_use"]
    assert 1 == len(caplog.records)
    assert "orders_total: not recorded" in caplog.text


def test_a_label_whose_text_fails_does_not_raise(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
):
    """Even an object without a text representation does no harm."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    counter("orders_total", "Orders.", labels=["plan"]).inc(plan=Broken())

    assert {} == recorder.take()


def test_the_same_declaration_twice_is_the_same_instrument():
    """Reloading a module is no error."""
    assert counter("orders_total", "Orders.") is counter("orders_total", "Orders.")


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: counter("orders", "x"), "orders_total"),
        (lambda: counter("1_total", "x"), "not a metric's name"),
        (lambda: gauge("queue-length", "x"), "not a metric's name"),
        (lambda: gauge("x" * 201, "x"), "not a metric's name"),
        (lambda: gauge("watchkeeper_mine", "x"), "Watchkeeper's own"),
        (lambda: histogram("http_server_request_duration_seconds", "x"), "Watchkeeper's own"),
        (lambda: gauge("a", "x", ["b-c"]), "not a label's name"),
        (lambda: gauge("a", "x", ["__b"]), "not a label's name"),
        (lambda: gauge("a", "x", ["service"]), "has the label 'service' already"),
        (lambda: gauge("a", "x", ["b", "b"]), "named twice"),
        (lambda: gauge("a", "x", [f"b{n}" for n in range(11)]), "at most 10 labels"),
        (lambda: gauge("a", "x", "plan"), "labels"),
        (lambda: gauge("a", "x", across="mean"), "write 'sum', 'max' or 'last'"),
        (lambda: [gauge("a", "x"), gauge("a", "y")], "declared twice"),
        (lambda: [gauge("a", "x"), histogram("a", "x")], "declared twice"),
        (lambda: [gauge(f"g{n}", "x") for n in range(501)], "500 metrics"),
    ],
)
def test_wrong_declarations_name_the_cure(declare: object, message: str):
    """A declaration that cannot work fails where it is written, with what to write instead."""
    with pytest.raises(ConfigurationError, match=message):
        declare()
