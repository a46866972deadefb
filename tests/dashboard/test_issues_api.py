"""What the JSON API tells of issues, and of incidents with their issues."""

import json
from dataclasses import replace

import pytest
from dashboards import NOW, SCOPE, Browser, watched
from stored import sample

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.integrations.outcomes import METHODS, OTHER_METHOD
from watchkeeper.runtime.triage import Triage
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    Event,
    Incident,
    IssueCount,
    Release,
)

HERE = {"service": SCOPE.service, "environment": SCOPE.environment}
PAY, SKU = "1:00000000000000aa", "1:00000000000000bb"
HOUR_S = 3_600


def ask(store, address, *, now=NOW):
    """Ask for an address of the API and return its content."""
    answer = Browser(watched(store, now=now)).get(f"/api/v1/{address}")
    assert 200 == answer.status, answer.body
    return json.loads(answer.body)


def refused(store, address):
    """Ask for an address that cannot be read, and return the sentence that says why."""
    answer = Browser(watched(store)).get(f"/api/v1/{address}")
    assert 400 == answer.status, answer.body
    return json.loads(answer.body)["error"]


class Writer:
    """Writes occurrences of errors, a slot for each call."""

    def __init__(self, store):
        self.store = store
        self.worker = store.register(SCOPE, host="web-7", pid=1, at=NOW - 9 * 86_400).id
        self.events = 0
        self.sequence = 0

    def write(self, fingerprint, at, *, count=1, scope=SCOPE, samples=(), **more):
        """Write `count` occurrences at a moment, the first of them with an event."""
        known = {
            "type": "shop.PaymentTimeout" if fingerprint == PAY else "KeyError",
            "title": "PaymentTimeout: no answer" if fingerprint == PAY else "KeyError: 'sku'",
            "culprit": "shop.pay:charge" if fingerprint == PAY else "shop.cart:add",
        }
        route, path = more.pop("route", "/checkout"), more.pop("path", "")
        method = more.pop("method", "POST")
        found = IssueCount(
            fingerprint=fingerprint,
            count=count,
            first_at=at,
            last_at=at,
            routes={f"{method} {route}".strip(): count},
            path=path,
            **known,
            users=more.pop("users", ()),
        )
        self.events += 1
        self.sequence += 1
        event = Event(
            id=f"{self.events:032x}",
            fingerprint=fingerprint,
            at=at,
            method=method,
            route=route,
            status=500,
            release=scope.release,
            request_id=more.pop("request_id", ""),
            path=path,
            data={"type": known["type"], "message": "no answer", "why": ["type KeyError"]},
        )
        frame = Frame(key=FrameKey(10, int(at) // 10 * 10, self.worker, self.sequence))
        self.store.write(
            Batch(scope=scope, frame=frame, at=at, issues=[found], events=[event], samples=samples)
        )

    def number(self, fingerprint):
        """Find the number of an issue."""
        return self.store.issue_ids([fingerprint], **HERE)[fingerprint]


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def writer(store):
    return Writer(store)


def act(store, *, now=NOW - 60):
    """Do something with issues as Alice."""
    return Triage(store, SCOPE, actor="cli alice", now=now)


def incident(store, rule="High error rate", *, since, until=None, state="firing", **data):
    """Store an incident and return its number."""
    row = AlertRow(**HERE, rule=rule, group="", state="firing", data={})
    made = Incident(
        **HERE,
        rule=rule,
        group="",
        severity="critical",
        state=state,
        started_at=since,
        fired_at=since,
        resolved_at=until,
        peak=0.4,
        reason="breach",
        data={"summary": "7 % > 5 %", **data},
    )
    return store.save_alert(AlertChange(row=row, incident=made), at=since).incident


class TestList:
    """Issues, searched."""

    def test_an_issue_tells_how_often_where_and_since_when(self, store, writer):
        """Totals, the last 24 hours, releases and what was done with it."""
        writer.write(PAY, NOW - 3 * 86_400, count=7, users=("u1", "u2"))
        newer = Scope(service=SCOPE.service, environment=SCOPE.environment, release="v2.32")
        writer.write(PAY, NOW - 5 * HOUR_S, count=2, users=("u2",), scope=newer)
        act(store).mute(writer.number(PAY), users=10)

        content = ask(store, "errors.json")

        assert (SCOPE.service, NOW, False) == (content["service"], content["at"], content["more"])
        (one,) = content["issues"]
        assert {
            "id": writer.number(PAY),
            "fingerprint": PAY,
            "type": "shop.PaymentTimeout",
            "title": "PaymentTimeout: no answer",
            "culprit": "shop.pay:charge",
            "level": "error",
            "state": "muted",
            "state_at": NOW - 60,
            "state_by": "cli alice",
            "until": {"users": 10},
            "next_release": False,
            "is_new": False,
            "rising": None,
            "count": 9,
            "users": 2,
            "first_at": NOW - 3 * 86_400,
            "last_at": NOW - 5 * HOUR_S,
            "first_release": "v2.31",
            "last_release": "v2.32",
            "hours": [0] * 19 + [2] + [0] * 4,
        } == one

    def test_a_new_issue_and_a_rising_one_are_marked(self, store, writer):
        """New for a day; rising with three times as many as in the mean hour before."""
        for hour in range(2, 30):
            writer.write(SKU, NOW - hour * HOUR_S, count=2)
        writer.write(SKU, NOW - 100, count=12)
        writer.write(PAY, NOW - 100, count=50)

        new, rising = ask(store, "errors.json")["issues"]
        assert ("shop.PaymentTimeout", True, None) == (new["type"], new["is_new"], new["rising"])
        assert ("KeyError", False) == (rising["type"], rising["is_new"])
        assert pytest.approx(6.0, rel=0.1) == rising["rising"]
        assert ["KeyError"] == types(ask(store, "errors.json?state=rising"))
        assert ["shop.PaymentTimeout"] == types(ask(store, "errors.json?state=new"))
        assert [] == types(ask(store, "errors.json?state=new,rising"))

    @pytest.mark.parametrize(
        ("found", "query"),
        [
            ([PAY, SKU], ""),
            ([PAY], "state=resolved"),
            ([PAY, SKU], "state=open,resolved"),
            ([SKU], "state=open"),
            ([], "state=muted"),
            ([PAY], "type=shop.PaymentTimeout"),
            ([PAY], "search=no%20ANSWER"),
            ([SKU], "search=cart"),
            ([SKU], "route=/cart"),
            ([SKU], "route=POST%20/cart"),
            ([PAY], "user=u1"),
            ([SKU], "request_id=req-2"),
            ([PAY, SKU], "release=v2.31"),
            ([], "release=v1"),
            ([PAY], "since=1h"),
            ([PAY, SKU], "since=1d"),
            ([SKU, PAY], "sort=count"),
            ([PAY, SKU], "sort=users"),
            ([SKU], "sort=count&limit=1"),
            ([PAY], "sort=count&limit=1&offset=1"),
            ([PAY, SKU], "level=error"),
        ],
    )
    def test_issues_are_searched(self, store, writer, found, query):
        """By state, text, type, route, release, user, request and time; sorted as asked."""
        writer.write(SKU, NOW - 2 * HOUR_S, count=9, route="/cart", request_id="req-2")
        writer.write(PAY, NOW - 100, users=("u1",), request_id="req-1")
        act(store, now=NOW - 50).resolve(writer.number(PAY))

        names = {"shop.PaymentTimeout": PAY, "KeyError": SKU}
        assert found == [names[one] for one in types(ask(store, f"errors.json?{query}"))]

    @pytest.mark.parametrize("method", sorted({*METHODS, OTHER_METHOD}))
    def test_a_route_without_a_method_finds_every_one(self, store, writer, method):
        """All that requests are counted by."""
        writer.write(PAY, NOW - 100, route="/cart", method=method)

        assert ["shop.PaymentTimeout"] == types(ask(store, "errors.json?route=/cart"))

    def test_more_says_that_there_are_further_ones(self, store, writer):
        """A page that is full is told apart from the last one."""
        writer.write(SKU, NOW - 200)
        writer.write(PAY, NOW - 100)

        assert [True, False] == [
            ask(store, f"errors.json?limit=1&offset={offset}")["more"] for offset in (0, 1)
        ]

    @pytest.mark.parametrize(
        ("problem", "query"),
        [
            ("state: 'closed' is none of open, resolved", "state=closed"),
            ("since: '1 day' is not a duration", "since=1%20day"),
            ("sort: 'age' is none of last_seen", "sort=age"),
            ("search has at most 200 characters", f"search={'x' * 201}"),
            ("limit is a number from 1 to 500", "limit=0"),
        ],
    )
    def test_a_search_that_makes_no_sense_is_refused(self, store, problem, query):
        """The sentence says which word is wrong, and how it is written."""
        assert refused(store, f"errors.json?{query}").startswith(problem)


def types(content):
    """Return the types of listed issues."""
    return [one["type"] for one in content["issues"]]


class TestOne:
    """All of one issue."""

    def test_an_issue_tells_where_it_happens(self, store, writer):
        """Routes, releases and call paths with their counts, and trends of a day to a month."""
        writer.write(PAY, NOW - 3 * 86_400, count=2, route="/a", path="p1")
        writer.write(PAY, NOW - 100, count=5, route="/b", path="p2")

        one = ask(store, f"errors/{writer.number(PAY)}.json")

        assert [("POST /b", 5), ("POST /a", 2)] == pairs(one["routes"])
        assert [("v2.31", 7)] == pairs(one["releases"])
        assert [("p2", 5), ("p1", 2)] == pairs(one["paths"])
        assert [(24, 5), (28, 7), (30, 7)] == [
            (len(one[name]["counts"]), sum(one[name]["counts"]))
            for name in ("day", "week", "month")
        ]
        assert [HOUR_S, 6 * HOUR_S, 24 * HOUR_S] == [
            one[name]["bar_s"] for name in ("day", "week", "month")
        ]
        assert [PAY] == one["fingerprints"]

    def test_its_occurrences_can_be_turned_over(self, store, writer):
        """The newest first; the second is the one before; past the last one is the last."""
        writer.write(PAY, NOW - 300, request_id="req-1")
        writer.write(PAY, NOW - 200, request_id="req-2")
        address = f"errors/{writer.number(PAY)}.json"

        seen = [ask(store, address + query)["event"] for query in ("", "?event=2", "?event=50")]

        assert [(1, 2, "req-2"), (2, 2, "req-1"), (2, 2, "req-1")] == [
            (one["number"], one["kept"], one["event"]["request_id"]) for one in seen
        ]
        assert ["type KeyError"] == seen[0]["data"]["why"]

    def test_its_kept_occurrences_are_listed(self, store, writer):
        """With what tells them apart, page by page."""
        writer.write(PAY, NOW - 300, request_id="req-1")
        writer.write(PAY, NOW - 200, request_id="req-2")
        address = f"errors/{writer.number(PAY)}/events.json"

        content = ask(store, f"{address}?limit=1&offset=1")

        assert not content["more"]
        assert [("req-1", "/checkout", 500, writer.number(PAY))] == [
            (one["request_id"], one["route"], one["status"], one["issue"])
            for one in content["events"]
        ]
        assert ask(store, f"{address}?limit=1")["more"]

    def test_its_history_tells_who_did_what(self, store, writer):
        """Changes of state and comments, newest first."""
        writer.write(PAY, NOW - 300)
        act(store, now=NOW - 200).comment(writer.number(PAY), "looking")
        act(store, now=NOW - 100).ignore(writer.number(PAY))

        history = ask(store, f"errors/{writer.number(PAY)}.json")["history"]

        assert [
            (NOW - 100, "cli alice", "open", "ignored", "asked", ""),
            (NOW - 200, "cli alice", "open", "open", None, "looking"),
        ] == [
            tuple(one[key] for key in ("at", "actor", "before", "after", "reason", "comment"))
            for one in history
        ]

    def test_its_samples_are_those_that_failed_with_it(self, store, writer):
        """From an issue to the requests, with all that happened inside of them."""
        failed = replace(sample(1, at=NOW - 300), fingerprint=PAY)
        other = replace(sample(2, at=NOW - 300), fingerprint=SKU)
        writer.write(PAY, NOW - 300, samples=[failed, other])

        (one,) = ask(store, f"errors/{writer.number(PAY)}.json")["samples"]

        assert (failed.id, writer.number(PAY)) == (one["id"], one["issue"])

    def test_its_incidents_tell_of_it_or_it_began_or_rose_within_them(self, store, writer):
        """What was sent about it, and alerts of its routes and of the service that it explains."""
        writer.write(PAY, NOW - 7_000)
        writer.write(PAY, NOW - 300, count=20)
        issue = writer.number(PAY)
        labels = {"route": "/checkout"}
        began = incident(store, "Began", since=NOW - 7_100, until=NOW - 6_900)
        new = incident(store, "New issue", since=NOW - 7_000, state="event", issue=issue)
        rose = incident(store, "High error rate", since=NOW - 700, until=NOW - 250)
        here = incident(store, "Slow", since=NOW - 600, labels=labels, until=NOW - 200)
        incident(store, "Elsewhere", since=NOW - 600, labels={"route": "/cart"})
        incident(store, "Not then", since=NOW - 4_000, labels=labels, until=NOW - 2_000)
        incident(store, "Another issue", since=NOW - 600, state="event", issue=issue + 1)

        found = [one["id"] for one in ask(store, f"errors/{issue}.json")["incidents"]]

        assert [here, rose, new, began] == found

    @pytest.mark.parametrize("labels", [{}, {"route": "/checkout"}, {"route": "(quiet)"}])
    @pytest.mark.parametrize("until", [None, NOW - 250])
    def test_issue_and_incident_name_each_other(self, store, writer, labels, until):
        """The same test on both sides, whatever the incident is about."""
        writer.write(SKU, NOW - 9_000, count=50, route="/checkout")
        writer.write(SKU, NOW - 300, count=12, route="/checkout")
        writer.write(PAY, NOW - 280)
        number = incident(store, since=NOW - 600, until=until, labels=labels)

        within = ask(store, f"incidents/{number}.json")["issues"]

        assert [writer.number(PAY), writer.number(SKU)] == [one["id"] for one in within]
        for one in within:
            listed = ask(store, f"errors/{one['id']}.json")["incidents"]
            assert [number] == [row["id"] for row in listed]

    def test_an_incident_of_a_job_and_its_issue_name_each_other(self, store, writer):
        """A job's name may have spaces."""
        name = "job:nightly import"
        writer.write(PAY, NOW - 300, route=name, method="")
        writer.write(SKU, NOW - 300)
        number = incident(store, since=NOW - 400, labels={"job": "nightly import"})

        assert [writer.number(PAY)] == [
            one["id"] for one in ask(store, f"incidents/{number}.json")["issues"]
        ]
        assert [number] == [
            one["id"] for one in ask(store, f"errors/{writer.number(PAY)}.json")["incidents"]
        ]

    def test_incidents_of_an_issue_that_was_merged_into_it_stay(self, store, writer):
        """A link from a message leads on, and the issue goes on naming it."""
        writer.write(PAY, NOW - 300)
        writer.write(SKU, NOW - 300)
        pay, sku = writer.number(PAY), writer.number(SKU)
        told = incident(store, "New issue", since=NOW - 300, state="event", issue=sku)
        act(store).merge(pay, sku)

        assert [told] == [one["id"] for one in ask(store, f"errors/{sku}.json")["incidents"]]

    @pytest.mark.parametrize("address", ["errors/77.json", "errors/77/events.json"])
    def test_an_issue_that_is_not_there_is_not_found(self, store, address):
        """Nor is one of another service."""
        assert 404 == Browser(watched(store)).get(f"/api/v1/{address}").status

    def test_an_issue_of_another_service_is_not_found(self, store):
        """A number of the same database names nothing here."""
        Writer(store).write(PAY, NOW - 9, scope=Scope(service="b", environment="production"))

        assert 404 == Browser(watched(store)).get("/api/v1/errors/1.json").status

    def test_an_issue_without_events_has_none(self, store):
        """Counts outlive events: what is not there any more is null."""
        frame = Frame(key=FrameKey(10, int(NOW) - 60, 1, 0))
        found = IssueCount(
            fingerprint=PAY, count=3, first_at=NOW, last_at=NOW, type="E", title="E", culprit=""
        )
        store.write(Batch(scope=SCOPE, frame=frame, at=NOW, issues=[found]))

        one = ask(store, "errors/1.json")

        assert (None, 3) == (one["event"], one["issue"]["count"])

    def test_resolved_in_the_next_release_is_told(self, store, writer):
        """Not only that somebody repaired it, but as from when."""
        writer.write(PAY, NOW - 300)
        store.mark_release(Release(scope=SCOPE, at=NOW - 400))
        act(store).resolve(writer.number(PAY), next_release=True)

        issue = ask(store, f"errors/{writer.number(PAY)}.json")["issue"]

        assert ("resolved", True, None) == (issue["state"], issue["next_release"], issue["until"])


def pairs(shares):
    """Return values with their counts."""
    return [(one["value"], one["count"]) for one in shares]


class TestLinks:
    """From samples and incidents to issues."""

    def test_a_sample_names_the_errors_of_its_request(self, store, writer):
        """By the request's id, whichever issue they are of, handled ones as well."""
        failed = replace(sample(1, at=NOW - 300), fingerprint=PAY, request_id="req-1")
        writer.write(PAY, NOW - 301, samples=[failed], request_id="req-1")
        writer.write(SKU, NOW - 302, request_id="req-1")
        writer.write(SKU, NOW - 303, request_id="req-2")

        found = ask(store, f"samples/{failed.id}.json")

        assert writer.number(PAY) == found["sample"]["issue"]
        assert [(writer.number(PAY), NOW - 301), (writer.number(SKU), NOW - 302)] == [
            (one["issue"], one["at"]) for one in found["events"]
        ]

    def test_a_sample_without_an_id_has_no_errors(self, store, writer):
        """What has no id is not of one request together."""
        plain = replace(sample(1, at=NOW - 300), request_id="")
        writer.write(SKU, NOW - 300, samples=[plain])

        assert [] == ask(store, f"samples/{plain.id}.json")["events"]

    def test_an_incident_names_what_began_or_rose_within_it(self, store, writer):
        """New issues first, then those with three times as many as before; not the others."""
        steady, rose = "1:00000000000000cc", SKU
        for minutes in range(0, 120, 10):
            writer.write(steady, NOW - 60 * minutes - 30, count=5)
        writer.write(rose, NOW - 5_000, count=2)
        writer.write(rose, NOW - 600, count=61)
        writer.write(PAY, NOW - 700, count=412)
        number = incident(store, since=NOW - 900)

        content = ask(store, f"incidents/{number}.json")

        assert ("firing", NOW - 900, None, 0.4, "breach") == tuple(
            content[key] for key in ("state", "started_at", "resolved_at", "peak", "reason")
        )
        assert "High error rate" == content["incident"]["rule"]
        assert [
            (writer.number(PAY), True, 412, 0),
            (writer.number(rose), False, 61, 0),
        ] == [(one["id"], one["is_new"], one["count"], one["before"]) for one in content["issues"]]

    def test_an_old_incident_is_counted_in_whole_hours(self, store, writer):
        """Of what happened days ago no more than the hour is known."""
        hour = (NOW - 5 * 86_400) // HOUR_S * HOUR_S
        writer.write(PAY, hour, count=39)
        writer.write(PAY, hour + 1_900)
        number = incident(store, since=hour + 1_800, until=hour + 2_700)

        (one,) = ask(store, f"incidents/{number}.json")["issues"]

        assert (40, 0) == (one["count"], one["before"])

    def test_an_incident_of_an_issue_names_it(self, store, writer):
        """From the message to the issue, also once it went into another one."""
        writer.write(PAY, NOW - 7_200, count=4)
        writer.write(SKU, NOW - 7_200)
        pay, sku = writer.number(PAY), writer.number(SKU)
        number = incident(store, "Issue came back", since=NOW - 60, state="event", issue=sku)
        act(store).merge(pay, sku)

        (one,) = ask(store, f"incidents/{number}.json")["issues"]

        assert pay == one["id"]

    def test_an_incident_keeps_its_issues_on_a_busy_service(self, store, writer):
        """Many that were seen since do not push them out."""
        writer.write(PAY, NOW - 80_000, count=3)
        number = incident(store, since=NOW - 80_100, until=NOW - 79_000)
        for one in range(300):
            writer.write(f"1:ff{one:014x}", NOW - 9_000 + one, count=4)

        (one,) = ask(store, f"incidents/{number}.json")["issues"]

        assert writer.number(PAY) == one["id"]

    def test_before_is_counted_as_finely_as_within(self, store, writer):
        """Where the span before is known by the hour alone, hours are compared with hours."""
        start = (NOW - 47 * HOUR_S) // HOUR_S * HOUR_S
        writer.write(PAY, start - 4 * HOUR_S - 600, count=30)
        writer.write(PAY, start + 60, count=40)
        store.roll_issue_counts(HOUR_S, before=start - HOUR_S, limit=9)
        number = incident(store, since=start, until=start + 4 * HOUR_S)

        assert [] == ask(store, f"incidents/{number}.json")["issues"]

    def test_an_incident_and_its_requests_name_each_other(self, store, writer):
        """Failed ones first, then slow ones; an ordinary one is of none, nor is one of before."""
        failed = replace(sample(1, at=NOW - 300), reason="failed")
        slow = replace(sample(2, at=NOW - 200), reason="slow")
        ordinary = replace(sample(3, at=NOW - 200), reason="ordinary")
        before = replace(sample(4, at=NOW - 5_000), reason="failed")
        writer.write(PAY, NOW - 300, samples=[failed, slow, ordinary, before])
        number = incident(store, since=NOW - 400)
        route = incident(store, "Slow", since=NOW - 400, labels={"route": failed.route})
        incident(store, "Elsewhere", since=NOW - 400, labels={"route": "/elsewhere"})
        incident(store, "Before", since=NOW - 9_000, until=NOW - 8_000)

        rows = ask(store, f"incidents/{number}.json")["samples"]

        assert [failed.id, slow.id] == [one["id"] for one in rows]
        for one in (failed, slow):
            found = ask(store, f"samples/{one.id}.json")["incidents"]
            assert [route, number] == [row["id"] for row in found]
        for one in (ordinary, before):
            assert [] == ask(store, f"samples/{one.id}.json")["incidents"]

    def test_an_incident_of_an_issue_and_its_requests_name_each_other(self, store, writer):
        """Also once it went into another one; a request that failed otherwise is not named."""
        ours = replace(sample(1, at=NOW - 300), reason="failed", fingerprint=SKU)
        other = replace(sample(2, at=NOW - 300), reason="failed", fingerprint="1:cc")
        writer.write(PAY, NOW - 7_200)
        writer.write(SKU, NOW - 300, samples=[ours, other])
        number = incident(
            store, "New issue", since=NOW - 290, state="event", issue=writer.number(SKU)
        )
        act(store).merge(writer.number(PAY), writer.number(SKU))

        rows = ask(store, f"incidents/{number}.json")["samples"]

        assert [ours.id] == [one["id"] for one in rows]
        assert [[number], []] == [
            [row["id"] for row in ask(store, f"samples/{one.id}.json")["incidents"]]
            for one in (ours, other)
        ]

    def test_the_errors_of_a_request_are_those_that_they_are_stored_under(self, store, writer):
        """Of what came by a call path that was split off, the new issue."""
        failed = replace(sample(1, at=NOW - 300), fingerprint=PAY, path="pb", request_id="req-1")
        other = replace(sample(2, at=NOW - 301), fingerprint=PAY, path="pa")
        writer.write(PAY, NOW - 302, path="pa", samples=[other])
        writer.write(PAY, NOW - 301, path="pb", samples=[failed], request_id="req-1")
        made = act(store).split(writer.number(PAY), path="pb")

        found = ask(store, f"samples/{failed.id}.json")

        assert [made.id] == [one["issue"] for one in found["events"]]
        assert made.id == found["sample"]["issue"]
        for issue, one in ((made.id, failed), (writer.number(PAY), other)):
            for address in (f"errors/{issue}.json", f"samples.json?issue={issue}"):
                assert [one.id] == [row["id"] for row in ask(store, address)["samples"]]

    def test_an_incident_goes_with_the_issue_that_was_merged_and_split_off_again(
        self, store, writer
    ):
        """The old links lead to the new issue, and it alone names them."""
        writer.write(PAY, NOW - 7_200)
        writer.write(SKU, NOW - 7_200)
        pay, sku = writer.number(PAY), writer.number(SKU)
        told = incident(store, "New issue", since=NOW - 7_200, state="event", issue=sku)
        act(store, now=NOW - 60).merge(pay, sku)
        made = act(store, now=NOW - 30).split(pay, fingerprint=SKU)

        assert [made.id] == [one["id"] for one in ask(store, f"incidents/{told}.json")["issues"]]
        assert [[told], []] == [
            [one["id"] for one in ask(store, f"errors/{issue}.json")["incidents"]]
            for issue in (made.id, pay)
        ]

    def test_an_incident_that_is_not_there_is_not_found(self, store):
        """Nor is one of another service."""
        assert 404 == Browser(watched(store)).get("/api/v1/incidents/5.json").status


def test_every_store_tells_the_same(store_url):
    """What was written is read from a file and from a server as from memory."""
    store = open_store(store_url)
    store.migrate()
    writer = Writer(store)
    failed = replace(sample(1, at=NOW - 300), fingerprint=PAY, request_id="req-1")
    writer.write(PAY, NOW - 300, count=12, samples=[failed], users=("u1",), request_id="req-1")
    writer.write(SKU, NOW - 200, route="/cart", path="p1")
    pay, sku = writer.number(PAY), writer.number(SKU)
    number = incident(store, since=NOW - 200)
    act(store).mute(sku, events=100, comment="known")

    listed = ask(store, "errors.json")
    muted = ask(store, "errors.json?state=muted&route=/cart&search=SKU")
    one = ask(store, f"errors/{pay}.json")
    other = ask(store, f"errors/{sku}.json")
    found = ask(store, f"samples/{failed.id}.json")
    within = ask(store, f"incidents/{number}.json")["issues"]
    store.close()

    assert [(sku, "muted", {"events": 101}), (pay, "open", None)] == [
        (row["id"], row["state"], row["until"]) for row in listed["issues"]
    ]
    assert [sku] == [row["id"] for row in muted["issues"]]
    assert (12, 1, [0] * 23 + [12]) == tuple(
        one["issue"][key] for key in ("count", "users", "hours")
    )
    assert [("POST /checkout", 12)] == pairs(one["routes"])
    assert [failed.id] == [row["id"] for row in one["samples"]]
    assert [("p1", 1)] == pairs(other["paths"])
    assert ["known"] == [row["comment"] for row in other["history"]]
    assert [pay] == [row["issue"] for row in found["events"]]
    assert [(pay, 12), (sku, 1)] == [(row["id"], row["count"]) for row in within]
