"""Channels as the settings describe them, with what every kind may say of its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Final

from watchkeeper.core.queue import MAX_MESSAGES
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify import Notifier, open_notifier
from watchkeeper.runtime.lane import LaneOptions
from watchkeeper.settings import Settings

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.outbox import Outbox
    from watchkeeper.storage.store import Store

LANE_KEYS: Final = ("fallback", "max_messages")  # of every kind of channel
MOST_MESSAGES: Final = 1_000  # an hour


def open_channel(settings: Settings, name: str) -> Notifier:
    """Open one channel. Raises ConfigurationError naming the key and the cure."""
    lane_options(settings, name)
    return open_notifier(name, _own_keys(settings.channels[name]), where=f"channels.{name}")


def lane_options(settings: Settings, name: str) -> LaneOptions:
    """Read what every kind of channel may say of its messages: `fallback`, `max_messages`.

    Raises ConfigurationError naming the key and the cure.
    """
    config = settings.channels[name]
    if not isinstance(config, Mapping):
        return LaneOptions()
    fallback = config.get("fallback", "")
    others = [other for other in settings.channels if other != name]
    if fallback and fallback not in others:
        known = ", ".join(sorted(others)) or "none"
        raise ConfigurationError(
            f"channels.{name}.fallback: there is no other channel {fallback!r}; known: {known}"
        )
    most = config.get("max_messages", MAX_MESSAGES)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_MESSAGES:
        raise ConfigurationError(
            f"channels.{name}.max_messages: {most!r} is not a number from 1 to {MOST_MESSAGES}"
        )
    return LaneOptions(fallback=str(fallback), max_messages=most)


def _own_keys(config: object) -> object:
    """Return a channel's settings without those that every kind has."""
    if not isinstance(config, Mapping):
        return config
    return {key: value for key, value in config.items() if key not in LANE_KEYS}


def make_outbox(
    settings: Settings,
    notifiers: Mapping[str, Notifier],
    store: Store,
    *,
    clock: Callable[[], float] = time,
    follows: bool = False,
) -> Outbox:
    """Build what delivers messages, once the store is open; `follows` as of `Outbox`."""
    from watchkeeper.runtime.outbox import Outbox

    return Outbox(
        store,
        notifiers,
        service=settings.service,
        environment=settings.environment,
        clock=clock,
        follows=follows,
        options={name: lane_options(settings, name) for name in notifiers},
    )
