"""Processes of a benchmark's own, so that what one variant loads is not in the other's figures."""

import json
import subprocess
import sys
from pathlib import Path


def measured(program: str, *arguments: object) -> dict[str, float]:
    """Run a program of this folder; the figures that it prints as JSON."""
    command = [sys.executable, Path(__file__).with_name(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
