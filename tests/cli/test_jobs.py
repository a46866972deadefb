"""`watchkeeper jobs` and `watchkeeper ping`."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from watchkeeper.cli import watchkeeper
from watchkeeper.core.job_facts import JobFacts, Plan, Run
from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.runtime import job_memory
from watchkeeper.storage import open_store

SCOPE = Scope(service="shop", environment="staging")
DAILY = Schedule(every_s=86_400.0, grace_s=3_600.0)
HOUR = 3_600.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of an application that ran once."""
    path = tmp_path / "watchkeeper.db"
    store = open_store(str(path))
    store.migrate()
    store.close()
    return path


def ask(file: Path, *arguments: str, **environ: str) -> Result:
    """Run a verb on the shop's staging."""
    options = ["--db", str(file), "--service", "shop", "--environment", "staging"]
    return CliRunner(env=environ).invoke(watchkeeper, [*arguments, *options])


def keep(file: Path, *facts: JobFacts) -> None:
    """Keep what is known of jobs."""
    store = open_store(str(file))
    job_memory.save(store, SCOPE, list(facts), job_memory.read(store, SCOPE))
    store.close()


def known(name: str, *, ago_s: float, outcome: str = "ok", schedule: Schedule | None = DAILY):
    """Return what is known of a job that ran so long ago."""
    at, output = time.time() - ago_s, "" if outcome == "ok" else "disk"
    success = at if outcome == "ok" else at - 60
    return JobFacts(
        name=name,
        declared_at=at - 1e6,
        plan=Plan(at=at, schedule=schedule),
        last_success=success,
        last_run=Run(at=at, outcome=outcome, seconds=2.5, output=output),
    )


def test_a_table_of_the_jobs_with_the_worst_first(file: Path):
    """Name, schedule, last run, outcome, duration, when it is due and how late it is."""
    keep(
        file,
        known("good", ago_s=2 * HOUR),
        known("bad", ago_s=3 * HOUR, outcome="failed"),
        known("late", ago_s=27 * HOUR),
    )

    result = ask(file, "jobs")

    assert 2 == result.exit_code
    heading, *rows = [line.split("  ") for line in result.stdout.splitlines()]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["JOB", "STATE", "SCHEDULE"] == [cell.strip() for cell in heading if cell.strip()][:3]
    assert [
        ["late", "late", "every 1 d", "1 d 3 h ago, ok", "2.5 s", "3 h ago", "2 h", "–"],
        ["bad", "failed", "every 1 d", "3 h ago, failed", "2.5 s", "in 20 h 58 min", "–", "–"],
        ["good", "ok", "every 1 d", "2 h ago, ok", "2.5 s", "in 21 h 59 min", "–", "–"],
    ] == rows


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        (0, [known("good", ago_s=HOUR)]),
        (1, [known("good", ago_s=HOUR), known("bad", ago_s=HOUR, outcome="failed")]),
        (2, [known("late", ago_s=30 * HOUR), known("bad", ago_s=HOUR, outcome="failed")]),
        (3, []),
        (3, [known("mars", ago_s=HOUR, schedule=Schedule(cron="0 3 * * *", tz="Mars/Base"))]),
    ],
)
def test_the_exit_code_is_the_worst_of_all(file: Path, code: int, facts: list[JobFacts]):
    """0 well, 1 failed, 2 late, 3 unknown: for cron and deployment scripts."""
    keep(file, *facts)

    result, as_json = ask(file, "jobs"), ask(file, "jobs", "--json")

    assert [code, code] == [result.exit_code, as_json.exit_code], result.output
    assert len(facts) == len(json.loads(as_json.stdout)["jobs"])


@pytest.mark.parametrize(
    ("state", "code", "changes"),
    [
        ("unknown", 3, {"last_run": Run(at=1e9, outcome="cancelled")}),
        ("unknown", 3, {"last_run": Run(at=1e9, outcome="retried")}),
        ("unknown", 3, {"last_run": Run(at=1e9, outcome="ok"), "started_at": 1.1e9}),
        ("failed", 1, {"last_run": Run(at=1e9, outcome="failed"), "started_at": 1.1e9}),
        ("unknown", 3, {"plan": Plan(at=1e9, schedule=DAILY), "last_success": 5e9}),
    ],
)
def test_a_job_of_which_nobody_knows_how_it_does_is_not_well(
    file: Path, state: str, code: int, changes: dict[str, object]
):
    """Green means that the last run that told something was good, and that it is known when."""
    keep(file, replace(JobFacts(name="job", declared_at=1e9), **changes))

    result = ask(file, "jobs", "job", "--json")

    assert (state, code) == (json.loads(result.stdout)["state"], result.exit_code)


