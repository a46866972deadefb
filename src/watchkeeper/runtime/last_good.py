"""What a settings file said when it could last be read: its rules, and its channels by name.

Kept in the database, so that a restart with a file that is broken loses no rule. Channels hold
secrets: only their names are kept, and who is told of what, so that messages to them wait.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from watchkeeper.core.objectives import PACES
from watchkeeper.core.rule_text import rule_to_mapping
from watchkeeper.core.rules import MAX_RULES, Origin, Rule, alert_from_mapping, compile_alert
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import UNREADABLE_FILE, Loaded
from watchkeeper.settings import Origin as SettingOrigin

MAX_CHANNELS: Final = 100  # names of channels that are kept
FORMAT: Final = 1
CURE: Final = "mend it and start again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """Rules of a settings file, the names of its channels, and the channels of each severity."""

    rules: tuple[Rule, ...] = ()
    channels: tuple[str, ...] = ()
    routing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the form that is stored: equal ones are the same text."""
        data = {
            "v": FORMAT,
            "rules": [rule.to_json() for rule in self.rules[:MAX_RULES]],
            "channels": self.channels,
            "routing": self.routing,
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str, *, slot_s: float) -> "LastGood":
        """Read the stored form back; what cannot be read of it, any more or yet, is left out."""
        try:
            data = json.loads(text or "{}")
            is_known = data.get("v") == FORMAT
            channels, routing = data.get("channels", ()), data.get("routing", {})
            return cls(
                rules=tuple(_rules(data["rules"], slot_s=slot_s)) if is_known else (),
                channels=tuple(str(name) for name in channels[:MAX_CHANNELS]),
                routing={str(key): tuple(map(str, names)) for key, names in routing.items()},
            )
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return NOTHING


NOTHING: Final = LastGood()


def said_by(loaded: Loaded, rules: Sequence[Rule]) -> LastGood | None:
    """Return what to keep of a file, or an environment, with `rules`; None if it has a fault."""
    is_of_file = loaded.origins["channels"] is SettingOrigin.FILE
    is_there = loaded.file is not None or loaded.origins["alerts"] is SettingOrigin.ENVIRONMENT
    if not is_there or UNREADABLE_FILE in loaded.unreadable:
        return None
    return LastGood(
        rules=tuple(rules),
        channels=tuple(loaded.settings.channels)[:MAX_CHANNELS] if is_of_file else (),
        routing={key: tuple(names) for key, names in loaded.settings.routing.items()},
    )


def read_kept(name: str, text: str, *, origin: Origin, slot_s: float) -> Rule:
    """Return a rule of its canonical JSON, checked as if somebody had just written it.

    Raises ConfigurationError if it is damaged, of a newer version, or does not fit the slots.
    """
    rule = Rule.from_json(text, origin=origin)
    try:
        alert = alert_from_mapping(rule_to_mapping(rule), where=f"rule '{name}'")
        again = compile_alert(alert, where=f"rule '{name}'", origin=origin, slot_s=slot_s)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise ConfigurationError(f"the stored rule cannot be read: {error}") from None
    if replace(again, enabled=rule.enabled) != rule or rule.name != name:
        raise ConfigurationError("the stored rule cannot be read: it contradicts itself")
    return rule


def standing_in(
    kept: LastGood, *, unreadable: Collection[str], written: Collection[str]
) -> tuple[Rule, ...]:
    """Return the kept rules that hold for those of the file that cannot be read.

    All of them where the file, or the name of a rule of it, cannot be read; else those of the
    names that cannot. One that the file does say (`written`) holds as it is said there.
    """
    is_nameless = any(one == UNREADABLE_FILE or one.startswith("alert[") for one in unreadable)
    names = {*unreadable, *(f"{one} ({pace.name})" for one in unreadable for pace in PACES)}
    return tuple(
        rule
        for rule in kept.rules
        if rule.name not in written and (is_nameless or rule.name in names)
    )


def told_of(rules: Sequence[Rule], waiting: Sequence[str], *, is_file_lost: bool) -> Iterator[str]:
    """Yield what there is to say of rules that stand in, and of channels that are not open."""
    if is_file_lost:
        found = f"its {len(rules)} rules as last read are in force" if rules else "no rule is kept"
        yield f"the settings file cannot be read: {found}; {CURE}"
    else:
        yield from (
            f"rule '{rule.name}' of the settings file cannot be read: its last form is in force"
            for rule in rules
        )
    if waiting:
        names = ", ".join(waiting)
        yield f"messages to {names} wait until the settings file can be read; {CURE}"


def _rules(texts: Sequence[str], *, slot_s: float) -> Iterator[Rule]:
    """Yield the kept rules that can be read."""
    for text in texts[:MAX_RULES]:
        try:
            name = str(json.loads(text).get("name"))
            yield read_kept(name, text, origin=Origin.FILE, slot_s=slot_s)
        except (ConfigurationError, ValueError, TypeError, AttributeError):
            continue  # of another version: the others hold
