"""Rules read from a file for a verb: each mistake with its line."""

import json
import os
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from watchkeeper.cli.actor import scope_of
from watchkeeper.cli.source import slot_length
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.core.explaining import explain
from watchkeeper.core.rules import (
    Origin,
    Rule,
    alert_from_mapping,
    compile_alerts,
    without_unknown,
)
from watchkeeper.core.unrecorded import unrecorded
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.configured import channels_for
from watchkeeper.runtime.recorded import recorded
from watchkeeper.runtime.written_rules import written_rules
from watchkeeper.settings import Loaded, Settings, load
from watchkeeper.settings.sources import PREFIX, placed
from watchkeeper.settings.toml_lines import TomlLines
from watchkeeper.storage.store import Store

MAX_BYTES: Final = 1_000_000  # of a file of rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The rules of a file: those that can be read, and what is wrong, there or in others."""

    rules: list[Rule]
    problems: list[str]
    place: str  # the file's name
    wrong: frozenset[str]  # rules that something is wrong with, in force or off
    settings: Settings

    def sentences(self, rule: Rule) -> list[str]:
        """Say what a rule does, and who is told: of channels those that there are."""
        return told(rule, self.settings)


def told(rule: Rule, settings: Settings) -> list[str]:
    """Say what a rule does, and who is told by the settings."""
    routed = channels_for(settings, settings.channels, rule.severity)
    return explain(without_unknown(rule, settings.channels), channels=routed)


def checked(file: str | None, *, slot_s: float | None = None) -> Checked:
    """Read the rules of a settings file, or of the one in force, for slots of a length."""
    loaded = _loaded(file)
    written = written_rules(loaded, slot_s=slot_s)
    own = [rule for rule in written.rules if rule.origin is Origin.FILE]
    return Checked(
        rules=own,
        problems=[*loaded.problems, *written.problems],
        place=loaded.file.name if loaded.file is not None else "the environment",
        wrong=frozenset(written.unreadable),
        settings=loaded.settings,
    )


def settings_of(file: str | None) -> Settings:
    """Return what a settings file, or the one in force, says besides its rules."""
    return _loaded(file).settings


def hints(store: Store, settings: Settings, rules: Sequence[Rule]) -> list[str]:
    """Say what rules read that was never recorded in a database that holds something."""
    now = time.time()
    slot_s = slot_length(store, settings, now=now)
    known = recorded(store, scope_of(settings), slot_s=slot_s, now=now)
    return [f"{rule.name}: {said}" for rule in rules for said in unrecorded(rule, known)]


def show_hints(found: Sequence[str]) -> None:
    """Print them beside the answer."""
    for hint in found:
        echo(f"! {plain(hint, width=1_000)}", err=True)


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


def _loaded(file: str | None) -> Loaded:
    environ = dict(os.environ)
    if file is not None:
        environ[PREFIX + "CONFIG"] = os.fspath(Path(file).resolve())
    return load(environ=environ)


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
