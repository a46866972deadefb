"""The border that every text of the host's passes before it is written."""

import logging
from collections.abc import Iterator

import pytest

from watchkeeper.core.catalogue import HTTP_INSIDE
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.scrub import DEFAULT_RULES, MASK, Rules
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.recorder import Recorder

SHOP = Scope(service="shop", environment="test", release="token=1")


@pytest.fixture
def own_rules() -> Iterator[None]:
    """Scrub by rules of a user's own meanwhile."""
    scrubbing.use(Rules.made_of(keys=["plate"], exempt=["session"], values=["email"]))
    yield
    scrubbing.use(DEFAULT_RULES)


def counter(**labels: str) -> Series:
    """Name a counter with labels."""
    pairs = tuple(sorted([*SHOP.labels, *labels.items()]))
    return Series("paid_total", Kind.COUNTER, pairs)


def test_the_rules_of_the_settings_are_in_force(own_rules: None):
    """Further keys, exempt ones and kinds of values, in whatever is written."""
    assert f"plate={MASK} of {MASK}, session=7" == scrubbing.text(
        "plate=X1 of ann@shop.example, session=7"
    )
    assert {"plate": MASK, "session": 7} == scrubbing.value({"plate": "X1", "session": 7})
    assert f"plate = {MASK}" == scrubbing.source('plate = "X1"')


def test_names_are_looked_at_anew_when_the_rules_change(own_rules: None):
    """What is remembered of the rules before is forgotten."""
    assert f"plate={MASK}" == scrubbing.name("plate=X1")

    scrubbing.use(DEFAULT_RULES)

    assert "plate=X1" == scrubbing.name("plate=X1")


def test_texts_of_a_mapping_are_cut():
    """After they were scrubbed, with a sign that something is missing."""
    assert {"a": "xxx…", "b": 7} == scrubbing.mapping({"a": "xxxxxx", "b": 7}, limit=4)


def test_labels_hold_no_secret_and_counts_stay_exact():
    """Two label values that are the same without their secrets are one series; scope stays."""
    raw = {
        counter(note="token=abc"): 2.0,
        counter(note="token=def"): 3.0,
        counter(note="plain"): 5.0,
        counter(api_key="abc"): 7.0,
    }

    assert {
        counter(note=f"token={MASK}"): 5.0,
        counter(note="plain"): 5.0,
        counter(api_key=MASK): 7.0,
    } == scrubbing.values(raw)


def test_what_a_recorder_took_keeps_its_series():
    """Labels without secrets cost nothing: the very same series."""
    recorder = Recorder(SHOP)
    recorder.series(HTTP_INSIDE, {"kind": "db", "route": "/pay"}).record(0.5)

    taken = recorder.take()
    scrubbed = scrubbing.values(taken)

    assert [id(series) for series in taken] == [id(series) for series in scrubbed]
    assert all(isinstance(value, Histogram) for value in scrubbed.values())


class UnreadableError(Exception):
    """An error that cannot even tell its text."""

    def __str__(self) -> str:
        raise ValueError("password=hunter2")


def test_our_own_log_quotes_no_secret(own_rules: None, caplog: pytest.LogCaptureFixture):
    """Neither in its sentence nor in the traceback below it, and whatever the error is."""
    log = logging.getLogger("watchkeeper")
    try:
        raise ValueError("cannot: password=hunter2")
    except ValueError as error:
        log.warning("watchkeeper: x failed: %s", error, exc_info=error)
    log.warning("watchkeeper: y failed: %s", UnreadableError())

    assert f"x failed: cannot: password={MASK}" in caplog.text
    assert f"ValueError: cannot: password={MASK}" in caplog.text
    assert "hunter2" not in caplog.text
