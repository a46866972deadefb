"""The built-in checks of a worker's own machine: disk, memory, clock."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from servers import MariaDB

from checked import check, found, states, told
from watchkeeper.core.health import CheckState
from watchkeeper.runtime.builtin.clock import judged
from watchkeeper.runtime.builtin.memory import memory_in_use

SIZE_BYTES = 10 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 10 MiB and 100 inodes."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = f"size={SIZE_BYTES},nr_inodes=100"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.decode(errors='replace').strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, share: float) -> None:
    (folder / "filling").write_bytes(bytes(int(SIZE_BYTES * share)))


@pytest.mark.parametrize(
    ("share", "state", "words"),
    [
        (0.5, "pass", ""),
        (0.95, "warn", "{folder}: 524 kB free, 5 %"),
        (0.99, "fail", "{folder}: 102 kB free, 0.977 %"),
    ],
)
def test_a_disk_that_fills_warns_then_fails(
    small_disk: Path, share: float, state: str, words: str
):
    """Below 10 % free, and below 2 %; the share that is free is told."""
    fill(small_disk, share)
    one = found("disk", path=str(small_disk))

    assert (state, words.format(folder=small_disk)) == (one.state.value, one.output)
    assert "percent" == one.unit
    assert pytest.approx(100 * (1 - share), abs=0.5) == one.value


def test_a_full_disk_fails(small_disk: Path):
    """A disk on which nothing can be written any more."""
    with pytest.raises(OSError, match="No space left"):
        fill(small_disk, 2)

    assert ("fail", f"{small_disk}: 0 B free, 0 %") == told("disk", path=str(small_disk))


def test_a_disk_without_inodes_fails(small_disk: Path):
    """There is room, and no file can be made."""
    with suppress(OSError):
        for number in range(200):
            (small_disk / str(number)).touch()

    assert ("fail", f"{small_disk}: 0 % of the inodes free") == told("disk", path=str(small_disk))


def test_sizes_are_understood_beside_shares(small_disk: Path):
    """Some think in bytes."""
    fill(small_disk, 0.5)

    assert "warn" == told("disk", path=str(small_disk), warn_free="6MB", fail_free="1MB")[0]
    assert "fail" == told("disk", path=str(small_disk), warn_free="9MB", fail_free="6MB")[0]


def test_a_folder_that_is_not_there_fails(tmp_path: Path):
    """A disk that is not mounted is not a disk with room."""
    assert ("fail", f"{tmp_path}/gone is not there") == told("disk", path=f"{tmp_path}/gone")


def test_memory_is_that_of_the_machine_without_a_limit(tmp_path: Path):
    """As `free` shows it: what is available counts as free."""
    one = memory_in_use(tmp_path, warn_share=1.0, fail_share=1.0)

    assert ("percent", CheckState.PASS) == (one.unit, one.state)
    assert 0 < one.value < 100


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (50, (50.0, CheckState.PASS, "")),
        (95, (95.0, CheckState.WARN, "95 % of the control group's limit in use")),
        (99, (99.0, CheckState.FAIL, "99 % of the control group's limit in use")),
    ],
)
def test_memory_is_that_of_the_control_group_with_a_limit(
    tmp_path: Path, used: int, expected: Any
):
    """A container is ended at its own limit, however much the machine has."""
    for name, text in {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "100000000\n",
        "sys/fs/cgroup/memory.current": f"{used}000000\n",
        "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    one = memory_in_use(tmp_path, warn_share=0.9, fail_share=0.97)

    assert expected == (one.value, one.state, one.text)


def test_memory_passes_or_warns_from_settings():
    """The thresholds are shares."""
    assert "percent" == found("memory").unit
    assert "fail" == told("memory", warn="0.001%", fail="0.002%")[0]


def test_the_clocks_of_servers_are_compared(postgres_url: str, mariadb_server: MariaDB):
    """On one machine they are the same, whatever the time zones are."""
    urls = [
        postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        mariadb_server.url.replace("mysql://", "mysql+pymysql://"),
        postgres_url.replace("postgresql://", "postgresql+asyncpg://"),
    ]
    for url in urls:
        one = found("clock", url=url)

        assert ("pass", "", "s") == (one.state.value, one.output, one.unit)
        assert 0.0 == pytest.approx(one.value, abs=1.0)


def test_a_clock_that_is_wrong_is_told(postgres_url: str):
    """A server is made to be an hour ahead by a function of the same name."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA wrong")
        connection.execute(
            "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            "'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''"
        )
    ahead = f"{url}?options=-csearch_path%3Dwrong,pg_catalog"

    one = found("clock", url=ahead)

    assert ("fail", "this clock is 1 h behind the database's") == (one.state.value, one.output)
    assert -3_600 == pytest.approx(one.value, abs=5)


@pytest.mark.parametrize(
    ("before", "theirs", "after", "expected"),
    [
        (100.0, 100.5, 101.0, (0.0, CheckState.PASS)),
        (100.0, 98.6, 100.0, (1.4, CheckState.PASS)),
        (100.0, 97.0, 100.0, (3.0, CheckState.WARN)),
        (100.0, 103.0, 100.0, (-3.0, CheckState.WARN)),
        (100.0, 98.0, 104.0, (4.0, CheckState.PASS)),  # it may have been read at once
        (100.0, 60.0, 100.0, (40.0, CheckState.FAIL)),
    ],
)
def test_the_time_that_the_question_took_is_no_skew(
    before: float, theirs: float, after: float, expected: Any
):
    """Only what is sure counts."""
    one = judged(before=before, theirs=theirs, after=after, warn_s=2.0, fail_s=30.0)

    assert expected == (one.value, one.state)


def test_nothing_is_left_of_many_runs(tmp_path: Path, postgres_url: str):
    """Neither files nor connections."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")

    assert {CheckState.FAIL} == states(check("disk", path=f"{tmp_path}/gone"))
    assert {CheckState.PASS} == states(check("disk", path=os.sep, warn_free="0%", fail_free="0%"))
    assert {CheckState.PASS} == states(check("memory", warn="100%", fail="100%"))
    assert {CheckState.PASS} == states(check("clock", url=url))
