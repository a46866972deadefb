"""Where settings come from: code over environment over file over defaults."""

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from watchkeeper.core.rule_compiler import MAX_NAME
from watchkeeper.core.rules import Alert, alert_from_mapping, compile_alerts
from watchkeeper.core.rules import Origin as RuleOrigin
from watchkeeper.core.silences import parse_silence
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings.commands import one_off_command
from watchkeeper.settings.settings import Settings, unknown_setting
from watchkeeper.settings.toml_lines import TomlLines

PREFIX: Final = "WATCHKEEPER_"
UNREADABLE_FILE: Final = "(file)"  # among unreadable rules: all of the file, or the environment
_NOT_SETTINGS: Final = {"CONFIG"}  # variables of ours that are no field of Settings
CAPTURE: Final = {
    "logs": "capture_logs",
    "uncaught": "capture_uncaught",
    "futures": "capture_futures",
    "crashes": "capture_crashes",
    "fingerprint_frames": "fingerprint_frames",
    "fingerprint_transparent": "fingerprint_transparent",
    "in_app_exclude": "in_app_exclude",
    "in_app_include": "in_app_include",
    "max_issues": "max_issues",
}
"""Keys of a file's table `capture` → the settings that they are."""
_RELEASE_VARIABLES: Final = (
    "GIT_SHA",
    "SOURCE_COMMIT",
    "K_REVISION",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
)
_FIELDS: Final = {known.name: known for known in fields(Settings)}
_YES: Final = {"1": True, "true": True, "yes": True, "on": True}
_NO: Final = {"0": False, "false": False, "no": False, "off": False}


class Origin(StrEnum):
    """Who said what a setting is; later members win over earlier ones."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings in force, where each came from, and what was wrong on the way.

    `problems` are sentences to be shown: each names a place and a cure, and the setting it
    speaks of is at its default.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    problems: tuple[str, ...]
    file: Path | None = None
    enabled: bool = True
    why_disabled: str = ""
    code: Settings | None = None
    unreadable: tuple[str, ...] = ()  # rules of the file that are off
    file_alerts: tuple[Alert, ...] = ()  # of file or environment, beside those of the code


@dataclass(slots=True)
class _Found:
    """What was gathered so far: values, their origin, and complaints."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def load(
    code: Settings | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Loaded:
    """Put the settings together from code, environment, file and defaults.

    Raises ConfigurationError only for what code says; anything wrong in the environment or in
    the file is a problem to be shown, and the default holds.
    """
    environ = os.environ if environ is None else environ
    directory = directory or Path.cwd()
    found = _Found()
    file = config_file(environ, directory)
    if file is not None:
        _read_file(file, found, environ)
    _read_environment(environ, found)
    file_alerts = found.values.get("alerts", ())
    if code is not None:
        for name in code.given:  # type: ignore[attr-defined]  # set by Settings.__new__
            found.values[name] = getattr(code, name)
            found.origins[name] = Origin.CODE
    found.values["channels"] = _resolved(found.values.get("channels", {}), environ, found)
    found.values["health_checks"] = _resolved(
        found.values.get("health_checks", {}), environ, found
    )
    settings = _settle(found, environ, file.parent if file else directory)
    enabled, why = _is_enabled(settings, environ)
    return Loaded(
        settings=settings,
        origins={name: found.origins.get(name, Origin.DEFAULT) for name in _FIELDS},
        problems=tuple(found.problems),
        file=file,
        enabled=enabled,
        why_disabled=why,
        code=code,
        unreadable=tuple(found.unreadable),
        file_alerts=tuple(file_alerts),
    )


def config_file(environ: Mapping[str, str], directory: Path) -> Path | None:
    """Find the file: WATCHKEEPER_CONFIG, else the nearest watchkeeper.toml or pyproject.toml."""
    named = environ.get(PREFIX + "CONFIG")
    if named:
        return directory / named
    for folder in (directory, *directory.parents):
        own = folder / "watchkeeper.toml"
        if own.is_file():
            return own
        project = folder / "pyproject.toml"
        if project.is_file() and _has_table(project):
            return project
    return None


