"""What the JSON API tells of deploys, and of what people did."""

import json
from dataclasses import replace

from dashboards import NOW, SCOPE, Browser, watched

from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Audit, Release


def ask(store, address):
    """Ask for an address of the API and return its content."""
    answer = Browser(watched(store)).get(f"/api/v1/{address}")
    assert 200 == answer.status, answer.body
    return json.loads(answer.body)


def mark(release, at, *, by="", service=SCOPE.service):
    """Make the mark of a release."""
    return Release(scope=replace(SCOPE, service=service, release=release), at=at, by=by)


def entry(at, **more):
    """Make an entry of the audit."""
    fields = {"actor": "cli alice", "action": "link.make", "target": "link 1f0c9a2b"}
    return Audit(
        **{"service": SCOPE.service, "environment": SCOPE.environment, "at": at} | fields | more
    )


def test_the_deploys_of_a_window_are_listed():
    """The newest first, with who set it, and what was live before the window."""
    store = MemoryStore()
    for one in (
        mark("v1", NOW - 9_000),
        mark("v2", NOW - 7_200),
        mark("v3", NOW - 1_800, by="cli alice"),
        mark("v4", NOW - 60),
        mark("x9", NOW - 30, service="other"),
    ):
        store.mark_release(one)

    content = ask(store, "releases.json?range=1h")

    assert {
        "service": "shop-api",
        "environment": "production",
        "at": NOW,
        "start": NOW - 3_600,
        "end": NOW,
        "more": False,
        "before": {"release": "v2", "at": NOW - 7_200, "by": None, "kind": "new"},
        "releases": [
            {"release": "v4", "at": NOW - 60, "by": None, "kind": "new"},
            {"release": "v3", "at": NOW - 1_800, "by": "cli alice", "kind": "new"},
        ],
    } == content


def test_deploys_come_in_pages():
    """One knows that there are more."""
    store = MemoryStore()
    for number in range(3):
        store.mark_release(mark(f"v{number}", NOW - 100 + number))

    first = ask(store, "releases.json?limit=2")
    second = ask(store, "releases.json?limit=2&offset=2")

    assert (True, ["v2", "v1"]) == (first["more"], [one["release"] for one in first["releases"]])
    assert (False, ["v0"]) == (second["more"], [one["release"] for one in second["releases"]])
    assert first["before"] is None


def test_a_worker_that_starts_shows_as_a_deploy():
    """Nobody has to mark what a worker runs."""
    store = MemoryStore()
    store.register(SCOPE, host="web-1", pid=1, at=NOW - 300)

    (shown,) = ask(store, "releases.json")["releases"]

    assert {"release": "v2.31", "at": NOW - 300, "by": None, "kind": "new"} == shown


def test_what_people_did_is_listed():
    """The newest first, of this service alone."""
    store = MemoryStore()
    store.audit(entry(NOW - 7_200))
    store.audit(entry(NOW - 100))
    store.audit(entry(NOW - 50, action="session.begin", target="", data={"way": "link"}))
    store.audit(entry(NOW - 20, service="other"))

    content = ask(store, "audit.json?range=1h")

    assert (False, NOW - 3_600, NOW) == (content["more"], content["start"], content["end"])
    assert [
        {
            "at": NOW - 50,
            "actor": "cli alice",
            "action": "session.begin",
            "target": "",
            "data": {"way": "link"},
        },
        {
            "at": NOW - 100,
            "actor": "cli alice",
            "action": "link.make",
            "target": "link 1f0c9a2b",
            "data": {},
        },
    ] == content["entries"]


def test_both_are_closed():
    """Without a session nothing is told."""
    browser = Browser(watched(MemoryStore(), release=""))

    for name in ("releases", "audit"):
        assert 403 == browser.get(f"/api/v1/{name}.json").status
