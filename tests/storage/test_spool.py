"""Spool files: private, bounded, and read as far as they are whole."""

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from stored import SHOP, batch, counted, counter, event, frame, result, sample, statement

from watchkeeper.core.slot import Value
from watchkeeper.core.spool import SpoolName
from watchkeeper.storage import spool
from watchkeeper.storage.spool import (
    DamagedSpoolError,
    GoneSpoolError,
    NewerSpoolError,
    SpoolError,
    SpoolFile,
    find_spools,
    folders,
    put_aside,
    remove_spool,
    write_spool,
)
from watchkeeper.storage.spooled import DamagedBatchError, Packer, Unpacker
from watchkeeper.storage.store import OWN_WORKER, Batch, CheckChange

NAME = SpoolName(first_at=1_000, id="00000000000000aa")
CHANGE = CheckChange(name="database", worker=0, before="pass", after="fail", at=5.0)


def full(number: int) -> Batch:
    """Make a batch that holds a little of everything."""
    return batch(
        frame(10 * number, 0, sequence=number),
        issues=[counted(aliases=("0:aa",), path="p1", routes={"GET /": 1}, users=("u1", "u2"))],
        events=[event(number)],
        checks=[result(), result("disk", worker=OWN_WORKER, data={"value": 1.5, "tags": ["a"]})],
        check_changes=[CHANGE],
        samples=[sample(number)],
        statements=[statement()],
    )


BATCHES = [full(number) for number in range(1, 4)]


def spill(folder: Path, batches: Sequence[Batch] = BATCHES, **more: Any) -> Path:
    """Write a spool; its path."""
    wanted = {"host": "web", "pid": 7, "at": 1_030.0, "deadline": time.monotonic() + 60}
    write_spool(folder, NAME, batches, **{**wanted, **more})
    return folder / str(NAME)


