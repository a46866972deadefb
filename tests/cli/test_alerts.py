"""`watchkeeper alerts`, `ack` and `silence`, as processes on real databases."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept import OURS, audited, object_of, run
from stored import HERE, THERE

from watchkeeper.cli.alerts_shown import told_text
from watchkeeper.dashboard.views_alerts import Delivery
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Outgoing

everywhere = pytest.mark.parametrize(
    "url", ["sqlite_url", "postgres_url", "mariadb_url"], indirect=True
)


@pytest.fixture(params=["sqlite_url"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database: SQLite, or each in turn where a test is marked `everywhere`."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A database: one alert fires and was told, one is silenced, one is over."""
    opened = open_store(url)
    opened.migrate()
    now = time.time()
    keep(opened, "High error rate", at=now - 900, severity="critical", told=("ops", "slack"))
    keep(
        opened,
        "Slow route",
        at=now - 300,
        group='route="/checkout"',
        labels={"route": "/checkout"},
        data={"told": {"why": "silenced", "by": "silence 1: deploy (ada)"}},
    )
    keep(opened, "Memory", at=now - 7_200, over_at=now - 3_600, told=("ops",))
    keep(opened, "Foreign", at=now - 60, here=THERE)
    (slack,) = [one for one in opened.outbox(limit=9) if one.channel == "slack"]
    for attempt in range(4):
        at = now - 890 + attempt
        (claimed,) = [
            one
            for one in opened.claim(at=at, hold_s=60, channels=("slack",), limit=9)
            if one.id == slack.id
        ]
        opened.settle(claimed, status="due", at=at, next_try_at=at + 0.5, error="503 away")
    for row in opened.claim(at=now - 880, hold_s=60, channels=("ops",), limit=9):
        opened.settle(row, status="sent", at=now - 880)
    yield opened
    opened.close()


def keep(
    store: Store,
    rule: str,
    *,
    at: float,
    severity: str = "warning",
    group: str = "",
    labels: dict[str, str] | None = None,
    over_at: float | None = None,
    told: tuple[str, ...] = (),
    data: dict[str, object] | None = None,
    here: dict[str, str] = HERE,
) -> None:
    """Store an alert with its incident and messages."""
    state = "firing" if over_at is None else "ok"
    rest = {"since": at, "breached_at": at, "severity": severity, "labels": labels or {}}
    row = AlertRow(**here, rule=rule, group=group, state=state, data={**rest, **(data or {})})
    incident = Incident(
        **here,
        rule=rule,
        group=group,
        severity=severity,
        state="firing" if over_at is None else "resolved",
        started_at=at,
        fired_at=at + 10,
        resolved_at=over_at,
        reason="fired" if over_at is None else "resolved",
        data={
            "summary": f"{rule}: 7.4 % (20 of 270 in 1 min) > 5 %",
            "condition": "error_rate > 5%",
            "labels": labels or {},
        },
    )
    outgoing = [
        Outgoing(kind="firing", sequence=0, channel=one, payload={}, due_at=at + 10)
        for one in told
    ]
    store.save_alert(AlertChange(row=row, incident=incident, outgoing=outgoing), at=at + 10)


@pytest.fixture
def folder(tmp_path: Path, store: Store, url: str) -> Path:
    """A folder whose settings name the database."""
    (tmp_path / "watchkeeper.toml").write_text(f'database_url = "{url}"\n')
    return tmp_path


@everywhere
def test_what_fires_is_listed_with_who_was_told(folder: Path):
    """The worst first; who was told, what became of the rest, and why nobody was."""
    done = run("alerts", *OURS, folder=folder)

    lines = done.stdout.splitlines()
    assert 0 == done.returncode, done.stderr
    assert lines[0].startswith("FIRING   High error rate [1]   7.4 % (20 of 270 in 1 min) > 5 %")
    assert "for 15 min" in lines[0]
    assert "told ops " in lines[1]
    assert "slack: tried 4 times, 503 away" in lines[1]
    assert 'Slow route [2]   route="/checkout"' in lines[2]
    assert "silenced by silence 1: deploy (ada)" in lines[3]
    assert "Foreign" not in done.stdout
    assert "Memory" not in done.stdout
    assert "have not been evaluated yet" in done.stderr


def test_a_list_that_nobody_keeps_up_says_so(folder: Path, store: Store):
    """What fired an hour ago is not what fires."""
    store.mark_evaluated(**HERE, at=time.time() - 3_600)

    done = run("alerts", *OURS, folder=folder)

    assert "The alert rules were last evaluated 1 h ago." in done.stderr


