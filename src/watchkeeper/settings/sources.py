"""Where settings come from: code over environment over file over defaults."""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from watchkeeper.core.rule import Alert
from watchkeeper.core.rule import Origin as RuleOrigin
from watchkeeper.core.silences import parse_silence
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings.check_tables import places, read_health
from watchkeeper.settings.commands import one_off_command
from watchkeeper.settings.releases import find_release
from watchkeeper.settings.settings import Settings, unknown_setting
from watchkeeper.settings.toml_file import PLACE, config_file, obstacle, read_toml
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
    # Of what is checked later: health.checks.NAME.KEY, alert[NUMBER].KEY (of `file_alerts`), or
    # routing.SEVERITY → file:line
    places: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()  # keys of the file that say where to store, and cannot be read
    obstacle: str = ""  # why nothing is stored then, in a sentence


@dataclass(slots=True)
class _Found:
    """What was gathered so far: values, their origin, and complaints."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()  # keys of the file that cannot be read


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
    if found.origins.get("alerts") is not Origin.FILE:  # the environment's count, if any
        found.places = {key: at for key, at in found.places.items() if key[:6] != "alert["}
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
    elsewhere = (Origin.ENVIRONMENT, Origin.CODE)
    lost = [name for name in found.left_out if found.origins.get(name) not in elsewhere]
    lost = [name for name in PLACE if name in lost]
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
        places=found.places,
        lost=tuple(lost),
        obstacle=obstacle(lost, PREFIX),
    )


def _read_file(file: Path, found: _Found, environ: Mapping[str, str]) -> None:
    root = ("tool", "watchkeeper") if file.name == "pyproject.toml" else ()
    read = read_toml(file, root=root)
    content = read.content
    found.left_out = read.left_out
    if read.fault:
        found.problems.append(
            f"{read.fault}; what is whole before that is in force, and the lines above the first"
            " table, with the rules that were last read from the file; messages to its other"
            " channels wait. Mend it and start again"
        )
        found.unreadable.append(UNREADABLE_FILE)
    for name in root:
        content = content.get(name, {})
    lines = TomlLines(file.name, read.text, root=root)
    for key, value in content.items():
        if key == "alert" and read.fault:
            continue  # those that were last read whole are a set: see `runtime.last_good`
        if key == "alert":
            found.values["alerts"] = _alerts(value, lines, found)
            found.origins["alerts"] = Origin.FILE
        elif key == "silence":
            found.values["silences"] = _silences(value, lines, found)
            found.origins["silences"] = Origin.FILE
        elif key == "health":
            checks = read_health(value, lines, found.problems)
            found.places.update(places(checks, lines))
            _take(found, "health_checks", checks, Origin.FILE, lines.of(key))
        elif key == "capture":
            _read_capture(value, found, environ, lines)
        else:
            for inner in value if key == "routing" and isinstance(value, Mapping) else ():
                found.places[f"{key}.{inner}"] = lines.of(key, inner)
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
    from watchkeeper.core.rule_compiler import MAX_NAME  # who has no file does not wait for it
    from watchkeeper.core.rules import alert_from_mapping, compile_alerts

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
            path = f"alert[{len(good)}]"
            found.places[path] = lines.of("alert", number)
            for key in table:
                found.places[f"{path}.{key}"] = lines.of("alert", number, key)
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
    from watchkeeper.core.rules import alert_from_mapping

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
        values["release"] = find_release(environ, base)
    if found.origins.get("database_url") is Origin.FILE:
        values["database_url"] = _relative_to(base, values["database_url"])
    if found.origins.get("spool") is Origin.FILE and values.get("spool") not in ("", "off"):
        values["spool"] = str(base / str(values["spool"]))
    try:
        return Settings(**values)
    except ConfigurationError as error:
        if found.origins.get("routing") is Origin.CODE or not values.get("routing"):
            raise
        is_of_file = found.origins.get("routing") is Origin.FILE
        place = found.places.get(str(error).partition(":")[0], "") if is_of_file else ""
        said = f"{place}: {error}" if place else str(error)
        found.problems.append(f"{said}; every channel gets everything")
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
            found.problems.append(f'there is no environment variable {name} for "{value}"')
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
