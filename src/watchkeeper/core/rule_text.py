"""Rules written back as a user would write them: only what is not the default, as TOML or JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from watchkeeper.core.conditions import write_condition
from watchkeeper.core.rule import Alert, Rule, Worse
from watchkeeper.core.rules import compile_alert
from watchkeeper.core.units import write_duration

_LEFT_OUT: Final = ("name", "origin", "when", "on")  # the name comes first, the others with it


def rule_to_mapping(rule: Rule) -> dict[str, Any]:
    """Return what a user would write for a rule: compiled again it is the same rule."""
    written: dict[str, Any] = {"name": rule.name}
    if rule.when is not None:
        written["when"] = write_condition(rule.when)
    else:
        written["on"] = list(rule.on)
    least = Alert(rule.name, when=written.get("when"), on=written.get("on", ()))
    plain = compile_alert(least, where=rule.name, origin=rule.origin)
    if rule.sure != plain.sure:  # other defaults follow it
        written["sure"] = rule.sure
        least = Alert(**written)
        plain = compile_alert(least, where=rule.name, origin=rule.origin)
    for field in fields(Rule):
        value = getattr(rule, field.name)
        if field.name not in _LEFT_OUT and value != getattr(plain, field.name):
            written[field.name.removesuffix("_s")] = _written(field.name, value)
    return written


def write_toml(mapping: Mapping[str, Any]) -> str:
    """Write an alert as the table `[[alert]]` of a settings file."""
    width = max(len(key) for key in mapping)
    lines = [f"{key:<{width}} = {_toml(value)}" for key, value in mapping.items()]
    return "\n".join(["[[alert]]", *lines]) + "\n"


def write_rules(rules: Iterable[Rule]) -> str:
    """Write rules as TOML, each a table, apart by an empty line."""
    return "\n".join(write_toml(rule_to_mapping(rule)) for rule in rules)


def _written(name: str, value: Any) -> Any:
    if isinstance(value, Worse):
        written = {"when": write_condition(value.when), "severity": value.severity}
        if value.hold_s is not None:
            written["hold"] = write_duration(value.hold_s)
        return written
    if name in ("clear", "only_if"):
        return write_condition(value)
    if name == "skip":
        return {label: list(patterns) for label, patterns in value}
    if name == "over_s":
        return [write_duration(window) for window in value]
    if name.endswith("_s"):
        return write_duration(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # What JSON writes is TOML, but for one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").isalnum()
    return key if is_bare else _toml(key)
