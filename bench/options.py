"""What the benchmarks with goals have in common: their options, and what frames their figures."""

import argparse
import datetime
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import databases
import goals

Extent = TypeVar("Extent")


@dataclass(frozen=True, kw_only=True)
class Options(Generic[Extent]):
    """What was asked for."""

    extent: Extent
    parts: list[str]
    names: list[str]  # of databases
    markdown: bool


def parse(
    description: str | None,
    *,
    extents: Mapping[str, Extent],
    parts: Sequence[str],
    names: Sequence[str],
) -> Options[Extent]:
    """Read the command line. `extents` by the name of their option; "full" has none."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = parser.add_mutually_exclusive_group()
    for name in extents:
        if name != "full":
            chosen.add_argument(f"--{name}", dest="extent", action="store_const", const=name)
    parser.add_argument("--only", choices=parts, action="append", default=[])
    parser.add_argument("--database", choices=names, action="append", default=[])
    parser.add_argument("--markdown", action="store_true", help="write the page of the docs")
    found = parser.parse_args()
    if found.markdown and (found.only or found.database):
        parser.error("--markdown needs every part and every database")
    return Options(
        extent=extents[found.extent or "full"],
        parts=found.only or list(parts),
        names=found.database or [name for name in databases.available() if name in names],
        markdown=found.markdown,
    )


def head() -> dict[str, Any]:
    """Say when and on what it is measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def show(
    found: dict[str, Any], *, markdown: bool, write: Callable[[dict[str, Any]], None]
) -> None:
    """Print the figures as JSON, and write the tables of the docs if that was asked for."""
    print(json.dumps(found, indent=2))
    if markdown:
        write(found)


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Add how many goals there are and how many were reached."""
    reached = [figure["reached"] for _, figure in goals.every(found)]
    return found | {"goals": {"of": len(reached), "reached": sum(reached)}}
