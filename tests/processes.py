"""Real server processes for tests: started on a free port of loopback, ended by their id."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers import free_port

START_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0


class Server:
    """A process that serves HTTP on loopback; a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        ready: str = "/",
    ) -> None:
        """Prepare; `{port}` in the command becomes the port."""
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ready = ready
        self.folder = folder
        self.command = [part.replace("{port}", str(port)) for part in command]
        self.environ = {
            name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"
        } | dict(environ or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"server-{port}.log"

    def __enter__(self) -> "Server":
        """Start and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its workers get the same signals
            )
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                get(self.url + self.ready)
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(f"no answer within {START_WITHIN_S} s: {self.log.read_text()}")

    def __exit__(self, *_: object) -> None:
        """Stop, and kill what does not stop."""
        self.stop()

    def stop(self) -> None:
        """Ask it to end, as an operator would."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and its workers at once, as `kill -9` would."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_WITHIN_S)


def uvicorn(
    target: str,
    *,
    folder: Path,
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
    ready: str = "/",
) -> Server:
    """Prepare uvicorn serving `module:app` from a folder."""
    command = [sys.executable, "-m", "uvicorn", target, "--port", "{port}", "--log-level", "info"]
    if workers > 1:
        # Uvicorn kills a worker that says nothing for five seconds, as one that starts on a busy
        # machine does, or one that a test lets sleep.
        command += ["--workers", str(workers), "--timeout-worker-healthcheck", "60"]
    return Server(command, port=free_port(), folder=folder, environ=environ, ready=ready)


def preloaded(
    target: str,
    *,
    folder: Path,
    workers: int,
    environ: Mapping[str, str] | None = None,
    ready: str = "/",
) -> Server:
    """Prepare gunicorn serving an ASGI application, which is loaded once: workers are forks of it.

    For one of uvicorn's workers loads all anew, which takes three times the time of a fork.
    """
    command = [sys.executable, "-m", "gunicorn", target, "--bind", "127.0.0.1:{port}"]
    command += ["--workers", str(workers), "--worker-class", "asgi", "--preload"]
    # Nobody is killed for silence: a test lets a worker sleep.
    command += ["--timeout", "0", "--no-control-socket"]
    return Server(command, port=free_port(), folder=folder, environ=environ, ready=ready)


def get(url: str, *, timeout_s: float = 10.0) -> tuple[int, dict[str, str], bytes]:
    """Fetch a page: status, headers in lower case, body; error statuses are answers too."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, lower(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, lower(error.headers), error.read()


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers under lower-case names."""
    return {name.lower(): value for name, value in headers.items()}


def until(condition, *, within_s: float = 20.0, every_s: float = 0.1):
    """Wait for a condition to give something true, and return it."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(every_s)
