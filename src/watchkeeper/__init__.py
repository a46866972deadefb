"""Watchkeeper: production monitoring inside your web application, in your own database."""

from watchkeeper.app import Watchkeeper, capture_exception
from watchkeeper.core.rules import Alert
from watchkeeper.exceptions import WatchkeeperError
from watchkeeper.integrations import asgi, watch, wsgi
from watchkeeper.runtime.checks import health_check
from watchkeeper.runtime.instruments import counter, gauge, histogram
from watchkeeper.settings import Settings

__all__ = [
    "Alert",
    "Settings",
    "Watchkeeper",
    "WatchkeeperError",
    "asgi",
    "capture_exception",
    "counter",
    "gauge",
    "health_check",
    "histogram",
    "watch",
    "wsgi",
]