def read(folder: Path, name: SpoolName = NAME) -> list[Batch]:
    """Read what is left in a spool."""
    with SpoolFile.open(folder, name) as file:
        return list(file.batches())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a folder of spools that is not there yet."""
    return tmp_path / "watchkeeper.db.spool" / "shop-1"


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e9), max_size=5)))
def test_what_is_packed_is_what_is_unpacked(slots: list[dict[str, float]]):
    """Series are told once, and every batch comes back with those it held."""
    batches = []
    for number, slot in enumerate(slots):
        values: dict[Any, Value] = {counter(plan=plan): value for plan, value in slot.items()}
        batches.append(replace(full(number), frame=frame(number * 10, 0, values=values)))
    packer, unpacker = Packer(), Unpacker()

    assert batches == [unpacker.unpack(packer.pack(one)) for one in batches]


def test_a_spool_gives_back_what_was_put_in(folder: Path):
    """Frames, errors, events, checks, requests and statements: nothing is left out."""
    spill(folder)

    with SpoolFile.open(folder, NAME) as file:
        assert BATCHES == list(file.batches())
        assert ("web", 7, 1_030.0) == (file.head.host, file.head.pid, file.head.at)
    assert [NAME] == [name for name, _ in find_spools(folder, now=time.time())]


def test_a_spool_is_its_users_alone(folder: Path):
    """Nobody else on the machine may read what would have been in the database."""
    path = spill(folder)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_what_is_written_already_is_skipped(folder: Path):
    """The file itself remembers how much of it is in the database."""
    spill(folder)
    with SpoolFile.open(folder, NAME) as file:
        for _ in zip(file.batches(), range(2), strict=False):
            file.mark()

    assert BATCHES[2:] == read(folder)


def test_a_spool_that_is_cut_off_is_read_up_to_there(folder: Path):
    """Wherever the end is missing, what comes before is whole, and the damage is told."""
    path = spill(folder)
    content = path.read_bytes()

    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        found: list[Batch] = []
        with (
            pytest.raises(DamagedSpoolError),
            SpoolFile.open(folder, NAME) as file,
        ):
            found.extend(file.batches())
        assert found == BATCHES[: len(found)]


def test_a_spool_with_a_wrong_byte_is_read_up_to_there(folder: Path):
    """Wherever a byte is wrong, nothing wrong comes out of the file."""
    path = spill(folder)
    content = path.read_bytes()

    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found: list[Batch] = []
        with (
            pytest.raises((DamagedSpoolError, NewerSpoolError)),
            SpoolFile.open(folder, NAME) as file,
        ):
            found += file.batches()
        assert found == BATCHES[: len(found)]


@pytest.mark.parametrize(
    "data", [b"", b"\x05\0\0\0junk!", b"\xff\xff\xff\xff", Packer().pack(BATCHES[0])[:-9]]
)
def test_a_batch_that_cannot_be_unpacked_is_damaged(data: bytes):
    """Whatever the bytes are, there is one kind of error."""
    with pytest.raises(DamagedBatchError):
        Unpacker().unpack(data)


def test_an_older_format_is_read(folder: Path):
    """What an earlier process left is written by an upgraded one."""
    path = spill(folder)
    whole = read(folder)
    path.write_bytes(b"wkspool\x01" + path.read_bytes()[8:])

    assert whole == read(folder)


def test_a_newer_format_waits_for_a_newer_process(folder: Path):
    """A spool that an upgraded process left is not called damaged by an older one."""
    path = spill(folder)
    path.write_bytes(b"wkspool\x03" + path.read_bytes()[8:])

    with pytest.raises(NewerSpoolError, match="its format is 3, this version knows 2"):
        read(folder)


def test_a_spool_that_is_gone_is_gone(folder: Path):
    """Another process may have been faster."""
    spill(folder)

    remove_spool(folder, NAME)

    with pytest.raises(GoneSpoolError):
        read(folder)
    assert not folder.parent.exists()


def test_a_full_folder_takes_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that is restarted all day long does not fill the disk; nothing half is left."""
    spill(folder)
    monkeypatch.setattr(spool, "MAX_FOLDER_BYTES", (folder / str(NAME)).stat().st_size + 50)

    with pytest.raises(SpoolError, match="holds 0 MB already"):
        spill(folder, pid=8)

    assert [str(NAME)] == os.listdir(folder)


def test_a_disk_that_is_nearly_full_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """What the database leaves free for others, a spool does not take either."""
    monkeypatch.setattr(spool, "SPOOL_RESERVES", 1e9)

    with pytest.raises(SpoolError, match="or its disk is full"):
        spill(folder)

    assert [] == os.listdir(folder)


def test_too_many_files_are_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The number of files is bounded as well."""
    monkeypatch.setattr(spool, "MAX_FILES", 1)
    spill(folder)

    with pytest.raises(SpoolError):
        write_spool(folder, replace(NAME, first_at=2), BATCHES, host="", pid=1, at=1, deadline=9e9)


def test_too_many_services_are_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Databases that come and go, as in tests, do not fill a home with folders."""
    monkeypatch.setattr(spool, "MAX_FOLDERS", 1)
    spill(folder)

    with pytest.raises(SpoolError, match="holds 1 folders already"):
        spill(folder.parent / "other-1")
    spill(folder)  # one that is there is used as before


def test_time_is_bounded_and_the_oldest_slots_come_first(folder: Path):
    """When the process must end, what is written by then is a whole spool."""
    spill(folder, deadline=time.monotonic())

    assert BATCHES[:1] == read(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the platform has no such users")
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path):
    """Nobody can slip in figures, or lie in wait for ours, in the folder for temporary files."""
    theirs = tmp_path / "shop-1"
    theirs.mkdir()
    theirs.chmod(0o777)
    (theirs / str(NAME)).write_bytes(b"anything")

    assert [] == find_spools(theirs, now=time.time())
    with pytest.raises(SpoolError, match="belongs to somebody else"):
        spill(theirs)


