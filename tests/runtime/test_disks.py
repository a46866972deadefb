"""How full the file systems are that the application needs, read from the real ones."""

import os
import shutil
from pathlib import Path

import pytest

from watchkeeper.core.filling import MAX_READINGS, READ_EVERY_S
from watchkeeper.runtime.disks import Disks

NOW = 1_700_000_000.0


def test_the_share_is_what_df_shows(tmp_path: Path):
    """What only root may use counts as neither used nor free."""
    (state,) = Disks(lambda: [tmp_path]).read(NOW)

    usage = shutil.disk_usage(tmp_path)
    assert usage.used / (usage.used + usage.free) == pytest.approx(state.used, abs=0.01)


def test_a_file_system_is_named_by_where_it_is_mounted(tmp_path: Path):
    """The name is the top of the file system, whatever folder was asked for."""
    (state,) = Disks(lambda: [tmp_path / "not" / "there" / "yet"]).read(NOW)

    assert os.path.ismount(state.mount)
    assert os.stat(state.mount).st_dev == tmp_path.stat().st_dev


def test_folders_of_one_file_system_are_one(tmp_path: Path):
    """Two folders on one disk are one disk; memory disks are others."""
    folders = [tmp_path, tmp_path / "a", tmp_path.parent, Path("/dev/shm")]  # noqa: S108

    states = list(Disks(lambda: folders).read(NOW))

    devices = {os.stat(state.mount).st_dev for state in states}
    assert len(devices) == len(states)
    assert {folder.stat().st_dev for folder in (tmp_path, Path("/dev/shm"))} == devices  # noqa: S108


def test_what_cannot_be_read_is_left_out():
    """A file system without a size (/proc) has no share, never a 0."""
    assert [] == list(Disks(lambda: [Path("/proc")]).read(NOW))


def test_there_is_a_trend_after_an_hour(tmp_path: Path):
    """Until then nothing is predicted; afterwards there is a figure, and it is bounded."""
    disks = Disks(lambda: [tmp_path])
    found = [
        next(disks.read(NOW + step * READ_EVERY_S)).full_in_s for step in range(MAX_READINGS + 9)
    ]

    assert [None] * 12 == found[:12]
    assert all(value is not None and value >= 0 for value in found[12:])
    (trend,) = disks._trends.values()
    assert MAX_READINGS == len(trend._readings)


def test_a_clock_set_back_begins_the_trend_anew(tmp_path: Path):
    """Readings of a time that has not come yet are worth nothing."""
    disks = Disks(lambda: [tmp_path])
    for step in range(20):
        list(disks.read(NOW + step * READ_EVERY_S))

    (state,) = disks.read(NOW - 86_400)

    assert state.full_in_s is None
