"""An issue as text, for tickets and terminals."""

import pytest

from watchkeeper.dashboard.issue_text import (
    Role,
    as_text,
    event_lines,
    history_text,
    more_lines,
    state_text,
    until_text,
)
from watchkeeper.dashboard.views import IncidentRow
from watchkeeper.dashboard.views_inside import SampleRow
from watchkeeper.dashboard.views_issues import (
    EventRow,
    EventView,
    HistoryRow,
    IssueSummary,
    IssueView,
    Share,
    Trend,
)

NOW = 1_800_000_000.0
APP = {
    "module": "shop.pay",
    "function": "charge",
    "file": "shop/pay.py",
    "line": 12,
    "app": True,
    "source": [[11, "    answer = ask()"], [12, "    raise Late(answer)"]],
}
LIBRARY = {"module": "flask.app", "function": "wsgi", "file": "flask/app.py", "line": 1}
DATA = {
    "type": "shop.Late",
    "message": "no answer\nfrom the bank",
    "frames": [LIBRARY, LIBRARY, APP, LIBRARY],
    "causes": [
        {"type": "OSError", "message": "gone", "relation": "cause", "frames": []},
        {"type": "KeyError", "message": "'a'", "relation": "context", "frames": [APP]},
    ],
    "request": {"method": "POST", "route": "/pay", "status": 500, "request_id": "req-1"},
    "user": "9f00",
    "tags": {"plan": "pro"},
    "why": ["type shop.Late", "in shop.pay:charge"],
}


def summary(**more) -> IssueSummary:
    fields = {
        "id": 7,
        "fingerprint": "1:aa",
        "type": "shop.Late",
        "title": "Late: no answer",
        "culprit": "shop.pay:charge",
        "level": "error",
        "state": "open",
        "state_at": None,
        "state_by": None,
        "until": None,
        "next_release": False,
        "is_new": False,
        "rising": None,
        "count": 1_234,
        "users": 37,
        "first_at": NOW - 90_000,
        "last_at": NOW - 120,
        "first_release": "v1",
        "last_release": "v2",
        "hours": (0,) * 24,
    }
    return IssueSummary(**fields | more)


def entry(**more) -> HistoryRow:
    fields = {
        "at": NOW - 60,
        "actor": "cli alice",
        "before": "open",
        "after": "resolved",
        "reason": "asked",
        "comment": "",
        "data": {},
    }
    return HistoryRow(**fields | more)


def share(value: str, count: int) -> Share:
    return Share(value=value, count=count, first_at=0.0, last_at=NOW)


def view(*, data=DATA, **more) -> IssueView:
    row = EventRow(
        id="e" * 32,
        issue=7,
        fingerprint="1:bb",
        at=NOW - 120,
        method="POST",
        route="/pay",
        status=500,
        release="v2",
        request_id="req-1",
        path="p1",
    )
    event = None if data is None else EventView(event=row, number=1, kept=9, data=data)
    trend = Trend(start=0, bar_s=1, counts=())
    fields = {
        "service": "shop",
        "environment": "production",
        "at": NOW,
        "issue": summary(),
        "fingerprints": ("1:aa",),
        "event": event,
        "day": trend,
        "week": trend,
        "month": trend,
        "routes": (),
        "releases": (),
        "paths": (),
        "history": (),
        "samples": (),
        "incidents": (),
    }
    return IssueView(**fields | more)


def test_an_issue_is_copied_as_text():
    """Type, message, counts, releases, stack and request: what a ticket needs."""
    assert """\
#7  Late: no answer
in shop.pay:charge

open; 1,234 times, 37 users
first 2027-01-14 07:00:00 UTC, last 2027-01-15 07:58:00 UTC (2 min ago)
release v1 to v2

Occurrence 1 of 9 stored  2027-01-15 07:58:00 UTC  POST /pay → 500  release v2

shop.Late: no answer
  from the bank
  … 2 frames in flask
  shop/pay.py:12 in charge
      raise Late(answer)
  … 1 frame in flask

Caused by OSError: gone

While handling KeyError: 'a'
  shop/pay.py:12 in charge
      raise Late(answer)

Request
  request id: req-1
  user: 9f00

Context
  plan: pro""" == as_text(view())


def test_a_group_shows_what_it_holds_and_notes_are_shown():
    """Its members come before what it was raised from; who added a note had something to say."""
    group = {
        "type": "ExceptionGroup",
        "message": "two orders (2 sub-exceptions)",
        "frames": [APP],
        "notes": ["while importing\nfile 7"],
        "group": [
            {"type": "KeyError", "message": "'sku'", "frames": [APP], "notes": ["row 3"]},
            {"type": "ValueError", "message": "", "frames": []},
        ],
        "causes": [{"type": "OSError", "message": "gone", "relation": "cause", "frames": []}],
    }

    lines = [text for _, text in event_lines(view(data=group), source=False)]

    assert [
        "ExceptionGroup: two orders (2 sub-exceptions)",
        "  | while importing",
        "  | file 7",
        "  shop/pay.py:12 in charge",
        "      raise Late(answer)",
        "",
        "Member: KeyError: 'sku'",
        "  | row 3",
        "  shop/pay.py:12 in charge",
        "      raise Late(answer)",
        "",
        "Member: ValueError",
        "",
        "Caused by OSError: gone",
    ] == lines[lines.index("ExceptionGroup: two orders (2 sub-exceptions)") :][:14]


