"""What a rule reads that was never recorded is told, with the nearest name."""

import pytest

from watchkeeper.core.metrics import Kind
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.unrecorded import RecordedMetric, unrecorded

RECORDED = {
    "http_server_request_duration_seconds": RecordedMetric(
        kinds={Kind.HISTOGRAM},
        labels={"route": ("/checkout", "/cart"), "method": ("GET",), "status": ("200",)},
    ),
    "orders_total": RecordedMetric(kinds={Kind.COUNTER}, labels={"plan": ("pro", "free")}),
    "queue_depth": RecordedMetric(kinds={Kind.GAUGE}, labels={}),
    "moved": RecordedMetric(kinds={Kind.GAUGE, Kind.COUNTER}, labels={}),
}


def said(when: str, *, origin: Origin = Origin.FILE, **fields: object) -> list[str]:
    alert = Alert("Mine", when=when, over="5m", **fields)
    rule = compile_alert(alert, where="test", origin=origin, slot_s=10.0)
    return list(unrecorded(rule, RECORDED))


def test_a_metric_that_was_never_recorded_is_told():
    """With the nearest one, if one is near; once, however often it is named."""
    assert ["order_total was never recorded; did you mean 'orders_total'?"] == said(
        "increase(order_total) > 5 or increase(order_total) > 9"
    )
    assert ["xyz was never recorded"] == said("increase(xyz) > 5")


def test_a_label_and_a_value_that_were_never_recorded_are_told():
    """Of what a rule filters and groups by."""
    assert [
        "route = '/chekout' was never recorded of http_server_request_duration_seconds"
        "; did you mean '/checkout'?"
    ] == said('error_rate{route="/chekout"} > 5%')
    assert ["orders_total has no label 'plans'; did you mean 'plan'? (it has plan)"] == said(
        "increase(orders_total) > 5", by="plans"
    )
    assert ["plan = 'x*' was never recorded of orders_total"] == said(
        'increase(orders_total{plan=~"x*"}) > 5'
    )


@pytest.mark.parametrize(
    ("when", "kind", "instead"),
    [
        ("increase(queue_depth) > 5", "queue_depth is a gauge", "last(…), min(…) or max(…)"),
        ("rate(queue_depth) < 1/min", "queue_depth is a gauge", "last(…), min(…) or max(…)"),
        ("p95(queue_depth) > 5", "queue_depth is a gauge", "last(…), min(…) or max(…)"),
        (
            "last(orders_total) > 5",
            "orders_total is a counter",
            "increase(…), rate(…) or share(…)",
        ),
        (
            "last(http_server_request_duration_seconds) > 1s",
            "http_server_request_duration_seconds is a histogram",
            "p95(…), increase(…) or rate(…)",
        ),
        (
            "increase(host_disk_full_in_seconds) > 1",
            "host_disk_full_in_seconds is a gauge",
            "last(…), min(…) or max(…)",
        ),
    ],
)
def test_a_rule_on_the_wrong_kind_of_metric_is_told(when: str, kind: str, instead: str):
    """It never has a value, or always none; also of our own metrics, recorded or not."""
    assert [f"{kind}: write {instead}"] == said(when)


def test_a_label_to_be_skipped_that_nothing_has_is_told():
    """One that something has which the rule reads is right."""
    assert [
        "skip: there is no label 'rout'; did you mean 'route'? (there are method, route, status)"
    ] == said("p95 > 1s", skip={"rout": "/r/*"})
    assert [] == said("p95 > 1s and last(queue_depth) > 5", skip={"route": "/r/*"})


def test_what_is_right_or_ours_is_not_told():
    """Values that fit, what is excluded, our own metrics, the pack, and where nothing is known."""
    assert [] == said('increase(orders_total{plan="pro"}) > 5', by="plan")
    assert [] == said('error_rate{route!="/health"} > 5%')
    assert [] == said("last(moved) > 1 or increase(moved) > 1")
    assert [] == said("last(host_disk_full_in_seconds) < 1d")
    assert [] == said("increase(order_total) > 5", origin=Origin.PACK)
    rule = compile_alert(
        Alert("Mine", when="increase(order_total) > 5", over="5m"),
        where="test",
        origin=Origin.FILE,
        slot_s=10.0,
    )
    assert [] == list(unrecorded(rule, {}))
