"""Rules read from a file for a verb: each mistake with its line."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from watchkeeper.core.rules import Origin, Rule, alert_from_mapping, compile_alerts
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.configured import channels_for
from watchkeeper.runtime.rules_in_force import written_rules
from watchkeeper.settings import load
from watchkeeper.settings.sources import PREFIX, placed
from watchkeeper.settings.toml_lines import TomlLines

MAX_BYTES: Final = 1_000_000  # of a file of rules


def checked(
    file: str | None, *, slot_s: float | None = None
) -> tuple[list[Rule], list[str], str, Callable[[Rule], tuple[str, ...]]]:
    """Read the rules of a settings file, or of the one in force, for slots of a length.

    Returns those that are right, what is wrong, the file's name, and who is told of a rule.
    """
    environ = dict(os.environ)
    if file is not None:
        environ[PREFIX + "CONFIG"] = os.fspath(Path(file).resolve())
    loaded = load(environ=environ)
    written = written_rules(loaded, slot_s=slot_s)
    own = [rule for rule in written.rules if rule.origin is Origin.FILE]
    settings = loaded.settings

    def routed(rule: Rule) -> tuple[str, ...]:
        return channels_for(settings, settings.channels, rule.severity)

    place = loaded.file.name if loaded.file is not None else "the environment"
    return own, [*loaded.problems, *written.problems], place, routed


def read_rules(file: BinaryIO, *, slot_s: float) -> list[Rule]:
    """Read rules that are to be stored: TOML with [[alert]] tables, or JSON.

    Raises ConfigurationError for the first that is wrong: none is to be stored then.
    """
    raw = file.read(MAX_BYTES + 1)
    name = os.path.basename(str(getattr(file, "name", "-")))
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"{name}: has more than {MAX_BYTES} bytes")
    text = raw.decode("utf-8", errors="replace")
    tables, lines = _tables(name, text)
    rules: list[Rule] = []
    for number, table in enumerate(tables):
        where = f"alert[{number}]"
        try:
            alert = alert_from_mapping(table, where=where)
            rules += compile_alerts(alert, where=where, origin=Origin.DATABASE, slot_s=slot_s)
        except ConfigurationError as error:
            raise ConfigurationError(placed(error, lines, number)) from None
    if not rules:
        raise ConfigurationError(f"{name}: there is no rule in it; write [[alert]] tables")
    return rules


def _tables(name: str, text: str) -> tuple[list[Any], TomlLines]:
    """Return the rules as they are written, and what knows their lines."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        pass
    else:
        return (found if isinstance(found, list) else [found]), TomlLines(name, "")
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name}: is neither TOML nor JSON ({error})") from None
    alerts = content.pop("alert", [])
    if content:
        raise ConfigurationError(f"{name}: holds '{next(iter(content))}'; only rules are stored")
    return (alerts if isinstance(alerts, list) else [alerts]), TomlLines(name, text)
