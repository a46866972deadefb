"""The ways into the application: sources of views, jobs and workers, one function per bug."""

from pathlib import Path
from typing import Final

from corpus.bugs import BUGS, Bug

_IMPORTS: Final = """
import asyncio
import logging

from shop import accounts, audit, cart, catalog, files, flows, http, mails, orders
from shop import parsing, plugins, reports, repository, trees, validation

"""


def write(folder: Path, values: int, *, elsewhere: bool = False) -> None:
    """Write the package `front`, which runs into every bug with its values of that number.

    `elsewhere`: through the other service that runs into it, where there is one.
    """
    front = folder / "front"
    front.mkdir(parents=True, exist_ok=True)
    (front / "__init__.py").write_text("", "utf-8")
    calls = {
        number: _call(bug, bug.elsewhere if elsewhere and bug.elsewhere else bug.calls[values])
        for number, bug in enumerate(BUGS)
        if not bug.view and len(bug.calls) > values
    }
    for name, make in _MODULES.items():
        source = _IMPORTS + "\n\n".join(make(number, call) for number, call in calls.items())
        (front / f"{name}.py").write_text(source + "\n", "utf-8")


def _call(bug: Bug, call: str) -> tuple[str, str]:
    """Return how a function makes the call, and how a coroutine does."""
    return (f"asyncio.run({call})", f"await {call}") if bug.is_async else (call, call)


def _view(number: int, call: tuple[str, str]) -> str:
    return f"def view_{number}():\n    return {{'result': {call[0]}}}\n"


def _other_view(number: int, call: tuple[str, str]) -> str:
    return f"""def other_{number}(request=None):
    logging.getLogger(__name__).debug("asked")
    result = {call[0]}
    return result
"""


def _async_view(number: int, call: tuple[str, str]) -> str:
    return f"async def async_view_{number}():\n    return {{'result': {call[1]}}}\n"


def _job(number: int, call: tuple[str, str]) -> str:
    return f"""class Job{number}:
    def run(self):
        for _ in range(3):
            outcome = {call[0]}
        return outcome
"""


def _script(number: int, call: tuple[str, str]) -> str:
    return f"""def main_{number}():
    step_{number}()


def step_{number}():
    print({call[0]})
"""


def _group(number: int, call: tuple[str, str]) -> str:
    function, _, arguments = call[1].partition("(")
    member = f"asyncio.to_thread({function}, {arguments}"
    if call[1].startswith("await "):
        member = call[1].removeprefix("await ")
    return f"""async def grouped_{number}():
    async with asyncio.TaskGroup() as group:
        group.create_task({member})
"""


_MODULES: Final = {
    "views": _view,
    "other_views": _other_view,
    "async_views": _async_view,
    "jobs": _job,
    "script": _script,
    "groups": _group,
}
