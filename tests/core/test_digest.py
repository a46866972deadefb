"""Messages that stand for others: what they list and say."""

import pytest

from watchkeeper.core.digest import (
    MAX_LISTED,
    digest,
    report_due,
    report_sequence,
    undelivered,
)

NOW = 1_000_000.0


def payload(incident: int, *, rule: str = "Slow route", ended_at: float | None = None, **more):
    return {
        "rule": rule,
        "severity": "warning",
        "status": "resolved" if ended_at else "firing",
        "service": "shop",
        "environment": "test",
        "summary": f"{rule} {incident}",
        "started_at": NOW - incident,
        "ended_at": ended_at,
        "link": "https://shop.example/",
        "alerts": [{"incident": incident, "labels": {"route": f"/{incident}"}, "summary": ""}],
    } | more


def test_a_digest_lists_every_incident_once():
    """Of several messages of one incident the last counts; what is still firing comes first."""
    told = digest(
        [payload(1), payload(2), payload(1, ended_at=NOW), payload(3, rule="High error rate")],
        now=NOW,
    )

    assert [2, 3, 1] == [one["incident"] for one in told["alerts"]]
    assert ["Slow route 2", "High error rate 3", "Slow route 1"] == [
        one["summary"] for one in told["alerts"]
    ]
    assert (
        "3 incidents beyond the limit of messages, 2 still firing: "
        "Slow route (2), High error rate" == told["summary"]
    )
    assert ("firing", "warning", NOW - 3, None, 0) == tuple(
        told[key] for key in ("status", "severity", "started_at", "ended_at", "more")
    )


def test_a_digest_of_what_is_over_does_not_say_firing():
    """All that it lists has ended."""
    told = digest([payload(1, ended_at=NOW, severity="critical")], now=NOW)

    assert ("resolved", "critical", NOW) == (told["status"], told["severity"], told["ended_at"])
    assert told["summary"].startswith("1 incident beyond")


def mass(first: int, last: int, *, listed: int = 30, ended_at: float | None = None):
    """Make the message of a mass failure: it names all its incidents, and lists some."""
    told = list(range(first, last + 1))
    alerts = [{"incident": number, "ended_at": ended_at} for number in told[:listed]]
    return payload(
        first,
        incidents=told,
        alerts=alerts,
        more=len(told) - len(alerts),
        ended_at=ended_at,
    )


@pytest.mark.parametrize(
    ("payloads", "incidents", "firing", "listed"),
    [
        ([mass(1, 40)], 40, 40, 30),
        ([mass(1, 40), mass(41, 41)], 41, 41, 31),
        ([mass(1, 40), mass(1, 40)], 40, 40, 30),
        ([mass(2, 40), mass(1, 40)], 40, 40, 31),
        ([mass(1, 40), mass(1, 40, ended_at=NOW)], 40, 0, 30),
        ([mass(1, 40), mass(1, 30, ended_at=NOW)], 40, 10, 30),
        ([mass(31, 40, listed=0)], 10, 10, 0),
        ([mass(1, 40), mass(30, 41, listed=0, ended_at=NOW)], 41, 29, 30),
        ([payload(0, alerts=[{}], more=100, ended_at=NOW), payload(2)], 102, 1, 2),
    ],
)
def test_what_the_messages_did_not_list_is_counted(payloads, incidents, firing, listed):
    """Each incident once, whichever messages tell of it, as the last of them says."""
    told = digest(payloads, now=NOW)

    assert told["summary"].startswith(
        f"{incidents} incidents beyond the limit of messages, {firing} still firing"
    )
    assert (listed, incidents - listed) == (len(told["alerts"]), told["more"])
    assert (None if firing else NOW) == told["ended_at"]


def test_a_digest_stays_below_a_size():
    """The rest is counted, and rules beyond five are not named."""
    told = digest([payload(n, rule=f"rule {n}") for n in range(1, 251)], now=NOW)

    assert MAX_LISTED == len(told["alerts"])
    assert 50 == told["more"]
    assert told["summary"].endswith("rule 5, 245 more rules")


def test_what_lists_nothing_is_listed_by_its_sentence():
    """A message of a shape that is not known is not lost."""
    told = digest([{"summary": "odd"}, {"summary": "other", "severity": "page"}], now=NOW)

    assert ["odd", "other"] == [one["summary"] for one in told["alerts"]]
    assert ("page", NOW) == (told["severity"], told["started_at"])
    assert "warning" == digest([], now=NOW)["severity"]


def test_a_channel_that_lost_messages_is_told_of_through_others():
    """With how many, and what it said."""
    place = {"service": "shop", "environment": "test", "now": NOW}

    one = undelivered("team", count=1, error="answered 554", **place)
    three = undelivered("team", count=3, error="answered 554", **place)

    assert "channel team: 1 message not delivered: answered 554" == one["summary"]
    assert "channel team: 3 messages not delivered: answered 554" == three["summary"]
    assert {"channel": "team"} == three["alerts"][0]["labels"]


def test_a_channel_is_told_of_once_an_hour():
    """Whichever worker tells it; two channels have reports of their own."""
    assert report_due(reported_at=0.0, now=NOW)
    assert not report_due(reported_at=NOW - 3_599, now=NOW)
    assert report_due(reported_at=NOW - 3_600, now=NOW)
    assert report_sequence("team", now=NOW) != report_sequence("team", now=NOW + 3_600)
    assert report_sequence("team", now=NOW) != report_sequence("oncall", now=NOW)


def test_a_digest_of_one_message_keeps_its_links():
    """Those of several act on the incidents of one of them: then it is said how to act."""
    acting = {"ack_link": "https://shop.example/ack", "silence_link": "", "incidents": [1]}

    one, two = digest([payload(1, **acting)], now=NOW), digest([payload(1), payload(2)], now=NOW)
    over = digest([payload(1, ended_at=NOW), payload(2, ended_at=NOW)], now=NOW)

    assert acting == {key: one[key] for key in acting}
    assert "ack_link" not in two
    assert "https://shop.example/" == two["link"]
    assert [0, 1, 0] == [len(told["next_steps"]) for told in (one, two, over)]


def test_a_digest_leads_to_the_page_that_shows_all():
    """The page of one issue, or of the checks, does not show the others."""
    issue, time = "https://shop.example/errors/7", "https://shop.example/?range=1h&end=7"

    assert time == digest([payload(1, link=issue), payload(2, link=time)], now=NOW)["link"]
    assert issue == digest([payload(1, link=issue)], now=NOW)["link"]
    assert "" == digest([], now=NOW)["link"]