def test_with_its_source_the_line_that_failed_is_marked():
    """On a terminal the frame that raised is open."""
    lines = [text for _, text in event_lines(view(), source=True)]

    assert "        11 │     answer = ask()" in lines
    assert (Role.HIT, "    ►   12 │     raise Late(answer)") in [*event_lines(view(), source=True)]


def test_an_issue_whose_events_are_gone_says_so():
    """Counts outlive what is stored of single occurrences."""
    text = as_text(view(data=None))

    assert text.endswith("No occurrence is stored any more; the counts are exact all the same.")


def test_what_belongs_to_it_is_listed():
    """Where it happens, what was done, incidents and requests, and why it is grouped so."""
    incident = IncidentRow(
        id=3,
        rule="New issue",
        group="",
        severity="warning",
        since=NOW - 300,
        lasted_s=0.0,
        value=None,
        threshold=None,
        summary="",
    )
    request = SampleRow(
        id="5" * 32,
        at=NOW - 120,
        reason="failed",
        method="POST",
        route="/pay",
        status=500,
        duration_s=0.25,
        request_id="req-1",
        issue=7,
        release="v2",
        kinds=None,
        own_s=None,
    )
    shown = view(
        routes=tuple(share(f"GET /{n}", 1_000 - n) for n in range(7)),
        releases=(share("v2", 4),),
        paths=(share("p1", 3), share("p2", 1)),
        history=(entry(comment="fixed"),),
        samples=(request,),
        incidents=(incident,),
        fingerprints=("1:aa", "1:bb"),
    )

    assert [
        "",
        "Routes",
        "  1,000  GET /0",
        "    999  GET /1",
        "    998  GET /2",
        "    997  GET /3",
        "    996  GET /4",
        "  and 2 more",
        "",
        "Releases",
        "  4  v2",
        "",
        "2 call paths",
        "  3  p1",
        "  1  p2",
        "",
        "History",
        "  07:59 UTC  cli alice  open → resolved: fixed",
        "",
        "Belongs to it",
        "  incident 3  07:55 UTC  New issue",
        f"  request {'5' * 32}  07:58 UTC  POST /pay → 500, 250 ms",
        "",
        "Why grouped here: 1:bb",
        "  type shop.Late",
        "  in shop.pay:charge",
        "  here as well: 1:aa",
    ] == [text for _, text in more_lines(shown)]


def test_one_call_path_is_not_worth_a_list():
    """Nor is anything that is not there."""
    lines = [text for _, text in more_lines(view(paths=(share("p1", 3),), data=None))]

    assert ["", "Why grouped here: 1:aa", "  (its parts were not stored)"] == lines


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("open, new", {"is_new": True}),
        ("open, rising ×6.25", {"rising": 6.25}),
        ("came back", {"state": "came_back"}),
        ("resolved by cli alice", {"state": "resolved", "state_by": "cli alice"}),
        ("resolved in the next release", {"state": "resolved", "next_release": True}),
        ("muted for good", {"state": "muted"}),
        ("muted until 10 users", {"state": "muted", "until": {"users": 10}}),
    ],
)
def test_a_state_tells_its_conditions(text, more):
    """Who, until when, and what is to be noticed."""
    assert text == state_text(summary(**more))


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("for good", None),
        ("for good", {}),
        ("until 2027-01-15 08:00:00 UTC", {"at": NOW}),
        ("until 1,500 times in all", {"events": 1_500}),
        ("until 100 times in 1 h", {"per_count": 100, "per_s": 3_600.0}),
        ("until 2027-01-15 08:00:00 UTC or 3 users", {"at": NOW, "users": 3}),
    ],
)
def test_a_mutes_end_is_told(text, until):
    """What comes first ends it."""
    assert text == until_text(until)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("cli alice  open → resolved", {}),
        ("cli alice  open → resolved in the next release", {"data": {"release": "next"}}),
        ("cli alice  open → muted for good", {"after": "muted"}),
        (
            "cli alice  open → muted until 3 users",
            {"after": "muted", "data": {"until": {"users": 3}}},
        ),
        (
            "what happened  resolved → came back (happened again)",
            {"actor": "", "before": "resolved", "after": "came_back", "reason": "happened_again"},
        ),
        ("cli alice: looking", {"after": "open", "reason": None, "comment": "looking"}),
        (
            "cli alice  merged 9 into it",
            {"after": "open", "reason": "merged", "data": {"from": 9}},
        ),
        (
            "cli alice  split call path p",
            {"after": "open", "reason": "split", "data": {"path": "p"}},
        ),
        (
            "cli alice  split 1:aa to 4",
            {"after": "open", "reason": "split", "data": {"fingerprint": "1:aa", "to": 4}},
        ),
        (
            "cli alice  split call path p from 3",
            {"after": "open", "reason": "split", "data": {"path": "p", "from": 3}},
        ),
        (
            "what happened  resolved → came back in v2 (new release)",
            {
                "actor": "",
                "before": "resolved",
                "after": "came_back",
                "reason": "new_release",
                "data": {"release": "next", "last_release": "v2"},
            },
        ),
        (
            "what happened  muted → open in v2 (more events)",
            {
                "actor": "",
                "before": "muted",
                "after": "open",
                "reason": "more_events",
                "data": {"until": {"events": 3}, "last_release": "v2"},
            },
        ),
        ("cli alice  resolved again", {"before": "resolved"}),
        (
            "cli alice  muted again until 3 users",
            {"before": "muted", "after": "muted", "data": {"until": {"users": 3}}},
        ),
    ],
)
def test_history_reads_as_sentences(text, more):
    """When, who, from what to what, and why."""
    assert f"07:59 UTC  {text}" == history_text(entry(**more), now=NOW)
