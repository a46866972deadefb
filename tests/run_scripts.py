"""Scripts that are run as a user would, and what they left in the database beside them."""

import os
import subprocess
import sys
from pathlib import Path

from watchkeeper.storage import Store, open_store

HERE = {"service": "nightly", "environment": "production"}
# With time to write at the end: on a busy machine it would go to a file, for the next process.
WATCHED = """
import watchkeeper
watchkeeper.watch(settings=watchkeeper.Settings(service="nightly")).stop_within_s = 30.0
"""


def run(folder: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user would."""
    (folder / "nightly.py").write_text(script, "utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return subprocess.run(
        [sys.executable, "nightly.py"],
        cwd=folder,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def opened(folder: Path) -> Store:
    """Open the database that a script left."""
    store = open_store(f"sqlite:///{folder / 'watchkeeper.db'}")
    store.migrate()
    return store


def issues(folder: Path) -> dict[str, int]:
    """Count the errors that a script left, by their titles."""
    store = opened(folder)
    found = {one.title: one.count for one in store.issues(**HERE, seen_since=0, limit=100)}
    store.close()
    return found