def test_the_past_is_listed_if_asked(folder: Path):
    """With --history the incidents of a time stand below, newest first."""
    done = run("alerts", "--history", "7d", *OURS, folder=folder)
    none = run("alerts", "--history", "5s", *OURS, folder=folder)

    past = done.stdout.split("\n\n")[1]
    assert ["2", "1", "3"] == [line.split()[0] for line in past.splitlines()[1:]]
    assert "60 min" in past.splitlines()[3] or "1 h" in past.splitlines()[3]
    assert "Memory" not in none.stdout


def test_nothing_fires(tmp_path: Path, sqlite_url: str):
    """An empty list is a sentence."""
    opened = open_store(sqlite_url)
    opened.migrate()
    opened.mark_evaluated(**HERE, at=time.time())
    opened.close()

    done = run("alerts", *OURS, folder=tmp_path)

    assert (0, "nothing fires\n", "") == (done.returncode, done.stdout, done.stderr)


def test_alerts_as_json(folder: Path):
    """Scripts read the same."""
    done = object_of(run("alerts", "--json", "--history", "1d", *OURS, folder=folder))

    first, second = done["alerts"]
    assert ("firing", "critical", 1) == (first["state"], first["severity"], first["incident"])
    assert {"ops": "sent", "slack": "due"} == {
        one["channel"]: one["status"] for one in first["told"]
    }
    assert ("silenced", "silence 1: deploy (ada)") == (second["why"], second["held_by"])
    assert 3 == len(done["incidents"])


@everywhere
def test_an_incident_is_told_from_its_beginning(folder: Path):
    """Breach, fired, told, taken, each with its moment."""
    run("ack", "1", "--by", "ada", "--note", "on it", *OURS, folder=folder)
    done = run("alerts", "show", "1", *OURS, folder=folder)
    over = run("alerts", "show", "3", *OURS, folder=folder)

    timeline = [line.split()[2] for line in done.stdout.split("\n\n")[1].splitlines()]
    assert ["breach", "fired", "waiting", "sent", "acknowledged"] == timeline
    assert "High error rate (incident 1)" in done.stdout
    assert "ada: on it" in done.stdout
    assert "  resolved      resolved" in over.stdout


def test_an_incident_that_is_none_is_said(folder: Path):
    """An unknown number is one line and 1; of another service it is unknown."""
    for arguments in (("alerts", "show"), ("ack",)):
        for number in ("99", "4"):
            done = run(*arguments, number, *OURS, folder=folder)
            assert 1 == done.returncode
            assert f"there is no incident {number}" in done.stderr


def test_a_number_that_no_database_holds_is_said(folder: Path):
    """Twenty digits are a slip: one line, and no traceback."""
    number = "9" * 20

    done = run("ack", number, *OURS, folder=folder)
    others = [
        run(*words, number, *OURS, folder=folder)
        for words in (["alerts", "show"], ["silence", "end"])
    ]

    assert (
        1,
        f"watchkeeper: no alert '{number}' fires; watchkeeper alerts lists what does\n",
    ) == (
        done.returncode,
        done.stderr,
    )
    for one in others:
        assert 64 == one.returncode
        assert "is not in the range" in one.stderr


@everywhere
def test_an_incident_is_acknowledged_once(folder: Path, url: str):
    """Who has it is said and written down; the first one stays."""
    first = run("ack", "1", "--by", "ada", "--note", "on it", *OURS, folder=folder)
    second = run("ack", "1", "--by", "bob", *OURS, folder=folder)
    shown = object_of(run("ack", "1", "--json", *OURS, folder=folder))
    over = run("ack", "3", *OURS, folder=folder)
    listed = run("alerts", *OURS, folder=folder)

    assert "ada has incident 1, High error rate\n" == first.stdout
    assert second.stdout.startswith("ada has incident 1, High error rate, since ")
    assert ("already", "ada", "on it") == (shown["outcome"], shown["by"], shown["note"])
    assert 1 == over.returncode
    assert "does not fire" in over.stderr
    assert "ada has it, since" in listed.stdout
    assert [("incident.acknowledge", {"by": "ada", "note": "on it"})] == audited(url)


def test_all_that_fires_of_a_rule_is_acknowledged(folder: Path):
    """By the rule's name, so that nobody has to look for numbers; what does not fire is said."""
    taken = run("ack", "slow route", "--by", "ada", *OURS, folder=folder)
    shown = object_of(run("ack", "Slow route", "--json", *OURS, folder=folder))
    over = run("ack", "Memory", *OURS, folder=folder)

    assert "ada has incident 2, Slow route\n" == taken.stdout
    assert [(2, "already", "ada")] == [
        (one["incident"], one["outcome"], one["by"]) for one in shown
    ]
    assert 1 == over.returncode
    assert "no alert 'Memory' fires" in over.stderr


