"""The catalogue follows the conventions that its names promise."""

import re

import pytest

from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.metrics import Across, Kind, Metric, Scope, Series


def test_every_name_is_unique():
    """A name stands for one metric."""
    assert len(CATALOGUE) == len({metric.name for metric in CATALOGUE})


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_carry_their_unit(metric: Metric):
    """Counters end in _total, histograms in a base unit; every metric says what it is."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert metric.kind is not Kind.HISTOGRAM or metric.name.endswith(("_seconds", "_bytes"))
    assert metric.help.endswith(".")


def test_scope_labels_are_sorted():
    """Labels of a series are sorted, so that equal sets are equal."""
    scope = Scope(service="shop", environment="test", release="7")

    assert (
        ("environment", "test"),
        ("release", "7"),
        ("service", "shop"),
    ) == scope.labels


def test_a_label_can_be_asked_for():
    """A label that a series does not have is the empty text."""
    series = Series("orders_total", Kind.COUNTER, (("plan", "pro"),))

    assert "pro" == series.label("plan")
    assert "" == series.label("route")


def test_series_of_equal_fields_are_one_key():
    """A series made anew finds what was stored under an equal one, and no other."""
    labels = (("plan", "pro"),)
    stored = {Series("orders_total", Kind.COUNTER, labels): 7}

    assert 7 == stored[Series("orders_total", Kind.COUNTER, (("plan", "pro"),))]
    assert Series("orders_total", Kind.GAUGE, labels) not in stored
    assert Series("orders_total", Kind.COUNTER, labels, Across.MAX) not in stored
    assert Series("orders_total", Kind.COUNTER, (("plan", "free"),)) not in stored
