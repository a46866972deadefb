"""The page "First alert in five minutes" does what it says: files, commands and messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Server, get, until
from servers import free_port

PAGE = Path(__file__).parents[2] / "docs" / "first-alert.md"
ONCALL_PORT, SHOP_PORT = 9000, 8000  # as the page has them

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Page:
    """The blocks of the page, with free ports in the place of its own."""

    def __init__(self) -> None:
        self.shop_port, self.oncall_port = free_port(), free_port()
        text = PAGE.read_text("utf-8").replace(str(ONCALL_PORT), str(self.oncall_port))
        text = text.replace(str(SHOP_PORT), str(self.shop_port))
        self.blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    def named(self, language: str, holds: str) -> str:
        """Return the only block of a language that holds a text."""
        (found,) = (one for kind, one in self.blocks if kind == language and holds in one)
        return found

    def save(self, folder: Path) -> None:
        """Save what the page says to save."""
        (folder / "main.py").write_text(self.named("python", "watchkeeper.watch(app)"))
        (folder / "oncall.py").write_text(self.named("python", "class OnCall"))
        (folder / "watchkeeper.toml").write_text(self.named("toml", "[channels.oncall]"))


def test_whoever_follows_the_page_is_told_of_the_fault_and_of_its_end(tmp_path: Path):
    """Each step, as it stands there; the counts are those of the page."""
    page = Page()
    page.save(tmp_path)
    environ = {
        "ONCALL_URL": f"http://127.0.0.1:{page.oncall_port}/",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    oncall = Server([sys.executable, "oncall.py"], port=page.oncall_port, folder=tmp_path)
    serve = [sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"]
    shop = Server(serve, port=page.shop_port, folder=tmp_path, environ=environ, ready="/hello")
    env = shop.environ
    assert f"export ONCALL_URL={environ['ONCALL_URL']}" in page.named("", "export")

    def shell(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    shell("watchkeeper config check")
    with oncall, shop:
        shell(page.named("", "seq 20"))
        firing = page.named("", "firing High error rate").strip().splitlines()[0]
        assert until(lambda: told(oncall)), shop.log.read_text()

        # How many of the five it names depends on when the first new error was written.
        assert firing == re.sub(r"[\d.]+ % \([345] of 2\d ", "20 % (5 of 25 ", told(oncall)[0])
        assert "High error rate" in shell("watchkeeper status || true")
        assert re.search(r"High error rate \[\d+\]", shell("watchkeeper alerts || true"))
        assert "has incident" in shell(page.named("", "watchkeeper ack"))
        assert until(lambda: get(f"{shop.url}/hello") and told(oncall)[1:], within_s=150)
        assert told(oncall)[1].startswith("resolved High error rate: resolved after 1 min ")


def told(oncall: Server) -> list[str]:
    """Return what was printed of messages; the rest is what http.server says of each request."""
    lines = oncall.log.read_text().splitlines()
    return [line for line in lines if line.startswith(("firing", "resolved"))]
