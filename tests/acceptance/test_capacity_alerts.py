"""What runs out is told: each of the default rules about it, provoked in a real server.

Each story runs the whole default pack over one worker of uvicorn and sees its notice and no other.
The worker lives in a mount name space of its own, where a small memory disk is the folder for
temporary files, and where a made control group with real limits stands in the place of the
machine's: what is in use there is what the process really uses.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import Server, get, until
from receivers import Receiver
from servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

APP = """
import os
import tempfile
import threading
import time
from dataclasses import replace

from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

import watchkeeper
from watchkeeper.core.pack import ALERTS

app = FastAPI()
kept = []
engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, pool_size=3, max_overflow=0)


@app.get("/")
def hello() -> str:
    with engine.connect():
        return "hello"


@app.get("/grow")
def grow(to: int) -> int:
    import psutil

    more = to - psutil.Process().memory_info().rss
    kept.append(bytearray(b"x") * max(0, more))
    return more


@app.get("/burn")
def burn(seconds: float) -> None:
    def work() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sum(range(1_000))

    threading.Thread(target=work, daemon=True).start()


@app.get("/block")
async def block(seconds: float) -> None:
    time.sleep(seconds)


@app.get("/hold")
def hold(connections: int) -> None:
    kept.extend(engine.connect() for _ in range(connections))


@app.get("/fill")
def fill(size: int) -> None:
    with open(os.path.join(tempfile.gettempdir(), "upload"), "wb") as file:
        file.write(bytes(size))


@app.get("/open")
def open_many(files: int) -> None:
    kept.extend(open("/dev/null") for _ in range(files))


# The pack's own rules: minutes of waiting are seconds here, and nothing else is changed.
BRIEF = {
    "Memory": {"hold": "3s"},
    "CPU": {"hold": "3s"},
    "Event-loop lag": {"over": "6s"},
    "Disk": {"over": "6s"},
    "File descriptors": {"hold": "3s"},
    "Database pool": {"hold": "3s"},
}
watchkeeper.watch(app, watchkeeper.Settings(
    enabled=True, database_url="sqlite:///watchkeeper.db", service="shop", environment="test",
    slot="1s", flush_jitter="0s",
    alerts=[replace(one, **BRIEF[one.name]) for one in ALERTS if one.name in BRIEF],
    channels={"oncall": {"type": "webhook", "url": os.environ["RECEIVER"]}},
))
"""
MIB = 1024 * 1024
MEMORY_MAX = 400 * MIB
CORES_MAX = 0.2  # so that a busy machine can give as much
FILES_MAX = 250
DISK_BYTES = 20 * MIB
FEED_EVERY_S = 0.1
WELL_S = 8.0  # in which nothing is told: several evaluations with all figures
A_WHILE_S = 5.0  # in which a second notice would arrive

# Runs in the name space, then becomes the server.
PREPARED = """
set -e
mount -t tmpfs -o size={disk} none "$TMPDIR"
mount --bind "{tree}" /sys/fs/cgroup
mount --bind "{membership}" /proc/$$/cgroup
ulimit -n {files}
exec "$@"
"""


class Container:
    """A made control group of version 2, fed with what a real process uses."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "cgroup"
        self.tree.mkdir()
        self.membership = folder / "membership"
        self.membership.write_text("0::/\n")
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._write("memory.max", f"{MEMORY_MAX}\n")
        self._write("cpu.max", f"{int(CORES_MAX * 100_000)} 100000\n")
        self.feed(psutil.Process())

    def feed(self, process: psutil.Process) -> None:
        """Write what a process uses, as the kernel would."""
        with process.oneshot():
            used, times = process.memory_info().rss, process.cpu_times()
        self._write("memory.current", f"{used}\n")
        self._write("cpu.stat", f"usage_usec {int((times.user + times.system) * 1e6)}\n")

    def command(self, *command: str) -> list[str]:
        """Return a command that runs within."""
        script = PREPARED.format(
            disk=DISK_BYTES, tree=self.tree, membership=self.membership, files=FILES_MAX
        )
        own = ["--map-root-user"] if os.geteuid() else []
        return ["unshare", *own, "--mount", "sh", "-c", script, "sh", *command]

    def _write(self, name: str, text: str) -> None:
        """Replace a file at once: a reader finds the old text or the new one."""
        new = self.tree / f"{name}.new"
        new.write_text(text)
        new.replace(self.tree / name)


