"""Watchkeeper: production monitoring inside your web application, in your own database."""

from watchkeeper.app import capture_exception
from watchkeeper.core.rule import Alert
from watchkeeper.integrations import asgi, watch, wsgi
from watchkeeper.runtime.checks import health_check
from watchkeeper.runtime.instruments import counter, gauge, histogram
from watchkeeper.runtime.jobs import job
from watchkeeper.runtime.marks import set_user, tag
from watchkeeper.runtime.spans import span, timed
from watchkeeper.settings import Settings

__all__ = [
    "Alert",
    "Settings",
    "asgi",
    "capture_exception",
    "counter",
    "gauge",
    "health_check",
    "histogram",
    "job",
    "set_user",
    "span",
    "tag",
    "timed",
    "watch",
    "wsgi",
]
