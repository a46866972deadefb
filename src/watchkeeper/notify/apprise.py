"""The channel for everything else: the services that the package apprise knows."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.harmless import line, without_mentions
from watchkeeper.notify.keys import check_keys, texts, time_zone
from watchkeeper.notify.notifier import DeliveryError, Notification

TIMEOUT_S: Final = 10.0  # for all services of the channel together
MAX_URLS: Final = 10
MAX_SAID: Final = 200  # characters of what apprise logged
MIN_SECRET: Final = 4  # parts of an address shorter than this are not looked for in its logs
MASK: Final = "***"
KEYS: Final = ("url", "urls", "time_zone")

_PARTS: Final = re.compile(r"[/?&=:@#]")
_log = logging.getLogger("watchkeeper")


class Apprise:
    """Sends each notification to all addresses of the channel through the package apprise.

    The package is imported by the first message, for it weighs some 30 MB: only the process that
    sends pays for it.
    """

    def __init__(self, urls: tuple[str, ...], *, zone: tzinfo = UTC) -> None:
        """Prepare; nothing is imported."""
        self._urls = urls
        self._zone = zone

    @property
    def shown(self) -> str:
        """The services, which is all of the addresses that lists may show."""
        return ", ".join(f"{_scheme(url)}://{MASK}" for url in self._urls)

    def send(self, notification: Notification) -> None:
        """Deliver to the services or raise `DeliveryError`.

        apprise does not tell what a repetition cannot change, so no refusal is permanent but
        that of an address which it cannot read. Delivered as soon as one service took it: another
        attempt would reach that one once more. What the others said is logged.
        """
        from watchkeeper.notify.layout import plain
        from watchkeeper.notify.texts import compose

        message = compose(notification, zone=self._zone)
        sender, kinds = self._open()
        kind = {"critical": kinds.FAILURE, "info": kinds.INFO}.get(message.severity, kinds.WARNING)
        with sender.notify(
            body=without_mentions(plain(message)),
            title=without_mentions(message.title),
            notify_type=kinds.SUCCESS if message.resolved else kind,
            body_format="text",
            timeout=TIMEOUT_S,
        ) as result:
            if result:
                return
            said = self._masked(" ".join(entry.message for entry in result.logs()))
            if not result.success_count:
                raise DeliveryError(f"{self.shown}: {said or 'not delivered'}")
        _log.warning(
            "watchkeeper: channel %s: not every service took the message: %s",
            notification.channel,
            said,
        )

    def _open(self) -> tuple[Any, Any]:
        """Return apprise with the addresses, and its kinds of message."""
        try:
            import apprise
        except ImportError as error:
            raise DeliveryError(
                f"the package apprise cannot be imported ({type(error).__name__})", permanent=True
            ) from None
        sender = apprise.Apprise()
        for number, url in enumerate(self._urls):
            with _unlogged():
                added = sender.add(url)
            if not added:
                raise DeliveryError(
                    f"{_scheme(url)}://{MASK} (address {number + 1}): apprise cannot read it",
                    permanent=True,
                )
        return sender, apprise.NotifyType

    def _masked(self, said: str) -> str:
        """Return what apprise logged without the parts of our addresses."""
        for url in self._urls:
            for part in _secrets(url):
                said = said.replace(part, MASK)
        return line(said, limit=MAX_SAID)


def open_apprise(options: Mapping[str, object], *, where: str) -> Apprise:
    """Return the channel. Raises ConfigurationError, which never shows an address.

    Keys: `url` or `urls`, addresses as apprise writes them. That the package is there and knows
    the service is found out by looking at its files, for importing it takes half a second.
    """
    check_keys(options, KEYS, where=where)
    if "url" in options and "urls" in options:
        raise ConfigurationError(f"{where}.urls: write either url or urls")
    key = "urls" if "urls" in options else "url"
    urls = texts(options.get(key, ()), where=f"{where}.{key}", most=MAX_URLS)
    if not urls or not all(urls):
        raise ConfigurationError(f'{where}.url: missing; write url = "tgram://token/chat"')
    spec = find_spec("apprise")
    if spec is None:
        raise ConfigurationError(
            f"{where}.type: the package apprise is not installed; "
            'run: pip install "watchkeeper[notify]"'
        )
    for url in urls:
        if not _is_known(_scheme(url), spec.submodule_search_locations or ()):
            raise ConfigurationError(
                f"{where}.{key}: apprise knows no service {_scheme(url) or '(none)'}://; "
                "its documentation lists those it knows"
            )
    return Apprise(urls, zone=time_zone(options, where=where))


def _is_known(scheme: str, folders: Any) -> bool:
    """Tell whether one of apprise's plug-ins names the scheme, or its files are elsewhere."""
    plugins = [file for folder in folders for file in Path(folder, "plugins").rglob("*.py")]
    if not scheme:
        return False
    # Most services are named as their file is: that one is looked at first.
    plugins.sort(key=lambda file: scheme.rstrip("s") not in file.name)
    quoted = f'"{scheme}"'.encode()
    return not plugins or any(quoted in file.read_bytes() for file in plugins)


def _scheme(url: str) -> str:
    scheme, found, _ = url.partition("://")
    usual = scheme.isascii() and all(char.isalnum() or char in "+-." for char in scheme)
    return scheme.lower() if found and usual and len(scheme) <= 30 else ""


def _secrets(url: str) -> list[str]:
    """Return the parts of an address that are not to be shown, the longest first."""
    parts = _PARTS.split(url.partition("://")[2])
    parts += [unquote(part) for part in parts]
    return sorted({part for part in parts if len(part) >= MIN_SECRET}, key=len, reverse=True)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep apprise from logging, for what it cannot read it logs as it is."""
    logger = logging.getLogger("apprise")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