def test_no_job_is_said(file: Path):
    """An empty table is no answer."""
    assert ask(file, "jobs").stdout.startswith("no job is known yet")


def test_a_name_alone_shows_the_job(file: Path):
    """All that is known of it; `--json` tells the same."""
    keep(file, known("bad", ago_s=27 * HOUR, outcome="failed"))

    result, as_json = ask(file, "jobs", "bad"), ask(file, "jobs", "show", "bad", "--json")

    assert [2, 2] == [result.exit_code, as_json.exit_code]
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "LATE   bad" == result.stdout.splitlines()[0]
    assert "late by       2 h 1 min: no run since it was due" in lines
    assert "output        disk" in lines
    found = json.loads(as_json.stdout)
    assert ("late", "missed", "failed") == (
        found["state"],
        found["late_because"],
        found["last_run"]["outcome"],
    )


def test_a_job_that_is_not_there_is_said(file: Path):
    """In one line, with the code for unknown."""
    result = ask(file, "jobs", "nothing")

    assert (3, "watchkeeper: there is no job 'nothing' here; watchkeeper jobs lists them\n") == (
        result.exit_code,
        result.stderr,
    )


def test_a_hostile_name_steers_no_terminal(file: Path):
    """What was stored is shown without control characters."""
    keep(file, known("a\x1b[2Jb", ago_s=HOUR))

    assert "\x1b" not in ask(file, "jobs").output


def test_a_job_of_the_past_is_forgotten(file: Path):
    """It is not late for ever; who did it is in the audit."""
    keep(file, known("old", ago_s=30 * HOUR))

    result = ask(file, "jobs", "forget", "old")

    assert (0, "old is forgotten\n") == (result.exit_code, result.stdout)
    assert 3 == ask(file, "jobs").exit_code
    assert 1 == ask(file, "jobs", "forget", "old").exit_code
    store = open_store(str(file))
    (entry,) = store.audits(service="shop", environment="staging", since=0.0, until=1e12, limit=9)
    store.close()
    assert ("job.forget", "old") == (entry.action, entry.target)


def test_an_address_is_made_listed_and_taken_away(file: Path):
    """It is shown once, with what to write into a crontab."""
    made = ask(
        file, "ping", "add", "backup", "--cron", "0 3 * * *", "--tz", "Europe/Berlin",
        "--grace", "1h", WATCHKEEPER_PUBLIC_URL="https://shop.example/",
    )  # fmt: skip
    listed, as_json = ask(file, "ping"), ask(file, "ping", "list", "--json")
    jobs = ask(file, "jobs", "--json")
    removed = ask(file, "ping", "remove", "backup")

    url = made.stdout.strip()
    base, _, token = url.rpartition("/")
    assert (0, "https://shop.example/watchkeeper/ping", 32) == (made.exit_code, base, len(token))
    assert f"curl -fsS -m 10 --retry 5 -o /dev/null {url}/$?" in made.stderr
    assert "backup   0 3 * * * Europe/Berlin   never called\n" == listed.stdout
    assert token not in as_json.stdout + jobs.stdout + listed.stdout
    (one,) = json.loads(as_json.stdout)["pings"]
    assert ("backup", 3_600.0, None) == (one["name"], one["grace_s"], one["last_run"])
    assert ["waiting"] == [job["state"] for job in json.loads(jobs.stdout)["jobs"]]
    assert (0, "backup has no address any more\n") == (removed.exit_code, removed.stdout)
    assert "no job has an address" in ask(file, "ping").stdout


@pytest.mark.parametrize(
    ("code", "message", "arguments"),
    [
        (64, "write every= or cron=, not both", ["--every", "1h", "--cron", "* * * * *"]),
        (64, "'0 3 * *' has 4 fields instead of 5", ["--cron", "0 3 * *"]),
        (64, "'Mars' is no time zone", ["--cron", "0 3 * * *", "--tz", "Mars"]),
    ],
)
def test_a_wrong_schedule_is_refused(file: Path, code: int, message: str, arguments: list[str]):
    """With what to write instead; nothing is made."""
    result = ask(file, "ping", "add", "backup", *arguments)

    assert code == result.exit_code
    assert message in result.stderr
    assert 3 == ask(file, "jobs").exit_code


def test_one_address_for_a_job(file: Path):
    """A second one would be a second job; the first is taken away before."""
    first = ask(file, "ping", "add", "backup", "--json")

    again = ask(file, "ping", "add", "backup")

    assert {"name", "url", "token"} == set(json.loads(first.stdout))
    assert (1, True) == (again.exit_code, "watchkeeper ping remove" in again.stderr)