def test_a_link_is_not_followed(tmp_path: Path, folder: Path):
    """A spool is a file, not somebody's link to another one."""
    spill(tmp_path / "elsewhere")
    folder.mkdir(mode=0o700, parents=True)
    (folder / str(NAME)).symlink_to(tmp_path / "elsewhere" / str(NAME))

    with pytest.raises(SpoolError):
        read(folder)


def test_the_folder_that_a_database_misses_is_not_made(tmp_path: Path):
    """Where the folder of the SQLite file is missing, it is not ours to make."""
    with pytest.raises(GoneSpoolError):
        spill(tmp_path / "missing" / "watchkeeper.db.spool" / "shop-1")

    assert not (tmp_path / "missing").exists()


def test_damaged_files_are_kept_but_not_for_ever(folder: Path):
    """What was put aside is not read again, and only the newest are kept."""
    for number in range(8):
        name = replace(NAME, first_at=number)
        write_spool(folder, name, BATCHES, host="", pid=1, at=1, deadline=9e9)
        put_aside(folder, name)

    assert [] == find_spools(folder, now=time.time())
    assert spool.MAX_DAMAGED == len(os.listdir(folder))


HERE = os.getcwd()


def places(url: Any, setting: str = "", service: str = "shop", **environ: str) -> list[str]:
    """Return where spools would be, the part that tells services apart cut off."""
    found = folders(
        setting,
        database_url=url,
        service=service,
        environment="test",
        environ=environ,
        directory=HERE,
    )
    return [str(path.parent) for path in found]


def test_the_first_place_is_beside_a_sqlite_file(tmp_path: Path):
    """Who looks for the database finds the spool; the temporary folder is the last resort."""
    *_, last = found = places(f"sqlite:///{tmp_path}/shop.db", HOME="/home/me")

    assert [f"{tmp_path}/shop.db.spool", "/home/me/.local/state/watchkeeper", last] == found
    assert last.startswith(str(Path(spool.tempfile.gettempdir()) / "watchkeeper-"))


def test_a_server_has_the_state_folder_of_the_process():
    """What systemd gives comes before what the user has."""
    url = "postgresql://u:secret@db/shop"

    assert "/var/lib/shop/watchkeeper" == places(url, STATE_DIRECTORY="/var/lib/shop:/x")[0]
    assert "/state/watchkeeper" == places(url, XDG_STATE_HOME="/state", HOME="/home/me")[0]
    assert 1 == len(places(url))


def test_a_chosen_folder_is_the_only_one():
    """What is set is obeyed."""
    assert ["/data/spool"] == places("postgresql://db/shop", "/data/spool", HOME="/home/me")
    assert [] == places("postgresql://db/shop", "off", HOME="/home/me")
    assert [] == places("memory://", "/data/spool")


def identity(url: Any, service: str = "shop", environment: str = "test") -> str:
    """Return the name of the folder itself."""
    (found,) = folders(
        "/spool",
        database_url=url,
        service=service,
        environment=environment,
        environ={},
        directory=HERE,
    )
    return found.name


def test_services_and_databases_never_share_a_folder():
    """Two services on one host, or one of two databases, do not write each other's slots."""
    url = "postgresql://u:one@db/shop"

    assert identity(url) == identity("postgresql+psycopg://u:two@db/shop?sslmode=require")
    assert identity(url) == identity(create_engine("postgresql+psycopg://u:two@db/shop"))
    names = {
        identity(url),
        identity(url, service="blog"),
        identity(url, environment="staging"),
        identity("postgresql://u:one@db/blog"),
        identity("postgresql://u:one@other/shop"),
        identity("mariadb://u:one@db/shop"),
        identity("shop.db"),
    }
    assert 7 == len(names)
    assert identity("shop.db") == identity(f"sqlite:///{HERE}/shop.db")
    assert identity(url, service="../../etc").startswith("etc-")


def test_a_batch_of_the_scope_keeps_its_release():
    """The release of a slot is that of the process that made it."""
    unpacked = Unpacker().unpack(Packer().pack(BATCHES[0]))

    assert SHOP == unpacked.scope
