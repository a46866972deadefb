"""Stored occurrences of errors, on every store: reading them, and dropping those too many."""

from dataclasses import replace

from stored import HERE, SHOP, THERE, batch, counted, event, frame

from watchkeeper.core.kept_events import EventMark
from watchkeeper.storage import Store

A, B = "1:00000000000000aa", "1:00000000000000bb"


def write(store: Store, *events: int, fingerprint: str = A, request_id: str = "") -> int:
    """Write events that happened at their number; return their issue."""
    worker = store.register(SHOP, host="web-1", pid=1, at=0.0)
    found = [replace(event(at, float(at), fingerprint), request_id=request_id) for at in events]
    store.write(batch(frame(10, worker.id), issues=[counted(fingerprint)], events=found))
    return store.issue_ids([fingerprint], **HERE)[fingerprint]


def test_events_are_read_page_by_page(store: Store):
    """The newest come first."""
    issue = write(store, 1, 2, 3, 4)

    assert [4.0, 3.0] == [one.at for one in store.events(issue, limit=2)]
    assert [2.0, 1.0] == [one.at for one in store.events(issue, limit=9, offset=2)]


def test_an_event_is_found_by_its_id(store: Store):
    """Only in its own scope."""
    write(store, 1, 2)
    wanted = event(2, 2.0)

    assert wanted == store.event(wanted.id, **HERE)
    assert store.event(wanted.id, **THERE) is None
    assert store.event("none", **HERE) is None


def test_events_of_a_request_are_found(store: Store):
    """Whichever issue they belong to, newest first."""
    write(store, 1, 2, request_id="req-1")
    write(store, 3, fingerprint=B, request_id="req-1")
    write(store, 4, 5)

    found = store.events_of_request("req-1", **HERE, limit=9)

    assert [3.0, 2.0, 1.0] == [one.at for one in found]
    assert [3.0] == [one.at for one in store.events_of_request("req-1", **HERE, limit=1)]
    assert [] == store.events_of_request("req-1", **THERE, limit=9)
    assert [] == store.events_of_request("", **HERE, limit=9)


def test_crowded_issues_are_thinned_out(store: Store):
    """Marks tell what is there; what is dropped is gone, and nothing else."""
    many, few = write(store, 1, 2, 3, 4), write(store, 5, 6, fingerprint=B)

    assert [many] == store.crowded_issues(most=2, limit=9)
    assert [] == store.crowded_issues(most=4, limit=9)
    assert [many] == store.crowded_issues(most=1, limit=1)
    more = write(store, *range(11, 17), fingerprint=B)
    assert [few, many] == store.crowded_issues(most=1, limit=9)
    assert few == more
    store.drop_events(few, [event(number).id for number in range(11, 17)])
    marks = store.event_marks(many)
    assert EventMark(id=event(1).id, at=1.0, route="POST /checkout", release="v1") == marks[0]
    assert [1.0, 2.0, 3.0, 4.0] == [one.at for one in marks]

    assert 2 == store.drop_events(many, [event(2).id, event(3).id, event(5).id])
    assert 0 == store.drop_events(many, [])

    assert [4.0, 1.0] == [one.at for one in store.events(many, limit=9)]
    assert [6.0, 5.0] == [one.at for one in store.events(few, limit=9)]
