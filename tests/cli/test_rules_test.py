"""`watchkeeper rules test`, as a process on a real database."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept import OURS, http, object_of, requests, run, run_on_terminal, up
from stored import frame

from watchkeeper.core.slot import Gauge, slot_start
from watchkeeper.storage import Store, open_store

RULES = """
[[alert]]
name = "Errors"
when = "error_rate > 5%"
over = "1m"
keep = "1m"
hold = "0s"
severity = "critical"

[[alert]]
name = "Very slow"
when = "p95 > 10s"
over = "5m"

[[alert]]
name = "Noisy"
when = "error_rate > 1%"
over = "1m"
keep = "0s"
sure = false

[[alert]]
name = "Long"
when = "error_rate > 5%"
over = "1m"
hold = "1h"

[[alert]]
name = "Typo"
when = "error_rate{route = '/x'} > 5%"

[[alert]]
name = "Off"
when = "requests == 0"
over = "5m"
enabled = false
"""


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    """A database with two hours in slots: one long trouble, six short ones."""
    opened = open_store(sqlite_url)
    opened.migrate()
    begin = slot_start(time.time() - 7_200, 60)
    good, bad = (
        http(method="GET", route="/", status="200"),
        http(method="GET", route="/", status="500"),
    )
    frames = []
    for number in range(710):
        minute = number // 6
        failed = 30 if 20 <= minute < 30 else 2 if minute >= 40 and minute % 10 == 0 else 0
        values = {up(): Gauge(1, 1, 1), good: requests(*[0.1] * (60 - failed))}
        if failed:
            values[bad] = requests(*[0.1] * failed)
        frames.append(frame(begin + number * 10, 1, values=values))
    opened.add_frames(frames)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> Path:
    """A folder with the database and a file of rules."""
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


def test_each_rule_is_told_in_a_line(folder: Path):
    """How often, when and for how long; how near it came; what would calm it."""
    done = run("rules", "test", "rules.toml", "--last", "3h", *OURS, folder=folder)

    errors, slow, noisy, long, typo, off = done.stdout.splitlines()
    assert 0 == done.returncode, done.stderr
    assert "Errors      would fire 1×, 2 messages" in errors
    assert "12 min" in errors
    assert "Very slow   never; closest 0 % slower than 10 s (limit 5 %)" in slow
    assert "would fire 9×" in noisy
    assert 'noisy: 8 of 9 shorter than 2 min; with hold = "2m": 1×' in noisy
    assert ", but for less than 1 h," in long
    assert "Typo        unknown: nothing was recorded of what it reads" == typo
    assert "! Typo: route = '/x' was never recorded of" in done.stderr
    assert "Off         switched off" == off
    assert "in slots of 10 s" in done.stderr


def test_the_same_as_json(folder: Path):
    """Scripts read the same, times in seconds since 1970."""
    done = object_of(run("rules", "test", "rules.toml", "--json", *OURS, folder=folder))

    errors = done["rules"][0]
    assert 710 == done["judged"]
    assert (1, 2, False) == (errors["fired"], errors["messages"], errors["noisy"])
    assert 600 <= errors["spells"][0]["true_s"] <= 660
    assert {"hold_s": 120.0, "fired": 1} == done["rules"][2]["calmer"]
    assert "hold" == done["rules"][3]["closest"]["short_of"]
    assert 1 == len(done["hints"])


def test_the_rules_in_force_are_tested_without_a_file(folder: Path):
    """The pack and the settings' own rules, one of them by its name."""
    (folder / "watchkeeper.toml").write_text(RULES)

    done = run("rules", "test", *OURS, folder=folder)
    one = run("rules", "test", "--rule", "high ERROR rate", *OURS, folder=folder)

    assert "High error rate" in done.stdout
    assert "Very slow" in done.stdout
    assert 1 == len(one.stdout.splitlines())
    assert "would fire 1×" in one.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rule", "Nothing"], "there is no rule 'Nothing'"),
        (["--last", "1s"], "--last: '1s' is not between"),
        (["missing.toml"], "does not exist"),
        (["empty.toml"], "there is no rule in it"),
        (["bad.toml"], "bad.toml"),
    ],
)
def test_what_cannot_be_tested_is_said(folder: Path, arguments: list[str], said: str):
    """Wrong usage is one line and 64."""
    (folder / "empty.toml").write_text("")
    (folder / "bad.toml").write_text('[[alert]]\nname = "A"\nwhen = "error_rate > 5"\n')

    done = run("rules", "test", *arguments, *OURS, folder=folder)

    assert 64 == done.returncode
    assert said in done.stderr


def test_nothing_stored_is_said(tmp_path: Path, sqlite_url: str):
    """An empty database is not a calm one."""
    opened = open_store(sqlite_url)
    opened.migrate()
    opened.close()

    done = run("rules", "test", *OURS, folder=tmp_path)

    assert "nothing is stored of that time" in done.stderr


def test_a_terminal_shows_how_far_it_is(folder: Path):
    """What takes long shows a bar."""
    code, shown = run_on_terminal("rules", "test", "rules.toml", *OURS, folder=folder)

    assert 0 == code
    assert "replaying" in shown
    assert "100%" in shown
