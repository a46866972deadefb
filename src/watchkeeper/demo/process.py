"""The shop's process as the demo sees it: started, ordered about and ended."""

import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

from watchkeeper.demo.serve import Plan
from watchkeeper.exceptions import WatchkeeperError

START_WITHIN_S: Final = 30.0
ANSWER_WITHIN_S: Final = 5.0
END_WITHIN_S: Final = 8.0
LOG_FILE: Final = "shop.log"
MAX_LAST_WORDS: Final = 500  # characters of the log's last line in a message
NEEDED: Final = ("fastapi", "uvicorn")


class DemoError(WatchkeeperError):
    """The demo cannot go on."""


def require_packages() -> None:
    """Raise DemoError if what the shop is made of is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(
            f"the demo is a FastAPI shop, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed. "
            'Run: pip install "watchkeeper[demo]"'
        )


class ShopProcess:
    """One run of the shop. It ends with its standard input, so it never outlives the demo."""

    def __init__(self, plan: Plan) -> None:
        """Start the process; `wait_until_ready` comes next."""
        self.port = plan.port
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._log = Path(plan.folder) / LOG_FILE
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module, by our own Python
                [sys.executable, "-m", "watchkeeper.demo.serve", plan.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=plan.folder,
                env=_environment(),
                text=True,
                start_new_session=True,  # Ctrl-C is the demo's to handle, not the shop's
            )
        threading.Thread(target=self._listen, name="demo answers", daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait until the shop listens, on `port` from then on. Raises DemoError if it does not."""
        self.port = int(self._answer(START_WITHIN_S)["port"])

    @property
    def url(self) -> str:
        """The address of the shop, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self._process.poll() is None

    def switch_incident(self, *, on: bool) -> None:
        """Begin or end the incident."""
        self._order(f"incident {'on' if on else 'off'}")

    def times(self) -> tuple[int, float | None]:
        """Return how many requests the independent timer saw, and their exact p95 in seconds."""
        answer = self._order("times")
        return answer["count"], answer["p95_s"]

    def end(self) -> None:
        """End the process with SIGTERM, or by force if it takes too long."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _order(self, line: str) -> dict[str, Any]:
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(line + "\n")
                pipe.flush()
        except OSError as error:
            raise self._ended() from error
        return self._answer(ANSWER_WITHIN_S)

    def _answer(self, within_s: float) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=within_s)
        except queue.Empty:
            raise DemoError(f"the shop did not answer within {within_s:.0f} s") from None
        if not answer:
            raise self._ended()
        if "error" in answer:
            raise DemoError(answer["error"])
        return answer

    def _listen(self) -> None:
        pipe = self._process.stdout
        if pipe is not None:
            for line in pipe:
                self._answers.put(json.loads(line))
        self._answers.put({})  # nothing more will come

    def _ended(self) -> DemoError:
        words = self._log.read_text("utf-8", "replace").strip().splitlines()
        last = words[-1][:MAX_LAST_WORDS] if words else "nothing"
        return DemoError(f"the shop's process ended by itself; its last words: {last}")


def _environment() -> dict[str, str]:
    """Return the environment without what sets up the user's own Watchkeeper."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WATCHKEEPER_") and name != "PYTEST_CURRENT_TEST"
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}