def _has_table(project: Path) -> bool:
    try:
        return "[tool.watchkeeper" in project.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _read_file(file: Path, found: _Found, environ: Mapping[str, str]) -> None:
    try:
        text = file.read_text("utf-8")
        content: dict[str, Any] = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found.problems.append(
            f"{file.name}: cannot be read ({error}); defaults are in force, its rules are off, "
            "and its channels are told nothing"
        )
        found.unreadable.append(UNREADABLE_FILE)
        return
    root: tuple[str, ...] = ()
    if file.name == "pyproject.toml":
        content = content.get("tool", {}).get("watchkeeper", {})
        root = ("tool", "watchkeeper")
    lines = TomlLines(file.name, text, root=root)
    for key, value in content.items():
        if key == "alert":
            found.values["alerts"] = _alerts(value, lines, found)
            found.origins["alerts"] = Origin.FILE
        elif key == "silence":
            found.values["silences"] = _silences(value, lines, found)
            found.origins["silences"] = Origin.FILE
        elif key == "health":
            _take(found, "health_checks", value.get("checks", {}), Origin.FILE, lines.of(key))
        elif key == "capture":
            _read_capture(value, found, environ, lines)
        else:
            _set(found, key, value, environ, lines.of(key))


def _set(found: _Found, name: str, value: Any, environ: Mapping[str, str], where: str) -> None:
    """Take the value of a key, or complain that there is no such setting."""
    if name not in _FIELDS:
        found.problems.append(f"{where}: {unknown_setting(name)}")
    else:
        _take(found, name, _from_environment(value, environ), Origin.FILE, where)


def _read_capture(
    values: Any, found: _Found, environ: Mapping[str, str], lines: TomlLines
) -> None:
    """Read the table `capture`, whose keys are settings of one matter."""
    if not isinstance(values, Mapping):
        found.problems.append(f"{lines.of('capture')}: write a table: [capture]")
        return
    for key, value in values.items():
        if key in CAPTURE:
            _set(found, CAPTURE[key], value, environ, lines.of("capture", key))
        elif key in _FIELDS:
            found.problems.append(
                f"{lines.of('capture', key)}: {key} does not belong in [capture]"
            )
        else:
            problem = unknown_setting(key, CAPTURE)
            found.problems.append(f"{lines.of('capture', key)}: in [capture], {problem}")


def _silences(tables: Any, lines: TomlLines, found: _Found) -> tuple[Any, ...]:
    """Read the planned silences of a file; a bad one is off and complained about."""
    good: list[Any] = []
    for number, table in enumerate(tables if isinstance(tables, list) else [tables]):
        try:
            parse_silence(table, name="", where=f"silence[{number}]")
        except ConfigurationError as error:
            problem = placed(error, lines, number, table="silence").rstrip(".")
            found.problems.append(f"{problem}; this silence is off")
        else:
            good.append(table)
    return tuple(good)


def _alerts(tables: Any, lines: TomlLines, found: _Found) -> tuple[Alert, ...]:
    """Read the rules of a file; a bad one is off and complained about, the others hold."""
    good: list[Alert] = []
    for number, table in enumerate(tables if isinstance(tables, list) else [tables]):
        where = f"alert[{number}]"
        try:
            alert = alert_from_mapping(table, where=where)
            compile_alerts(alert, where=where, origin=RuleOrigin.FILE)
        except ConfigurationError as error:
            found.problems.append(f"{placed(error, lines, number).rstrip('.')}; this rule is off")
            name = table.get("name") if isinstance(table, Mapping) else None
            found.unreadable.append(str(name or where)[:MAX_NAME])
        else:
            good.append(alert)
    return tuple(good)


def placed(
    error: ConfigurationError, lines: TomlLines, number: int, *, table: str = "alert"
) -> str:
    """Return what is wrong with a rule or silence of a file, with file and line before it."""
    keys = re.match(rf"{table}\[\d+\]((?:\.[A-Za-z_]+)*)", str(error))
    path = keys[1].split(".")[1:] if keys else []
    return f"{lines.of(table, number, *path)}: {error}"


def _read_environment(environ: Mapping[str, str], found: _Found) -> None:
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable[len(PREFIX) :] in _NOT_SETTINGS:
            continue
        name = variable[len(PREFIX) :].lower()
        if name not in _FIELDS:
            found.problems.append(f"{variable}: {unknown_setting(name)}")
            continue
        try:
            value = _parsed(name, text)
        except ValueError as error:
            found.problems.append(f"{variable}: {error}; the default is in force")
            if name == "alerts":
                found.unreadable.append(UNREADABLE_FILE)
            continue
        _take(found, name, value, Origin.ENVIRONMENT, variable)


