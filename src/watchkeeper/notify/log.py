"""The channel that writes one readable line to the logger `watchkeeper.alerts`."""

import logging
from collections.abc import Mapping
from typing import Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.notifier import Notification

MAX_LINE: Final = 2_000  # characters

_alerts = logging.getLogger("watchkeeper.alerts")


class Log:
    """Writes each notification as a warning, what is resolved as information."""

    def send(self, notification: Notification) -> None:
        """Log one line: kind, severity, service, summary, link."""
        payload = notification.payload
        resolved = payload.get("status") == "resolved"
        severity = "" if resolved else f" {payload.get('severity', '')}"
        parts = [
            f"{'✔ resolved' if resolved else f'▲ {notification.kind}'}{severity}",
            f"{payload.get('service', '')} ({payload.get('environment', '')})",
            str(payload.get("summary") or payload.get("rule", "")),
        ]
        if payload.get("link"):
            parts.append(str(payload["link"]))
        line = " · ".join(" ".join(part.split()) for part in parts)  # one line, whatever is inside
        _alerts.log(logging.INFO if resolved else logging.WARNING, "%s", line[:MAX_LINE])


def open_log(options: Mapping[str, object], *, where: str) -> Log:
    """Return the channel; it has no options. Raises ConfigurationError for any."""
    for key in options:
        raise ConfigurationError(f"{where}.{key}: a log channel has no keys besides type")
    return Log()
