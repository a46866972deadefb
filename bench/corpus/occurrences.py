"""Processes of the corpus: each runs into every bug in some ways, and tells how it was grouped.

occurrences.py '[["FOLDER", VALUES, ["WAY", …]], …]'            prints a list for each, as JSON
"""

import json
import os
import re
import sys
import warnings
from pathlib import Path
from types import CodeType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpus.bugs import BUGS
from corpus.ways import FOR_VIEWS, WAYS
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues

_SCOPE = Scope(service="corpus", environment="bench")
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|\S+@\S+|\w+://\S+|(?:/\S+)+|\d+(?:\.\d+)?")


def by_rule(issues: Issues, error: BaseException, endpoint: CodeType | None) -> str:
    """Return the fingerprint that Watchkeeper stores."""
    issues.capture(error, endpoint=endpoint)
    counts, _ = issues.take()
    return counts[0].fingerprint if counts else ""


def by_frame(error: BaseException, folder: str) -> str:
    """Group by type and innermost frame of the application, as the simplest trackers do."""
    innermost = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(folder):
            innermost = f"{code.co_filename.removeprefix(folder)}:{code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__qualname__} {innermost}"


def by_message(error: BaseException) -> str:
    """Group by type and message, values taken out of it."""
    return f"{type(error).__qualname__} {_VALUE.sub('*', str(error))}"


def leaf_of(error: BaseException) -> BaseException:
    """Return the first exception of a group, or of no group the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run(folder: str, values: int, ways: list[str]) -> list[dict[str, Any]]:
    """Run into every bug that has these values, in each way that it can be reached by."""
    found = []
    kept = Issues(_SCOPE)  # one for the process, as in an application
    for way in ways:
        for number, bug in enumerate(BUGS):
            if len(bug.calls) <= values or (bug.view and way not in FOR_VIEWS):
                continue
            error, endpoint = WAYS[way](number)
            groups = {
                "frame": by_frame(error, folder),
                "message": by_message(error),
                "rule": by_rule(kept, error, endpoint),
            }
            name = type(leaf_of(error)).__name__
            found.append({"bug": bug.name, "way": way, "type": name, **groups})
    return found


def apart(folder: str, values: int, ways: list[str]) -> list[dict[str, Any]]:
    """Run in a process of its own, which has loaded nothing of an application yet."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.chdir(folder)  # the project's root
        sys.path.insert(0, folder)
        with open(writing, "w") as told:
            json.dump(run(folder, values, ways), told)
        os._exit(0)
    os.close(writing)
    with open(reading) as told:
        found = told.read()
    os.waitpid(child, 0)
    return json.loads(found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # coroutines that were never awaited, for one
    print(json.dumps([apart(*one) for one in json.loads(sys.argv[1])]))
