"""Where messages go: `open_notifier` and the protocol behind it."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.notifier import (
    ChannelGoneError,
    DeliveryError,
    Notification,
    Notifier,
)

POSTED: Final = ("slack", "teams", "discord")  # short forms of a webhook
TYPES: Final = ("email", "webhook", *POSTED, "apprise", "log")
GUARDED: Final = ("webhook", *POSTED)  # what may be set up in a form


def open_notifier(
    name: str, config: object, *, where: str, guarded: bool = False, guarded_http: bool = False
) -> Notifier:
    """Return the channel `name` that a mapping describes, or the object itself if it can send.

    `type` is one of `TYPES` or "package.module:Class" (called with the other keys). Values from
    the environment are resolved already. `where` names the setting in messages. `guarded` is for
    what came from the database or a form, and not from code or file: only webhooks, which only
    reach hosts on the internet, by TLS unless `guarded_http`. Raises ConfigurationError naming
    the key and the cure.
    """
    if not isinstance(config, Mapping):
        if callable(getattr(config, "send", None)):
            return config  # type: ignore[return-value]  # a Notifier as far as can be seen
        raise ConfigurationError(
            f"{where}: {type(config).__name__} is neither a table of settings nor an object "
            'with send(notification); write { type = "webhook", url = "https://…" }'
        )
    options = dict(config)
    kind = options.pop("type", None)
    if not isinstance(kind, str):
        raise ConfigurationError(f'{where}.type: missing; write type = "email" or "webhook"')
    if guarded and kind not in GUARDED:
        raise ConfigurationError(
            f"{where}.type: {kind!r} can be set in code or in the file only; "
            f"here use {_listed(GUARDED)}"
        )
    if ":" in kind:
        return _custom(kind, options, where=where)
    if kind in GUARDED:
        from watchkeeper.notify.webhook import Body, open_webhook

        return open_webhook(
            options,
            where=where,
            short=Body(kind) if kind in POSTED else None,
            guarded=guarded,
            guarded_http=guarded_http,
        )
    return _other(kind, options, where=where)


def shown_address(notifier: object) -> str:
    """Return where a channel sends to, with all secrets masked; "" if it does not say."""
    shown = getattr(notifier, "shown", "")
    return shown if isinstance(shown, str) else ""


def _other(kind: str, options: dict[str, Any], *, where: str) -> Notifier:
    """Make a channel that does not post to a web server of the team's."""
    if kind == "email":
        from watchkeeper.notify.smtp import open_email

        return open_email(options, where=where)
    if kind == "apprise":
        from watchkeeper.notify.apprise import open_apprise

        return open_apprise(options, where=where)
    if kind == "log":
        from watchkeeper.notify.log import open_log

        return open_log(options, where=where)
    raise ConfigurationError(
        f"{where}.type: {kind!r} is not a channel type{_meant(kind)}; "
        f'use {_listed(TYPES)} or "package.module:Class"'
    )


def _custom(kind: str, options: dict[str, Any], *, where: str) -> Notifier:
    """Make a channel of the user's own class."""
    module_name, _, class_name = kind.partition(":")
    try:
        factory: Callable[..., Any] = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"{where}.type: {kind!r} cannot be imported ({error}); "
            'write "package.module:Class" as Python would import it'
        ) from error
    try:
        made = factory(**options)
    except TypeError as error:
        raise ConfigurationError(
            f"{where}: {kind} does not take these keys ({error}); "
            f"given: {', '.join(sorted(options)) or 'none'}"
        ) from error
    if not callable(getattr(made, "send", None)):
        raise ConfigurationError(
            f"{where}.type: {kind} has no method send(notification); see the Notifier protocol"
        )
    return made  # type: ignore[no-any-return]  # checked for what the protocol asks


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _meant(kind: str) -> str:
    close = get_close_matches(kind, TYPES, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


__all__ = [
    "ChannelGoneError",
    "DeliveryError",
    "Notification",
    "Notifier",
    "open_notifier",
    "shown_address",
]
