"""What the settings describe in words: the rules and the channels, made once at the start.

What is wrong in code raises ConfigurationError; in the environment or a file it is off, and a
sentence in `problems` says so.
"""

from watchkeeper.core.pack import default_pack
from watchkeeper.core.rules import Origin as RuleOrigin
from watchkeeper.core.rules import Rule, compile_alert, merge_rules
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import Notifier, open_notifier
from watchkeeper.settings import Loaded, Origin


def open_channels(loaded: Loaded, problems: list[str]) -> dict[str, Notifier]:
    """Open every channel."""
    opened: dict[str, Notifier] = {}
    for name, config in loaded.settings.channels.items():
        try:
            opened[name] = open_notifier(name, config, where=f"channels.{name}")
        except ConfigurationError as error:
            if loaded.origins["channels"] is Origin.CODE:
                raise
            problems.append(f"{error}; this channel is off")
    return opened


def compile_rules(loaded: Loaded, problems: list[str]) -> tuple[Rule, ...]:
    """Join the pack and the own rules."""
    settings = loaded.settings
    in_code = loaded.origins["alerts"] is Origin.CODE
    own: list[Rule] = []
    for number, alert in enumerate(settings.alerts):
        try:
            own.append(
                compile_alert(
                    alert,
                    where=f"alerts[{number}]",
                    origin=RuleOrigin.CODE if in_code else RuleOrigin.FILE,
                    slot_s=settings.slot_s,
                )
            )
        except ConfigurationError as error:
            if in_code:
                raise
            problems.append(f"{str(error).rstrip('.')}; this rule is off")
    pack = default_pack(slot_s=settings.slot_s) if settings.alert_pack else ()
    return merge_rules(pack, own)
