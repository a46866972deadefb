"""`watchkeeper errors`: what it lists and shows, and what it does, as a process."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kept import OURS, audited, object_of, run, run_on_terminal
from stored import HERE, OTHER, SHOP, batch, counted, event, frame

from watchkeeper.cli.errors_shown import list_lines
from watchkeeper.dashboard.views_issues import IssueSummary, IssuesView
from watchkeeper.runtime.marks import hashed_user, use_key
from watchkeeper.storage import Store, open_store

PAY, SKU, PLAN = "1:9f3c000000000001", "1:9f3c000000000002", "1:0123456789abcdef"
KEY = "the application's key"
WITH_KEY = {"WATCHKEEPER_SECRET_KEY": KEY}
TRACE = {
    "type": "shop.PaymentTimeout",
    "message": "no answer",
    "frames": [
        {"module": "fastapi.routing", "function": "app", "file": "fastapi/routing.py", "line": 9},
        {
            "module": "shop.pay",
            "function": "charge",
            "file": "shop/pay.py",
            "line": 12,
            "app": True,
            "source": [[11, "    answer = ask()"], [12, "    raise PaymentTimeout('no answer')"]],
        },
    ],
    "causes": [{"type": "OSError", "message": "gone", "relation": "cause", "frames": []}],
    "request": {"method": "POST", "route": "/checkout"},
    "context": {"order_id": 7},
    "why": ["type shop.PaymentTimeout", "in shop.pay:charge"],
}


everywhere = pytest.mark.parametrize(
    "url", ["sqlite_url", "postgres_url", "mariadb_url"], indirect=True
)


@pytest.fixture(params=["sqlite_url"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database: SQLite, or each in turn where a test is marked `everywhere`."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A database with three issues of the shop, and one of another service."""
    now = time.time()
    use_key(KEY)
    ada = hashed_user(42)
    use_key("")
    opened = open_store(url)
    opened.migrate()
    made = [
        (PAY, 412, now - 60, "shop.PaymentTimeout", (ada, "u2")),
        (SKU, 3, now - 3_600, "KeyError", ()),
        (PLAN, 1, now - 7_200, "ValueError", ()),
    ]
    for number, (name, count, at, kind, users) in enumerate(made):
        found = counted(
            name,
            count,
            at=at,
            type=kind,
            title=f"{kind.rpartition('.')[2]}: no answer",
            culprit="shop.pay:charge",
            users=users,
            routes={"POST /checkout": count},
            path=f"path{number}",
        )
        one = replace(event(number, at=at, fingerprint=name), data=TRACE, request_id=f"r-{number}")
        opened.write(batch(frame(int(at) // 10 * 10, number + 1), issues=[found], events=[one]))
    opened.write(batch(frame(int(now) // 10 * 10, 9), OTHER, issues=[counted(PAY, at=now)]))
    yield opened
    opened.close()


@pytest.fixture
def errors(store: Store, url: str, tmp_path: Path):
    """Runs `watchkeeper errors` on the database."""

    def call(verb: str, *arguments: str, **more):
        where = ("--db", url, *OURS)
        return run("errors", verb, *arguments, *where, folder=tmp_path, **more)

    return call


def number(store: Store, fingerprint: str) -> int:
    """Find the number of an issue."""
    return store.issue_ids([fingerprint], **HERE)[fingerprint]


def states(store: Store) -> dict[str, str]:
    """Return the state of each issue."""
    found = store.issues(**HERE, seen_since=0.0, limit=9)
    return {one.fingerprint: one.state for one in found}


def test_issues_are_listed_latest_first(errors):
    """One line each where no terminal cuts it: state, counts, users, when, what and where."""
    done = errors("list")

    head, first, second, third = done.stdout.splitlines()
    assert ["ID", "STATE", "COUNT", "USERS", "LAST", "SEEN", "24", "H", "ERROR"] == head.split()
    assert "412" in first
    assert "PaymentTimeout: no answer  shop.pay:charge" in first
    assert "KeyError: no answer" in second
    assert "ValueError: no answer" in third
    assert (0, "") == (done.returncode, done.stderr)


@everywhere
def test_a_list_can_be_narrowed(errors, store):
    """By all that a search knows; the user's id is hashed with the application's key."""
    errors("resolve", "9f3c000000000002")

    def found(*arguments: str) -> list[str]:
        done = errors("list", "--json", *arguments, environ=WITH_KEY)
        return [one["fingerprint"] for one in object_of(done)["issues"]]

    assert [PAY, PLAN] == found()
    assert [SKU] == found("--state", "resolved")
    assert [PAY, SKU, PLAN] == found("--state", "all")
    assert [PAY] == found("--user", "42")
    assert [PLAN] == found("--request-id", "r-2")
    assert [PAY] == found("--type", "shop.PaymentTimeout")
    assert [PAY] == found("--since", "10m")
    assert [PAY] == found("--sort", "count", "--limit", "1")
    assert [] == found("--release", "v9")
    assert [PAY, PLAN] == found("--level", "error")
    assert [] == found("--level", "critical")


def test_nothing_found_says_how_to_find_more(errors):
    """Resolved and muted issues are not listed unless asked for."""
    done = errors("list", "--type", "Nothing")

    assert (0, "", "no such issue; --state all lists all\n") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_a_user_that_is_not_found_may_be_hashed_otherwise(errors):
    """Ids are hashed with a key: with another one nobody is found."""
    done = errors("list", "--user", "42")

    assert "hashed without a secret_key that is set here" in done.stderr


@pytest.mark.parametrize(
    ("problem", "arguments"),
    [
        ("--state: 'closed' is none of open", ("--state", "closed")),
        ("--since: '1 day' is not a duration", ("--since", "1 day")),
        ("--limit is a number from 1 to 500", ("--limit", "0")),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(sqlite_url, tmp_path, problem, arguments):
    """Wrong usage is one line that says how it is written."""
    open_store(sqlite_url).migrate()

    done = run("errors", "list", "--db", sqlite_url, *OURS, *arguments, folder=tmp_path)

    assert (64, True) == (done.returncode, done.stderr.startswith(f"watchkeeper: {problem}"))


def test_options_alone_list(errors, url, tmp_path):
    """`watchkeeper errors --json` is `watchkeeper errors list --json`."""
    done = run("errors", "--json", "--db", url, *OURS, folder=tmp_path)

    assert 3 == len(object_of(done)["issues"])


def test_an_issue_is_shown(errors, store):
    """The frame of the application is open, those of libraries are folded."""
    errors("comment", "9f3c000000000001", "the bank is slow")

    shown = errors("show", "9f3c000000000001").stdout

    for part in (
        f"#{number(store, PAY)}  PaymentTimeout: no answer\n",
        "open, new; 412 times, 2 users\n",
        "Occurrence 1 of 1 stored",
        "  … 1 frame in fastapi\n  shop/pay.py:12 in charge\n",
        "►   12 │     raise PaymentTimeout('no answer')",
        "Caused by OSError: gone",
        "request id: r-0",
        "order_id: 7",
        "412  POST /checkout",
        "the bank is slow",
        f"Why grouped here: {PAY}\n  type shop.PaymentTimeout\n  in shop.pay:charge\n",
    ):
        assert part in shown


def test_an_issue_is_shown_as_text_and_as_json(errors, store):
    """Text to be copied has stack and request and no more; JSON has all."""
    text = errors("show", PAY, "--text").stdout
    content = object_of(errors("show", PAY, "--json"))

    assert "  shop/pay.py:12 in charge\n      raise PaymentTimeout('no answer')\n" in text
    assert "Why grouped here" not in text
    assert (number(store, PAY), "r-0") == (
        content["issue"]["id"],
        content["event"]["event"]["request_id"],
    )


@pytest.mark.parametrize(
    ("code", "problem", "name"),
    [
        (1, "'9f3c' begins the fingerprints of several issues: ", "9f3c"),
        (1, "there is no issue '77' of shop (production)", "77"),
        (1, "there is no issue '9f3' of shop (production)", "9f3"),
        (1, "there is no issue 'ffff' of shop (production)", "ffff"),
    ],
)
def test_a_name_that_is_not_clear_is_refused(errors, code, problem, name):
    """The error says what there is instead."""
    done = errors("show", name)

    assert (code, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"watchkeeper: {problem}")


def test_the_first_digits_of_a_fingerprint_name_it(errors):
    """Digits that could be a number as well are one of a fingerprint where no issue has it."""
    assert 0 == errors("show", "0123", "--event", "50").returncode
    assert 64 == errors("show", "0123", "--event", "51").returncode


@everywhere
def test_several_issues_are_changed_at_once(errors, store):
    """Each is told; the audit knows who did it."""
    done = errors("resolve", "9f3c000000000001", str(number(store, SKU)), "--comment", "fixed")

    assert [": resolved", ": resolved"] == [line[-10:] for line in done.stdout.splitlines()]
    assert {PAY: "resolved", SKU: "resolved", PLAN: "open"} == states(store)
    assert "fixed" == store.issue_entries(number(store, PAY), limit=1)[0].comment


def test_a_slip_among_several_changes_none(errors, store):
    """All are found before anything is done."""
    done = errors("ignore", "0123", "ffff")

    assert 1 == done.returncode
    assert {"open"} == set(states(store).values())


def test_an_issue_is_muted_as_long_as_wanted(errors, store):
    """For a time, until a moment, N more, N in a time, N users, or for good."""

    def muted(*arguments: str) -> str:
        return errors("mute", "0123", *arguments).stdout.partition(": muted ")[2].strip()

    assert "for good" == muted()
    assert "until 101 times in all" == muted("--events", "100")
    assert "until 100 times in 1 h" == muted("--events", "100", "--per", "1h")
    assert "until 10 users" == muted("--users", "10")
    assert "until 2035-12-01 00:00:00 UTC" == muted("--until", "2035-12-01")
    assert "until 2035-12-01 08:30:00 UTC or 5 users" == muted(
        "--until", "2035-12-01T10:30+02:00", "--users", "5"
    )
    assert muted("--for", "2d").startswith("until 20")
    assert "muted" == states(store)[PLAN]


@pytest.mark.parametrize(
    ("problem", "arguments"),
    [
        ("--until: 'tomorrow' is no moment; write 2026-12-01", ("--until", "tomorrow")),
        ("--for and --until: give one", ("--until", "2035-01-01", "--for", "2d")),
        ("--for: '2 days' is not a duration", ("--for", "2 days")),
        ("until: write a moment ahead", ("--until", "2001-01-01")),
        ("per: say how many events", ("--per", "1h")),
        ("events: write a number from 1", ("--events", "0")),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(sqlite_url, tmp_path, problem, arguments):
    """Wrong usage is one line that says how it is written."""
    made = open_store(sqlite_url)
    made.migrate()
    made.write(batch(frame(0), issues=[counted(PLAN)]))
    made.close()

    done = run("errors", "mute", "1", "--db", sqlite_url, *OURS, *arguments, folder=tmp_path)

    assert (64, True) == (done.returncode, done.stderr.startswith(f"watchkeeper: {problem}"))


def test_what_was_done_is_taken_back(errors, store):
    """Reopened issues are open; the state is printed for scripts."""
    errors("ignore", "0123")

    done = object_of(errors("reopen", "0123", "--json"))

    expected = {"id": number(store, PLAN), "fingerprint": PLAN, "state": "open"}
    assert {"issues": [expected]} == done


def test_resolving_in_the_next_release_names_what_is_missing(errors):
    """Where no release is known there is nothing to wait for."""
    done = errors("resolve", "0123", "--next-release")

    assert 1 == done.returncode
    assert "no release of shop (production) is known" in done.stderr


@everywhere
def test_issues_are_merged_and_split_again(errors, store, url):
    """The first one stays; a fingerprint of it can be taken out again."""
    names = ("9f3c000000000001", "9f3c000000000002", "0123")
    merged = errors("merge", *names, "--comment", "one bug", "--yes")

    assert merged.stdout.endswith(": one issue of 3\n")
    assert {PAY: "open"} == states(store)
    assert "one bug" == store.issue_entries(number(store, PAY), limit=1)[0].comment
    parted = errors("split", PAY, "--fingerprint", "0123")
    assert parted.stdout.endswith(f"split from {number(store, PAY)}\n")
    assert {PAY: "open", PLAN: "open"} == states(store)
    assert ["issue.split", "issue.merge", "issue.merge"] == [what for what, _ in audited(url)]


def test_merging_an_issue_with_itself_is_refused(errors, store):
    """Whatever it is called; nobody is asked, and nothing is said to be done."""
    pay = str(number(store, PAY))
    done = errors("merge", pay, pay, f"#{pay}", PAY)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"{pay} and #{pay} and {PAY} are one issue; name two" in done.stderr


@everywhere
def test_deleting_asks_first(errors, store, url, tmp_path):
    """Where nobody can be asked, --yes says that it is meant."""
    assert 64 == errors("delete", "0123").returncode
    assert PLAN in states(store)

    code, shown = run_on_terminal(
        "errors", "delete", "0123", "--db", url, *OURS, folder=tmp_path, answer="n\n"
    )
    assert (1, True) == (code, "Delete 1 issue with counts" in shown)
    assert PLAN in states(store)

    assert 0 == errors("delete", "0123", "--yes").returncode
    assert PLAN not in states(store)


def test_looking_makes_no_database(tmp_path):
    """Where there is none yet, that is said, and there is none afterwards."""
    for verb in (("list",), ("show", "1"), ("resolve", "1")):
        assert 3 == run("errors", *verb, "--db", "none.db", folder=tmp_path).returncode
    assert [] == list(tmp_path.iterdir())


def test_the_issues_of_another_service_are_not_touched(errors, store):
    """A number names an issue of one's own service only."""
    other = store.issue_ids([PAY], service="other", environment="production")[PAY]

    assert 1 == errors("delete", str(other), "--yes").returncode
    assert store.issue(other) is not None


def test_a_terminal_shows_colour_and_cuts_lines(store, url, tmp_path):
    """Elsewhere there is neither."""
    code, shown = run_on_terminal("errors", "--db", url, *OURS, folder=tmp_path)

    assert (0, True) == (code, "\x1b[" in shown)


def summary(**more) -> IssueSummary:
    """Make an issue of a list."""
    fields = {
        "id": 12,
        "fingerprint": PAY,
        "type": "shop.PaymentTimeout",
        "title": "PaymentTimeout: no answer from the bank for order 8f21 after 30 s of waiting",
        "culprit": "shop.payments.bank:charge",
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
        "first_at": 0.0,
        "last_at": 880.0,
        "first_release": "v1",
        "last_release": "v2",
        "hours": (0,) * 12 + (1,) * 11 + (8,),
    }
    return IssueSummary(**fields | more)


def listed(*issues: IssueSummary, width: int | None) -> list[str]:
    """Return the lines of a list without colour."""
    from click import unstyle

    view = IssuesView(service="shop", environment="prod", at=1_000.0, more=False, issues=issues)
    return [unstyle(line) for line in list_lines(view, width=width)]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """Texts are cut; what is narrow shows an issue in two lines."""
    lines = listed(summary(), summary(id=7, rising=6.2, title="E" * 300), width=width)

    assert (5 if width < 100 else 3) == len(lines)
    assert [] == [line for line in lines if len(line) > width]


def test_a_narrow_terminal_shows_what_matters():
    """State, error, count, users, when, trend and place fit."""
    assert [
        "ID  STATE        ERROR",
        "12  rising ×6.2  PaymentTimeout: no answer from the bank for order 8f21 after 30 s of w…",
        "                 ×1,234  37 users  2 min ago  ▁▁▁▁▁▁▂▂▂▂▂█  shop.payments.bank:charge",
    ] == listed(summary(rising=6.2), width=88)


def test_a_text_that_would_steer_the_terminal_does_not():
    """What is stored came from outside."""
    (_, line) = listed(summary(title="\x1b[2Jgone", culprit="a\nb"), width=None)

    assert "\x1b" not in line
    assert "\n" not in line


def test_states_are_words():
    """Marked states beside plain ones."""
    words = [
        listed(summary(**more), width=None)[1].split("  ")[1]
        for more in (
            {},
            {"is_new": True},
            {"rising": 6.0},
            {"state": "came_back", "is_new": True},
            {"state": "muted", "is_new": True},
        )
    ]

    assert ["open", "new", "rising ×6", "came back", "muted"] == words


def test_the_json_of_a_list_is_that_of_the_api(errors):
    """The same fields, for the same scripts."""
    content = json.loads(errors("list", "--json").stdout)

    assert {"service", "environment", "at", "more", "issues"} == set(content)
    assert SHOP.service == content["service"]
