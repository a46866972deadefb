"""What an event shows of source, and what it leaves out when it is too large."""

import json
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.core.fingerprint import Rule
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.events import MAX_EVENT_BYTES
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.places import Places

SCOPE = Scope(service="shop", environment="test", release="r7")
# None of them opens anything.
KEY = "".join(f"Tm90IGEga2V5IGF0IGFsbA{number:02}\n" for number in range(12))
PEM = f'KEY = """-----BEGIN PRIVATE KEY-----\n{KEY}-----END PRIVATE KEY-----"""\nNAME = "shop"\n'
ENTRIES = "".join(f"    'hunter-{number}',\n" for number in range(12))
LIST = f'PASSWORDS = [\n{ENTRIES}]\nNAME = "shop"\n'
DICT = 'DATABASE = {"secrets": {\n' + "    1: 'hunter2',\n" * 100 + '}}\nNAME = "shop"\n'
STEPS = "".join(
    f"def step_of_a_name_that_is_not_short_{number}():\n"
    f"    return step_of_a_name_that_is_not_short_{number + 1}()\n"
    for number in range(100)
)
DEEP = f"{STEPS}def step_of_a_name_that_is_not_short_100():\n    raise ValueError('x')\n"


def shown_of(tmp_path: Path, above: str) -> list[list[Any]]:
    """Return the source lines that are shown of a failure below others."""
    path = tmp_path / "shop.py"
    path.write_text(above + "1 / 0\n", "utf-8")
    issues = Issues(SCOPE, places=Places(str(tmp_path)))
    try:
        exec(compile(path.read_text("utf-8"), str(path), "exec"), {})  # noqa: S102
    except ZeroDivisionError as error:
        issues.capture(error)
    (event,) = issues.take()[1]
    return event.data["frames"][-1]["source"]


@pytest.mark.parametrize("above", [PEM, LIST, DICT])
def test_a_secret_that_begins_above_the_lines_shown_is_masked(tmp_path: Path, above: str):
    """A key over many lines, a list and a dictionary of passwords, whose head is not shown."""
    shown = shown_of(tmp_path, above)
    number = above.count("\n") + 1

    assert [[number - 1, 'NAME = "shop"'], [number, "1 / 0"]] == shown[-2:]
    assert list(range(number - 5, number + 1)) == [one for one, _ in shown]
    assert "hunter" not in str(shown)
    assert "Tm90" not in str(shown)


def test_lines_after_a_docstring_that_is_cut_in_the_middle_are_shown(tmp_path: Path):
    """Where looking begins amid a text, code is taken for one: nothing is hidden by that."""
    above = '"""Shop.\n' + "It's said.\n" * 150 + '"""\n' + "a = 1\n" * 120 + 'name = "shop"\n'

    assert 'name = "shop"' == shown_of(tmp_path, above)[-2][1]


def test_an_event_that_is_too_large_keeps_its_frames(tmp_path: Path):
    """First its explanation is shortened: the parts of all members' whole paths."""
    path = tmp_path / "shop.py"
    path.write_text(DEEP, "utf-8")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(DEEP, str(path), "exec"), names)  # noqa: S102
    errors: list[Exception] = []
    for start in range(64):
        try:
            names[f"step_of_a_name_that_is_not_short_{start}"]()
        except ValueError as error:
            errors.append(error)
    issues = Issues(SCOPE, rule=Rule(frames=0), places=Places(str(tmp_path)))
    try:
        raise ExceptionGroup("many", errors)
    except ExceptionGroup as group:
        issues.capture(group)

    (event,) = issues.take()[1]

    assert len(json.dumps(event.data)) <= MAX_EVENT_BYTES
    assert event.data["frames"]
    assert event.data["group"][0]["frames"]
    assert 0 < len(json.dumps(event.data["why"])) < 40_000
    assert "group" == event.data["why"]["parts"][-1]["kind"]
