"""Asking the demo's running dashboard, as a browser would."""

import http.client
import time
from typing import Final

from watchkeeper.demo.process import DemoError
from watchkeeper.demo.profiles import PREFIX

ANSWER_WITHIN_S: Final = 10.0
READY_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.2
OK: Final = 200
NOT_YET: Final = 503  # a process that has just started opens the database with its first flush


def get(port: int, path: str) -> tuple[int, bytes]:
    """Get a path below the dashboard's prefix: status and body. Raises DemoError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", PREFIX + path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DemoError(f"the dashboard does not answer: {error}") from error
    finally:
        connection.close()


def get_when_ready(port: int, path: str, *, within_s: float = READY_WITHIN_S) -> tuple[int, bytes]:
    """Get a path as soon as the dashboard can show anything; or the last answer."""
    until = time.monotonic() + within_s
    status, body = get(port, path)
    while status == NOT_YET and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        status, body = get(port, path)
    return status, body
