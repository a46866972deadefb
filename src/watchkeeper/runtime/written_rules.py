"""The rules that are written down: the pack, joined by name with those of code and file.

Loaded when the rules are first asked for: by the thread that evaluates, unless code or file say
some, which are to be checked at the start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.pack import default_pack
from watchkeeper.core.rules import (
    MAX_RULES,
    Alert,
    Origin,
    Rule,
    causes_first,
    compile_alerts,
    merge_rules,
    wrong_references,
)
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.last_good import LastGood, read_kept, said_by
from watchkeeper.settings import UNREADABLE_FILE, Loaded
from watchkeeper.settings import Origin as SettingOrigin

if TYPE_CHECKING:
    from watchkeeper.storage.store import StoredRule

_OF_FILE: Final = (SettingOrigin.FILE, SettingOrigin.DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rules that code and file say, joined with the pack; and the names of those that are off.

    `problems` are sentences to be shown, each with place and cure.
    """

    rules: tuple[Rule, ...]
    problems: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    of_file: frozenset[str] = frozenset()  # the rules that the file says
    is_file_lost: bool = False  # it cannot be read, and nothing else says its rules
    has_lost_channels: bool = False  # those of the file, or some of them, are not known
    keep: LastGood | None = None  # what to remember of the file, if it can be read


def written_rules(loaded: Loaded, *, slot_s: float | None = None) -> Written:
    """Join the pack with the rules of code and file, for slots of a length (the settings').

    Raises ConfigurationError for what is wrong in code; in the file such a rule is off.
    """
    settings = loaded.settings
    slot_s = settings.slot_s if slot_s is None else slot_s
    problems: list[str] = []
    unreadable = list(loaded.unreadable)
    pack = default_pack(slot_s=slot_s) if settings.alert_pack else ()
    in_code: Sequence[Alert] = ()
    in_file: Sequence[Alert] = loaded.file_alerts
    if loaded.origins["alerts"] is SettingOrigin.CODE:
        in_code = settings.alerts
    code = [
        rule
        for alert, where in _placed(in_code)
        for rule in compile_alerts(alert, where=where, origin=Origin.CODE, slot_s=slot_s)
    ]
    _refuse_twins(code)
    file: list[Rule] = []
    lines: dict[str, str] = {}  # which part of `loaded.places` a rule is in
    for alert, where in _placed(in_file, "alert"):
        try:
            rules = compile_alerts(alert, where=where, origin=Origin.FILE, slot_s=slot_s)
            _refuse_twins([*file, *rules])
            file += rules
            lines.update((rule.name, where) for rule in rules)
        except ConfigurationError as error:
            said = str(error).rstrip(".")
            key = said.removeprefix(f"{where}.").partition(":")[0]
            problems.append(f"{_line(loaded, where, key)}{said}; this rule is off")
            unreadable.append(str(alert.name))
    merged = causes_first(merge_rules(pack, code, file))
    for rule, sentence in wrong_references(merged, channels=settings.channels):
        if UNREADABLE_FILE in loaded.unreadable:
            continue  # what it names may be of the file: see `RulesInForce`
        if rule.origin is Origin.CODE:
            raise ConfigurationError(sentence)
        if rule.name in lines:
            key = sentence.removeprefix(f"rule '{rule.name}': ").partition(":")[0]
            sentence = f"{_line(loaded, lines[rule.name], key)}{sentence}"
        problems.append(sentence)
        unreadable.append(rule.name)
    is_lost = UNREADABLE_FILE in loaded.unreadable
    return Written(
        rules=merged,
        problems=tuple(problems),
        unreadable=tuple(unreadable),
        of_file=frozenset(rule.name for rule in file),
        is_file_lost=is_lost and not in_file,
        has_lost_channels=is_lost and loaded.origins["channels"] in _OF_FILE,
        keep=said_by(loaded, file),
    )


def _line(loaded: Loaded, where: str, key: str) -> str:
    """Return "watchkeeper.toml:7: ", of a rule's key or of the rule; "" where no file has it."""
    known = loaded.places
    place = known.get(f"{where}.{key}") or known.get(where, "")
    return f"{place}: " if place else ""


def _placed(alerts: Sequence[Alert], word: str = "alerts") -> Iterator[tuple[Alert, str]]:
    if len(alerts) > MAX_RULES:
        raise ConfigurationError(f"alerts: more than {MAX_RULES} rules; `by` makes one of many")
    for number, alert in enumerate(alerts):
        yield alert, f"{word}[{number}]"


def _refuse_twins(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise ConfigurationError(
                f"alert '{rule.name}': there are two of this name, and this is the second; "
                "give it another name"
            )
        seen.add(rule.name)


def read_stored(stored: "StoredRule", *, slot_s: float) -> Rule:
    """Return the rule of a row, checked as if somebody had just written it.

    Raises ConfigurationError if it is damaged, of a newer version, or does not fit the slots.
    """
    rule = read_kept(stored.name, stored.json, origin=Origin.DATABASE, slot_s=slot_s)
    return replace(rule, enabled=stored.enabled)