def _parsed(name: str, text: str) -> Any:
    """Turn the text of a variable into the type of its setting; ValueError says what is wrong."""
    kind = str(_FIELDS[name].type)
    if "bool" in kind and "Callable" not in kind:
        value = {**_YES, **_NO}.get(text.strip().lower())
        if value is None:
            raise ValueError(f"{text!r} is neither yes nor no; write 1 or 0")
        return value
    if "int" in kind and "str" not in kind:
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a whole number") from None
    if "Sequence" in kind or "Mapping" in kind:
        return _nested(name, text)
    if "Callable" in kind:
        raise ValueError("can be set in code only")
    return text


def _nested(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if name != "alerts":
        return value
    try:
        return tuple(alert_from_mapping(table, where="alerts") for table in value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def _take(found: _Found, name: str, value: Any, origin: Origin, where: str) -> None:
    """Accept a value if a Settings with it alone can be made; else complain."""
    try:
        if name != "routing":  # which needs the channels beside it
            Settings(**{name: value})
    except (ConfigurationError, TypeError, AttributeError) as error:
        found.problems.append(f"{where}: {error}; the default is in force")
        return
    found.values[name] = value
    found.origins[name] = origin


def _settle(found: _Found, environ: Mapping[str, str], base: Path) -> Settings:
    """Fill what depends on the surroundings and make the settings."""
    values = {
        name: value
        for name, value in found.values.items()
        if name in _FIELDS and (value or name in found.origins)
    }
    if not values.get("service"):
        values["service"] = base.resolve().name or "app"
    if not values.get("release"):
        values["release"] = next(
            (environ[name] for name in _RELEASE_VARIABLES if environ.get(name)), ""
        )[:40]
    if found.origins.get("database_url") is Origin.FILE:
        values["database_url"] = _relative_to(base, values["database_url"])
    if found.origins.get("spool") is Origin.FILE and values.get("spool") not in ("", "off"):
        values["spool"] = str(base / str(values["spool"]))
    try:
        return Settings(**values)
    except ConfigurationError as error:
        if found.origins.get("routing") is Origin.CODE or not values.get("routing"):
            raise
        found.problems.append(f"{error}; every channel gets everything")
        values.pop("routing")
        return Settings(**values)


def _relative_to(base: Path, url: str) -> str:
    """Let a relative SQLite path start at the file that names it."""
    path = url.removeprefix("sqlite:///")
    if "://" in path or path.startswith(("/", ":")):
        return url
    return str(base / path)


def _resolved(value: Any, environ: Mapping[str, str], found: _Found) -> Any:
    """Replace `env:NAME` by the variable's value, however deeply nested."""
    if isinstance(value, Mapping):
        return {key: _resolved(item, environ, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, environ, found) for item in value]
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in environ:
            found.problems.append(f'"{value}": there is no environment variable {name}')
        return environ.get(name, "")
    return value


def _from_environment(value: Any, environ: Mapping[str, str]) -> Any:
    """Replace `env:NAME` in a plain text value of the file."""
    if isinstance(value, str) and value.startswith("env:"):
        return environ.get(value.removeprefix("env:"), "")
    return value


def _is_enabled(settings: Settings, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Decide whether to watch at all: the kill-switch first, then what was set, then tests."""
    if environ.get(PREFIX + "ENABLED", "").strip().lower() in _NO:
        return False, f"{PREFIX}ENABLED=0"
    if settings.enabled is not None:
        return settings.enabled, "" if settings.enabled else "enabled = false"
    if "PYTEST_CURRENT_TEST" in environ:
        return False, "under pytest; enabled=True switches it on"
    command = one_off_command(sys.argv)
    if command:
        return False, f"under manage.py {command}; enabled=True switches it on"
    return True, ""


def defaults() -> dict[str, Any]:
    """Return the default of every setting, for the reference page and `config show`."""
    made: dict[str, Any] = {}
    for name, known in _FIELDS.items():
        if known.default is not MISSING:
            made[name] = known.default
        elif known.default_factory is not MISSING:
            made[name] = known.default_factory()
    return made
