"""Functions that raise from a given depth, two of three frames in the application."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def chain(folder: Path, frames: int, *, bug: int = 0) -> Callable[[], None]:
    """Write modules to a folder and return what raises a KeyError through so many frames.

    Every third frame lies in a library; another `bug` is another module, so another error.
    """
    name = f"shop_{bug}"
    names: dict[str, dict[str, Any]] = {}
    for owner, path in (
        (f"{name}.orders", folder / name / "orders.py"),
        (f"{name}_lib", folder / "site-packages" / f"{name}_lib.py"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_source(frames), "utf-8")
        names[owner] = {"__name__": owner}
        exec(compile(path.read_text("utf-8"), str(path), "exec"), names[owner])  # noqa: S102
    order, library = names.values()
    for level in range(frames):
        owner = library if level % 3 == 2 else order
        for each in (order, library):  # who calls finds the one that has this level
            each[f"level_{level}"] = owner[f"level_{level}"]
    found: Callable[[], None] = order["level_0"]
    return found


def caught(raises: Callable[[], None]) -> None:
    """Raise and catch, without anything else."""
    try:
        raises()
    except KeyError:
        return


def capturing(raises: Callable[[], None], capture: Callable[[BaseException], object]) -> None:
    """Raise, catch and capture."""
    try:
        raises()
    except KeyError as error:
        capture(error)


def _source(frames: int) -> str:
    calls = [f"def level_{n}():\n    return level_{n + 1}()\n" for n in range(frames - 1)]
    last = f"def level_{frames - 1}():\n    prices = {{}}\n    return prices['SKU-1']\n"
    return "\n\n".join([*calls, last])
