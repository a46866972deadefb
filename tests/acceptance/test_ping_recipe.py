"""The recipe of docs/jobs.md: a failure is told, however much the job has said."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "jobs.md"


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that takes pings: its address, and the calls with what came along."""
    calls: list[tuple[str, bytes]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append((self.path, self.rfile.read(int(self.headers["content-length"] or 0))))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            calls.append((self.path, b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("size", [0, 40, 400_000])
def test_the_recipe_tells_a_failure_of_any_length(heard, tmp_path: Path, size: int):
    """Start, exit code, and how the output begins: an argument has its limit, a pipe none."""
    address, calls = heard
    (recipe,) = re.findall(r"```sh\n(url=.*?)```", DOCS.read_text(), re.DOTALL)
    backup = tmp_path / "backup"
    backup.write_text(f"#!/bin/sh\nhead -c {size} /dev/zero | tr '\\0' x >&2\nexit 3\n")
    backup.chmod(0o755)
    script = re.sub(r"url=\S+", f"url={address}", recipe)

    done = subprocess.run(
        ["/bin/sh", "-c", script.replace("/usr/local/bin/backup", str(backup))],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "no_proxy": "*"},
    )

    assert [("/start", b""), ("/3", b"x" * min(size, 2_000))] == calls, done.stderr
