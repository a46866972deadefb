"""A container's health check: asks the process that serves beside us, and no database."""

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final
from urllib.parse import urlsplit

import psutil

from watchkeeper.core.health import CheckState
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.reporter import FILE

MEDIA_TYPE: Final = "application/health+json"
PROBES: Final = ("livez", "readyz", "health")
MAX_PLACES: Final = 20  # that are asked
MAX_ANSWER: Final = 100_000  # bytes that are read
WITHIN_S: Final = 3.0  # for the first of them that answers
OTHERS_S: Final = 0.5  # for the others from then on: most that are silent are no application
INTERPRETERS: Final = ("python", "pypy", "uwsgi", "granian", "mod_wsgi")
NOBODY: Final = (
    "no Watchkeeper answers on a port of this machine; if it serves elsewhere, "
    "or by a socket of the file system, say where: --url http://127.0.0.1:8000/watchkeeper"
)
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # to be asked
_ORDER: Final = (CheckState.FAIL, CheckState.WARN, CheckState.PASS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process may serve its probes."""

    host: str
    port: int
    path: str  # of the prefix

    def __str__(self) -> str:
        """Write it as an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What was answered, the worst of it: unknown if nobody answers."""

    state: CheckState
    url: str = ""

    @property
    def works(self) -> bool:
        """Whether a container is to be left alone: with a warning too, but not unless known."""
        return self.state in (CheckState.PASS, CheckState.WARN)


def probe(url: str, *, prefix: str, which: str) -> Probed:
    """Ask the processes of this machine, or the one at `url`; the worst answer counts.

    Without `url` every port is asked, on its own address or loopback, that a process with
    Watchkeeper in it listens on: in a container that is the application, on a machine of many it
    may be any. Where no process can be seen to have it, those of all interpreters are asked.
    Raises ConfigurationError for a wrong `url`.
    """
    return ask_all([place_of(url)] if url else places(prefix), which)


def ask_all(asked: Sequence[Place], which: str) -> Probed:
    """Ask all places at once, so that none that is silent takes the time of another."""
    found = dict(_answers(asked, which))
    for state in _ORDER:
        for place, one in found.items():
            if one is state:
                return Probed(state=state, url=f"{place}/{which}")
    return Probed(state=CheckState.UNKNOWN)


def place_of(url: str) -> Place:
    """Read the address of a prefix, such as http://127.0.0.1:8000/watchkeeper."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigurationError(
            f"--url {url!r}: write http, host, port and prefix, "
            "such as http://127.0.0.1:8000/watchkeeper"
        )
    return Place(parts.hostname, port, parts.path.rstrip("/"))


def places(prefix: str, *, watched_only: bool = False) -> list[Place]:
    """Find where this machine's applications listen, in its own network.

    Of those with Watchkeeper, and where there are none of all interpreters, unless `watched_only`.
    """
    found = dict.fromkeys(_listening(watched_only=watched_only))
    return [Place(host, port, prefix) for host, port in list(found)[:MAX_PLACES]]


def ask(place: Place, which: str, *, within_s: float) -> CheckState | None:
    """Ask one place; None if what answers, if anything does, is no probe of ours."""
    try:
        with closing(
            http.client.HTTPConnection(place.host, place.port, timeout=within_s)
        ) as connection:
            headers = {"Accept": MEDIA_TYPE, "Connection": "close", "User-Agent": "watchkeeper"}
            connection.request("GET", f"{place.path}/{which}", headers=headers)
            answer = connection.getresponse()
            if answer.getheader("content-type") != MEDIA_TYPE:
                return None
            return CheckState(json.loads(answer.read(MAX_ANSWER))["status"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def _answers(asked: Sequence[Place], which: str) -> Iterator[tuple[Place, CheckState]]:
    """Give the answers as they come: once there is one, the others have little time left."""
    answers: SimpleQueue[tuple[Place, CheckState | None]] = SimpleQueue()

    def put(place: Place) -> None:
        answers.put((place, ask(place, which, within_s=WITHIN_S)))

    for place in asked:
        threading.Thread(target=put, args=(place,), daemon=True).start()
    until = time.monotonic() + WITHIN_S
    for _ in asked:
        try:
            place, state = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            return
        if state is not None:
            until = min(until, time.monotonic() + OTHERS_S)
            yield place, state


def _listening(*, watched_only: bool) -> Iterator[tuple[str, int]]:
    try:
        connections = psutil.net_connections("tcp")
    except (OSError, psutil.Error):  # not allowed here, or not told by this kernel
        return
    listening = [one for one in connections if one.status == psutil.CONN_LISTEN]
    pids = {one.pid for one in listening if one.pid and _is_interpreter(one.pid)}
    watched = {pid for pid in pids if _is_watched(pid)}
    pids = watched if watched or watched_only else pids
    for one in listening:
        if one.pid in pids and one.laddr:
            yield _ANY.get(one.laddr.ip, one.laddr.ip), one.laddr.port


def _is_interpreter(pid: int) -> bool:
    """Tell whether a process may be the application: others are not to be bothered."""
    try:
        program = os.path.basename(os.path.realpath(psutil.Process(pid).exe()))
    except (OSError, psutil.Error):
        return False
    return pid != os.getpid() and program.startswith(INTERPRETERS)


def _is_watched(pid: int) -> bool:
    """Tell whether a process has the file open by which those of a host take turns."""
    before, after = FILE.split("{user}")
    try:
        names = [os.path.basename(one.path) for one in psutil.Process(pid).open_files()]
    except (OSError, psutil.Error):
        return False
    return any(name.startswith(before) and name.endswith(after) for name in names)
