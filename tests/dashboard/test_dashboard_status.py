"""The sentence at the top: what is known, and what is not."""

import pytest

from watchkeeper.dashboard.status import Level, Reason, judge, storage_trouble
from watchkeeper.storage.store import Incident

NOW = 1_800_000_000.0


def incident(severity):
    """Return a firing incident."""
    return Incident(
        service="shop",
        environment="production",
        rule="High error rate",
        group="",
        severity=severity,
        state="firing",
        started_at=NOW - 60,
    )


@pytest.mark.parametrize(
    ("severities", "age_s", "evaluated_ago_s", "level", "reason"),
    [
        ([], 5, 5, Level.OK, Reason.QUIET),
        (["warning"], 5, 5, Level.WARNING, Reason.FIRING),
        (["warning", "critical"], 5, 5, Level.CRITICAL, Reason.FIRING),
        ([], None, None, Level.UNKNOWN, Reason.NEVER_SEEN),
        ([], 34, 5, Level.UNKNOWN, Reason.SILENT),
        (["warning"], 34, 5, Level.UNKNOWN, Reason.SILENT),
        (["critical"], 34, 5, Level.CRITICAL, Reason.FIRING),
        ([], 5, None, Level.UNKNOWN, Reason.NOT_EVALUATED),
        ([], 5, 61, Level.UNKNOWN, Reason.NOT_EVALUATED),
        ([], 33, 60, Level.OK, Reason.QUIET),
    ],
)
def test_level_and_reason(severities, age_s, evaluated_ago_s, level, reason):
    """Only fresh data, evaluated lately with nothing firing, are shown as ok."""
    status = judge(
        [incident(severity) for severity in severities],
        data_age_s=age_s,
        evaluated_at=0 if evaluated_ago_s is None else NOW - evaluated_ago_s,
        slot_s=10,
        now=NOW,
    )

    assert (level, reason) == (status.level, status.reason)


def test_silence_says_since_when():
    """A silent application is told from a healthy one, with how long it has been silent."""
    status = judge([], data_age_s=42.4, evaluated_at=NOW - 42, slot_s=10, now=NOW)

    assert "No data for 42 s." == status.sentence


def test_a_critical_alert_over_old_data_says_both():
    """A firing alert stays on top, and the doubt is told with it."""
    status = judge(
        [incident("critical")], data_age_s=120, evaluated_at=NOW - 120, slot_s=10, now=NOW
    )

    assert "High error rate. No data for 2 min." == status.sentence


def test_storage_trouble_is_unknown():
    """A database that does not answer leaves the state unknown, never green."""
    status = storage_trouble("connection refused")

    assert Level.UNKNOWN == status.level
    assert "connection refused" in status.sentence
