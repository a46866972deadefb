"""The table `health` of a file: its checks, and the line that each of their keys stands in."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from watchkeeper.settings.toml_lines import TomlLines

_PLACE: Final = re.compile(r"(?=[.: ])")  # where a path of keys may end in a message


def read_health(table: Any, lines: TomlLines, problems: list[str]) -> Mapping[str, Any]:
    """Return the checks of the table `health`; what is wrong with it is added to `problems`."""
    if not isinstance(table, Mapping):
        problems.append(
            f"{lines.of('health')}: write a table for each check: [health.checks.NAME]"
        )
        return {}
    for key in table:
        if key != "checks":
            close = get_close_matches(str(key), ["checks"], n=1, cutoff=0.4)
            cure = "did you mean 'checks'?" if close else "write [health.checks.NAME]"
            problems.append(f"{lines.of('health', key)}: in [health], unknown key {key!r}; {cure}")
    checks = table.get("checks", {})
    if not isinstance(checks, Mapping):
        where = lines.of("health", "checks")
        problems.append(f"{where}: write a table for each check: [health.checks.NAME]")
        return {}
    return checks


def places(checks: Mapping[str, Any], lines: TomlLines) -> dict[str, str]:
    """Return file and line of each check, and of each of its keys: `health.checks.NAME.KEY`."""
    found = {}
    for name, options in checks.items():
        path = f"health.checks.{name}"
        found[path] = lines.of("health", "checks", name)
        for key in options if isinstance(options, Mapping) else ():
            found[f"{path}.{key}"] = lines.of("health", "checks", name, key)
    return found


def placed_check(problem: str, known: Mapping[str, str]) -> str:
    """Return what is wrong with a check of a file, with file and line before it."""
    starts = (match.start() for match in _PLACE.finditer(problem))
    places = [known[problem[:end]] for end in starts if problem[:end] in known]
    return f"{places[-1]}: {problem}" if places else problem
