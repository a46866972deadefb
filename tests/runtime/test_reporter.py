"""Which of several real processes reports what they share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from watchkeeper.runtime.reporter import Reporter

pytest.importorskip("fcntl")

OTHER = """
import sys
from pathlib import Path
from watchkeeper.runtime.reporter import Reporter
reporter = Reporter(Path(sys.argv[1]))
for line in sys.stdin:
    print(reporter.reports(line.strip()), flush=True)
"""


class Other:
    """Another process that asks whether it reports."""

    def __init__(self, place: Path) -> None:
        command = [sys.executable, "-c", OTHER, str(place)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def reports(self, name: str) -> bool:
        """Ask it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip() == "True"


@contextmanager
def other(place: Path) -> Iterator[Other]:
    """Start another process, and kill it in the end."""
    made = Other(place)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "hosts.lock"


@pytest.fixture
def reporter(place: Path) -> Iterator[Reporter]:
    made = Reporter(place)
    yield made
    made.close()


def test_one_of_several_processes_reports(place: Path, reporter: Reporter):
    """Whoever asks first, as long as it lives; each thing has one of its own."""
    with other(place) as second:
        ours = [reporter.reports("shop"), second.reports("shop"), reporter.reports("shop")]
        theirs = [second.reports("blog"), reporter.reports("blog")]

    assert [True, False, True] == ours
    assert [True, False] == theirs


def test_another_takes_over_from_one_that_was_killed(place: Path, reporter: Reporter):
    """A worker that dies reports no more, and nobody has to notice."""
    with other(place) as second:
        before = [second.reports("shop"), reporter.reports("shop")]
    after = reporter.reports("shop")

    assert [True, False, True] == [*before, after]


def test_another_takes_over_from_one_that_stopped(place: Path, reporter: Reporter):
    """A clean stop gives the turn away at once."""
    reporter.reports("shop")
    with other(place) as second:
        before = second.reports("shop")
        reporter.close()

        assert [False, True] == [before, second.reports("shop")]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_report_for_its_parent(reporter: Reporter):
    """Neither while the parent lives, nor does it keep the turn of one that is gone."""
    reporter.reports("shop")
    child = os.fork()
    if child == 0:
        os._exit(int(reporter.reports("shop")))

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert reporter.reports("shop")


def test_a_file_that_was_tidied_away_is_made_anew(place: Path, reporter: Reporter):
    """Two that lock different files would both report: who comes later asks on the new one."""
    reporter.reports("shop")
    place.unlink()
    again = reporter.reports("shop")
    with other(place) as second:
        assert [True, False] == [again, second.reports("shop")]


def test_no_link_is_followed(tmp_path: Path, place: Path, reporter: Reporter):
    """Who may write beside us cannot make us open a file of ours; everybody reports then."""
    target = tmp_path / "precious"
    place.symlink_to(target)

    assert reporter.reports("shop")
    assert not target.exists()


def test_without_a_place_everybody_reports(tmp_path: Path):
    """Nobody is silent because nothing can be locked."""
    assert Reporter(tmp_path / "not" / "there").reports("shop")


def test_nothing_is_written(place: Path, reporter: Reporter):
    """One empty file, only for its owner, however many names there are."""
    for number in range(100):
        reporter.reports(f"shop {number}")

    assert 0 == place.stat().st_size
    assert 0o600 == place.stat().st_mode & 0o777