@everywhere
def test_a_silence_is_set_listed_and_ended(folder: Path, url: str):
    """From its beginning to its end, with the audit of both."""
    made = run(
        "silence", "add", "--rule", "Slow*", "--label", "route=/x", "--for", "2h",
        "--comment", "deploy", *OURS, folder=folder,
    )  # fmt: skip
    listed = run("silence", *OURS, folder=folder)
    ended = run("silence", "end", "1", *OURS, folder=folder)
    again = run("silence", "end", "1", *OURS, folder=folder)
    none = run("silence", "list", *OURS, folder=folder)

    assert 0 == made.returncode, made.stderr
    assert made.stdout == listed.stdout
    assert "1  active  route /x, rule Slow*, until " in listed.stdout.replace("\x1b", "")
    assert listed.stdout.endswith(": deploy\n")
    assert "silence 1 has ended\n" == ended.stdout
    assert 1 == again.returncode
    assert "there is no silence\n" == none.stdout
    assert ["silence.end", "silence.add"] == [action for action, _ in audited(url)]


def test_planned_silences_are_listed(folder: Path):
    """Those of the settings, and those at times of the week."""
    with (folder / "watchkeeper.toml").open("a") as file:
        file.write(
            '[[silence]]\nmatch = { severity = "warning" }\n'
            'every = "Sun 02:00-04:00 Europe/Berlin"\ncomment = "backup"\n'
        )
    every = ("--every", "daily 22:00-06:00 Europe/Berlin")
    run("silence", "add", "--all", *every, *OURS, folder=folder)

    listed = object_of(run("silence", "list", "--json", *OURS, folder=folder))["silences"]

    assert [None, 1] == [one["id"] for one in listed]
    assert {"severity": ["warning"]} == listed[0]["matchers"]
    assert {} == listed[1]["matchers"]
    assert "daily 22:00-06:00 Europe/Berlin" == listed[1]["schedule"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "2h"], "say which"),
        (["--all", "--rule", "x", "--for", "2h"], "say which"),
        (["--rule", "x"], "for how long"),
        (["--rule", "x", "--for", "soon"], "--for"),
        (["--rule", "x", "--until", "soon"], "--until: 'soon' is no moment"),
        (["--label", "route", "--for", "2h"], "--label: 'route' is no label"),
        (["--rule", "x", "--every", "sometimes"], "sometimes"),
        (["--rule", "x", "--until", "2001-01-01"], "would end before it begins"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(folder: Path, arguments: list[str], said: str):
    """Wrong usage is one line and 64, and nothing is set."""
    done = run("silence", "add", *arguments, *OURS, folder=folder)
    listed = object_of(run("silence", "list", "--json", *OURS, folder=folder))

    assert 64 == done.returncode
    assert said in done.stderr
    assert [] == listed["silences"]


def test_the_history_has_bounds(folder: Path):
    """A time that cannot be is refused."""
    for text in ("0s", "401d", "x"):
        assert 64 == run("alerts", "--history", text, *OURS, folder=folder).returncode


def test_a_hostile_answer_steers_no_terminal():
    """What a receiver answered is shown without control characters, and channels are bounded."""
    told = [
        Delivery(
            kind="firing",
            channel=f"c{number}",
            status="failed",
            created_at=1.0,
            sent_at=None,
            attempts=1,
            next_try_at=None,
            error="\x1b[2J",
        )
        for number in range(9)
    ]

    shown = told_text(told, 2.0)

    assert "\x1b" not in shown
    assert "c0: given up, tried once" in shown
    assert shown.endswith("and 3 more")


def test_states_that_are_new_are_shown(folder: Path, store: Store):
    """What holds messages back is said in words; what is over is no alert."""
    rows = store.alerts(**HERE)
    (slow,) = [row for row in rows if row.rule == "Slow route"]
    changed = {**slow.data, "told": {"why": "quiet_hours"}, "flapping": True}
    store.save_alert(
        AlertChange(row=AlertRow(**{**{f: getattr(slow, f) for f in
            ("service", "environment", "rule", "group", "incident", "version")},
            "state": "recovering", "data": changed})),
        at=time.time(),
    )  # fmt: skip

    done = run("alerts", *OURS, folder=folder)

    assert "CALMING" in done.stdout
    assert "comes and goes" in done.stdout
    assert "waits for the end of the quiet hours" in done.stdout
    assert json.loads(run("alerts", "--json", *OURS, folder=folder).stdout)["alerts"]
