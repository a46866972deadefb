"""Real crashes: what made a process end without a word is an issue after the next start."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import until

from run_scripts import HERE, WATCHED, issues, opened, run

WAIT = """
import ctypes, faulthandler, os, time
while not faulthandler.is_enabled():
    time.sleep(0.01)
"""
CRASH = f"""{WAIT}
def print_order():
    ctypes.string_at(0)
print_order()
"""


def left(folder: Path) -> list[str]:
    """Name the crash files below a folder."""
    return [path.name for path in folder.glob("**/*.crash")]


def test_a_crash_is_an_issue_after_the_next_start(tmp_path):
    """With its place, its time and level critical, once; nothing is left of the files."""
    crashed = run(tmp_path, WATCHED + CRASH)
    assert (-signal.SIGSEGV, 1) == (crashed.returncode, len(left(tmp_path)))

    for _ in range(2):
        assert 0 == run(tmp_path, WATCHED).returncode

    store = opened(tmp_path)
    (issue,) = store.issues(**HERE, seen_since=0, limit=10)
    (event,) = store.events(issue.id, limit=10)
    store.close()
    assert ("Segmentation fault", "critical", 1) == (issue.title, issue.level, issue.count)
    assert "nightly.py:print_order" == issue.culprit
    frames = [(one["function"], one["app"]) for one in event.data["frames"]]
    assert [("<module>", True), ("print_order", True), ("string_at", False)] == frames
    assert [] == left(tmp_path)


def test_an_abort_is_a_crash_of_its_own(tmp_path):
    """Another kind of crash at the same place is another issue."""
    for script in (CRASH, CRASH.replace("ctypes.string_at(0)", "os.abort()")):
        run(tmp_path, WATCHED + script)
    run(tmp_path, WATCHED)

    assert {"Segmentation fault": 1, "Aborted": 1} == issues(tmp_path)


def test_who_crashes_at_each_start_loses_none(tmp_path):
    """A file is removed when what it told is stored, not before."""
    for _ in range(3):
        run(tmp_path, WATCHED + CRASH)
    run(tmp_path, WATCHED)

    assert {"Segmentation fault": 3} == issues(tmp_path)
    assert [] == left(tmp_path)


def test_a_process_that_ends_well_leaves_nothing(tmp_path):
    """Neither a file nor a folder."""
    assert 0 == run(tmp_path, WATCHED + WAIT).returncode

    assert {"nightly.py", "watchkeeper.db"} == {
        file.name for file in tmp_path.iterdir() if not file.name.endswith(("-wal", "-shm"))
    }


def test_a_process_that_lives_is_left_alone(tmp_path):
    """Its file is not read, nor removed; one that was killed has left an empty one, which is."""
    script = tmp_path / "lives.py"
    script.write_text(f"{WATCHED}\nimport time\ntime.sleep(60)")
    environ = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    process = subprocess.Popen([sys.executable, "lives.py"], cwd=tmp_path, env=environ)
    try:
        (name,) = until(lambda: left(tmp_path))
        run(tmp_path, WATCHED)
        assert [name] == left(tmp_path)
    finally:
        process.kill()
        process.wait()

    run(tmp_path, WATCHED)
    assert [] == left(tmp_path)
    assert {} == issues(tmp_path)


def test_a_crash_is_told_however_many_workers_live_that_began_later(tmp_path):
    """As where each of many cores has its workers: the files of those that live hide none."""
    run(tmp_path, WATCHED + CRASH)
    (crashed,) = tmp_path.glob("**/*.crash")
    with contextlib.ExitStack() as living:
        for number in range(40):
            path = crashed.with_name(f"9999999999-{number:016x}.crash")
            fcntl.flock(living.enter_context(path.open("xb")), fcntl.LOCK_EX)
        run(tmp_path, WATCHED)
        still_there = len(left(tmp_path))

    assert {"Segmentation fault": 1} == issues(tmp_path)
    assert 40 == still_there


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PYTHONFAULTHANDLER": "1"}, "Fatal Python error: Segmentation fault"),
        ({"WATCHKEEPER_CAPTURE_CRASHES": "0"}, ""),
        ({"WATCHKEEPER_SPOOL": "off"}, ""),
    ],
    ids=["the host's own", "switched off", "no folder"],
)
def test_where_it_is_not_wanted_there_is_no_file(tmp_path, environ: dict[str, str], said: str):
    """A host that enabled faulthandler keeps it; a setting, or no folder, switches ours off."""
    script = CRASH.replace("faulthandler.is_enabled()", "watchkeeper.app.current().store")

    crashed = run(tmp_path, WATCHED + script, **environ)

    assert (-signal.SIGSEGV, []) == (crashed.returncode, left(tmp_path))
    assert said == crashed.stderr.partition("\n")[0]