@contextmanager
def fed(container: Container, server: Server) -> Iterator[None]:
    """Keep the figures of a control group up to date while a server runs."""
    assert server.process is not None
    process, over = psutil.Process(server.process.pid), threading.Event()

    def feed() -> None:
        while not over.wait(FEED_EVERY_S):
            container.feed(process)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Story:
    """A server that is well, and whom it tells."""

    def __init__(self, server: Server, receiver: Receiver, temporary: Path) -> None:
        self.server = server
        self.receiver = receiver
        self.temporary = temporary

    def ask(self, path: str) -> None:
        """Ask for something once."""
        status, _, body = get(f"{self.server.url}{path}")
        assert 200 == status, body

    def told(self) -> list[tuple[str, str]]:
        """Say what has arrived: kind and rule of each alert."""
        return [
            (one.json()["watchkeeper"]["kind"], alert["labels"]["alertname"])
            for one in self.receiver.received
            for alert in one.json()["alerts"]
        ]

    def labels(self) -> dict[str, Any]:
        """Return the labels of the alert that arrived first."""
        return dict(self.receiver.received[0].json()["alerts"][0]["labels"])


@pytest.fixture(scope="module", autouse=True)
def _name_spaces(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no process may have mounts of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    container = Container(tmp_path_factory.mktemp("trial"))
    environ = {**os.environ, "TMPDIR": str(container.temporary)}
    tried = subprocess.run(
        container.command("cat", "/sys/fs/cgroup/memory.max", "/proc/self/cgroup"),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"no mount name space here: {tried.stderr.strip()}")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Serve, and see that nothing is told while all is well."""
    (tmp_path / "shop.py").write_text(APP)
    container = Container(tmp_path)
    uvicorn = [sys.executable, "-m", "uvicorn", "shop:app", "--port", "{port}"]
    with Receiver() as receiver:
        server = Server(
            container.command(*uvicorn),
            port=free_port(),
            folder=tmp_path,
            environ={"TMPDIR": str(container.temporary), "RECEIVER": receiver.url},
        )
        with server, fed(container, server):
            made = Story(server, receiver, container.temporary)
            time.sleep(WELL_S)
            assert [] == made.told()
            yield made


def memory(story: Story) -> None:
    """Take 94 % of what there is."""
    story.ask(f"/grow?to={int(MEMORY_MAX * 0.94)}")


def cpu(story: Story) -> None:
    """Keep a thread busy for longer than a burst."""
    story.ask("/burn?seconds=60")


def event_loop(story: Story) -> None:
    """Block the loop again and again, each time for less than a request may take."""
    until(lambda: story.told() or story.ask("/block?seconds=0.6"), within_s=30, every_s=0.0)


def disk(story: Story) -> None:
    """Leave less than a tenth of the folder for temporary files."""
    story.ask(f"/fill?size={int(DISK_BYTES * 0.94)}")


def descriptors(story: Story) -> None:
    """Open nearly as many files as the process may."""
    story.ask(f"/open?files={int(FILES_MAX * 0.85)}")


def pool(story: Story) -> None:
    """Take every connection, and give none back."""
    story.ask("/hold?connections=3")


@pytest.mark.parametrize(
    ("rule", "provoke", "label"),
    [
        ("Memory", memory, "host"),
        ("CPU", cpu, "host"),
        ("Event-loop lag", event_loop, "worker"),
        ("Disk", disk, "mount"),
        ("File descriptors", descriptors, "host"),
        ("Database pool", pool, "pool"),
    ],
)
def test_what_runs_out_is_told_once(
    story: Story, rule: str, provoke: Callable[[Story], None], label: str
):
    """One notice, of the rule that is about it, and it says where."""
    provoke(story)
    until(story.told, within_s=40)
    time.sleep(A_WHILE_S)

    assert [("firing", rule)] == story.told(), story.server.log.read_text()
    assert story.labels()[label]
    if rule == "Disk":
        assert str(story.temporary) == story.labels()[label]
