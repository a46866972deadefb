"""Everything shown is hostile input: a stored script in any field stays text."""

import json
from html.parser import HTMLParser

import pytest
from dashboards import NOW, SCOPE, Browser, fire, minute, requests, text, watched

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Batch, Event, IssueCount

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>'\"`{{7331*7}}"

FRAME = {
    "module": "shop",
    "function": "f",
    "file": "shop.py",
    "line": 3,
    "app": True,
    "source": [[3, "boom()"]],
}


def shop_with(*, title="KeyError", culprit="shop:f", kind="KeyError", release="", **event):
    """Return a store with one issue and its event."""
    store = MemoryStore()
    scope = Scope(service=SCOPE.service, environment=SCOPE.environment, release=release)
    worker = store.register(scope, host="web-1", pid=1, at=NOW - 60)
    data = event.pop("data", {"type": kind, "message": "", "frames": [FRAME]})
    store.write(
        Batch(
            scope=scope,
            frame=Frame(key=FrameKey(10, int(NOW) - 20, worker.id, 0)),
            at=NOW - 5,
            issues=[
                IssueCount(
                    fingerprint="1:aa",
                    count=1,
                    first_at=NOW - 15,
                    last_at=NOW - 15,
                    type=kind,
                    title=title,
                    culprit=culprit,
                )
            ],
            events=[Event(id="e1", fingerprint="1:aa", at=NOW - 15, data=data, **event)],
        )
    )
    return store


def stored(**data):
    """Return a store whose one event holds this data."""
    return shop_with(data={"type": "KeyError", "message": "", "frames": [FRAME], **data})


def frame(**fields):
    """Return a store whose one stack frame holds these fields."""
    return stored(frames=[{**FRAME, **fields}])


def routed(route, method="GET"):
    """Return a store with requests of a route."""
    store = MemoryStore()
    store.add_frames([minute(NOW - 60, requests([0.1], route=route, method=method))])
    return store


def fired(**fields):
    """Return a store with a firing incident."""
    store = MemoryStore()
    fire(store, now=NOW, **fields)
    return store


HOSTILE = {
    "route": routed(EVIL),
    "method": routed("/", EVIL),
    "issue title": shop_with(title=EVIL),
    "issue type": shop_with(kind=EVIL, title=""),
    "issue culprit": shop_with(culprit=EVIL),
    "release": shop_with(release=EVIL),
    "event route": shop_with(route=EVIL, method=EVIL),
    "request id": shop_with(request_id=EVIL),
    "message": stored(message=EVIL),
    "exception type": stored(type=EVIL),
    "frame file": frame(file=EVIL),
    "frame module": frame(file="", module=EVIL),
    "folded module": stored(frames=[{**FRAME, "app": False, "module": EVIL}, FRAME]),
    "frame function": frame(function=EVIL),
    "frame source": frame(source=[[3, EVIL]]),
    "cause": stored(causes=[{"type": EVIL, "message": EVIL, "relation": EVIL, "frames": [FRAME]}]),
    "note": stored(notes=[EVIL]),
    "member": stored(group=[{"type": EVIL, "message": EVIL, "notes": [EVIL], "frames": [FRAME]}]),
    "context key": stored(context={EVIL: 1}),
    "context value": stored(context={"a": {"b": [EVIL]}}),
    "request value": stored(request={"host": EVIL}),
    "why": stored(why=[EVIL]),
    "rule": fired(rule=EVIL),
    "incident text": fired(summary=EVIL),
    "incident group": fired(summary="", group=EVIL),
    "incident severity": fired(severity=EVIL),
}


def elements(page):
    """Return every element of a page as a browser's parser sees it: tag and attributes."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(page)
    parser.close()
    return found


@pytest.mark.parametrize("field", HOSTILE)
def test_a_stored_script_stays_text(field):
    """Whatever a field holds, no page gets an element or an attribute from it."""
    browser = Browser(watched(HOSTILE[field]))

    pages = [text(browser.get(path)) for path in ("/", "/live", "/errors/1", "/charts/rate")]

    assert any("alert(1)" in page for page in pages)
    for page in pages:
        for tag, attributes in elements(page):
            assert tag not in ("iframe", "object", "embed", "base", "style")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("src", "href", "action"):
                assert attributes.get(name, "#").startswith(("/watchkeeper/", "#"))
            assert tag != "script" or "src" in attributes
        assert "51317" not in page


@pytest.mark.parametrize("field", HOSTILE)
def test_json_cannot_be_taken_for_a_page(field):
    """A browser never takes the API's answer for HTML."""
    answer = Browser(watched(HOSTILE[field])).get("/api/v1/overview.json")

    assert "application/json" == dict(answer.headers)["content-type"]
    assert "nosniff" == dict(answer.headers)["x-content-type-options"]
    json.loads(answer.body)


@pytest.mark.parametrize(
    "address",
    [
        "/?range=%3Cscript%3Ealert(1)%3C/script%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/<script>alert(1)</script>",
        "/login?token=<script>alert(1)</script>&next=/<script>alert(1)</script>",
    ],
)
def test_a_hostile_address_is_not_echoed(address):
    """What stands in the address comes back as text or not at all."""
    for wk in (watched(MemoryStore()), watched(MemoryStore(), password="secret")):
        assert "<script>" not in text(Browser(wk).get(address))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"frames": None, "causes": None, "context": None, "request": None, "why": None},
        {"frames": "x", "causes": {"a": 1}, "context": ["x"], "request": 5, "why": "x"},
        {"frames": [None, 1, "x", {}, {"source": [1, [2], ["a", "b"], [3, None]]}]},
        {"causes": [None, {}, {"frames": [{}]}], "omitted": "many"},
        {"type": 5, "message": ["x"], "frames": [{**FRAME, "line": "x", "app": "yes"}]},
        {"message": "lone \ud800 surrogate", "frames": [FRAME]},
        {"message": "nul \x00 and \x1b[31m"},
    ],
)
def test_an_event_of_any_shape_has_a_page(data):
    """What another version or a damaged row holds is left out, never an error."""
    answer = Browser(watched(shop_with(data=data))).get("/errors/1")

    assert 200 == answer.status


def test_an_issue_title_that_no_utf_8_can_hold_is_shown():
    """A lone surrogate in a title does not break the overview."""
    assert 200 == Browser(watched(shop_with(title="a \ud800 b"))).get("/").status
