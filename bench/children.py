"""Processes of a benchmark's own, so that what one variant loads is not in the other's figures."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def measured(program: str, *arguments: object) -> dict[str, Any]:
    """Run a program of this folder; the figures that it prints as JSON."""
    (found,) = together(program, [arguments])
    return found


def together(program: str, several: Iterable[Sequence[object]]) -> list[dict[str, Any]]:
    """Run a program of this folder once for each arguments, all at once; what each prints."""
    path = Path(__file__).with_name(program)
    running = [
        subprocess.Popen(
            [sys.executable, path, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        for arguments in several
    ]
    printed = [one.communicate()[0] for one in running]
    if any(one.returncode for one in running):
        raise RuntimeError(f"{program} failed: what it said is above")
    return [json.loads(each) for each in printed]
