"""Callers: the innermost place in the application that asked for something."""

import asyncio
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.util import greenlet_spawn

from watchkeeper.runtime.callers import MAX_FRAMES, Callers
from watchkeeper.runtime.places import Places

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def callers() -> Callers:
    return Callers(Places(ROOT))


@pytest.fixture
def library(tmp_path: Path) -> ModuleType:
    """A library that calls what it is given, as deep down as it is told."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    file = folder / "deep.py"
    file.write_text(
        "def call(what, depth=0):\n    return call(what, depth - 1) if depth else what()\n"
    )
    spec = importlib.util.spec_from_file_location("deep", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_innermost_frame_of_the_application_is_the_caller(callers: Callers):
    """What is named is the function that asked, with its line."""
    place, _, line = callers.find().rpartition(":")

    assert place.endswith("test_callers:test_the_innermost_frame_of_the_application_is_the_caller")
    assert line.isdecimal()


def test_frames_of_libraries_are_passed_over(callers: Callers, library: ModuleType):
    """What a library asks for belongs to whoever called the library."""
    found = library.call(callers.find, depth=5)

    assert "test_frames_of_libraries_are_passed_over" in found


def test_the_standard_library_is_passed_over_too(callers: Callers):
    """A hook that the standard library calls is the application's code again."""
    found: list[str] = []

    def convert(value: object) -> int:
        found.append(callers.find())
        return 0

    json.dumps({"a": object()}, default=convert)

    assert found[0].rpartition(":")[0].endswith(".<locals>.convert")


def test_a_stack_of_libraries_alone_has_no_caller(callers: Callers, library: ModuleType):
    """Further out than MAX_FRAMES is not looked."""
    assert "" == library.call(callers.find, depth=MAX_FRAMES)


def test_the_caller_is_found_across_sqlalchemys_greenlets(callers: Callers, library: ModuleType):
    """SQLAlchemy's asyncio cuts the stack; the code that awaits it is found all the same."""

    async def ask() -> str:
        return await greenlet_spawn(library.call, callers.find)

    assert asyncio.run(ask()).rpartition(":")[0].endswith(".<locals>.ask")
