"""Instruments: each tells what one library does inside requests; on where the library is in use.

Each module here has `install(observer) -> uninstall`, which hooks into its library and returns
what undoes that; `LIBRARIES` says which module's import switches it on.
"""

import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Final, Protocol

from watchkeeper.app import Watchkeeper
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer
from watchkeeper.settings import Origin

LIBRARIES: Final[Mapping[str, str]] = {
    "sqlalchemy": "sqlalchemy",
    "django_orm": "django.db",
    "psycopg": "psycopg",
    "psycopg_pool": "psycopg_pool",
    "asyncpg": "asyncpg",
    "httpx": "httpx",
    "requests": "requests",
    "urllib3": "urllib3",
    "aiohttp": "aiohttp",
    "redis": "redis",
    "celery": "celery",
    "rq": "rq",
    "apscheduler": "apscheduler",
}
"""Instrument → the module whose import says that the library is in use."""

_INSTALL: Final = guard("instrument")
_log = logging.getLogger("watchkeeper")


class Instrument(Protocol):
    """What each module of this package offers."""

    def install(self, observer: Observer) -> Callable[[], None]:
        """Hook into the library; return what takes the hooks out again."""


class Instruments:
    """The instruments of one Watchkeeper that are on."""

    def __init__(self, observer: Observer, wanted: Mapping[str, bool]) -> None:
        """Take the user's choices: True switches on and imports, False keeps off.

        Raises ConfigurationError for an instrument that does not exist, or whose library is
        wanted but not installed.
        """
        for name, on in wanted.items():
            if name not in LIBRARIES:
                known = ", ".join(sorted(LIBRARIES))
                raise ConfigurationError(f"instruments.{name}: unknown; known: {known}")
            if on and find_spec(LIBRARIES[name].partition(".")[0]) is None:
                raise ConfigurationError(
                    f"instruments.{name}: {LIBRARIES[name]} is not installed; "
                    f"install it, or leave {name} out"
                )
        self._observer = observer
        self._wanted = wanted
        self._undo: dict[str, Callable[[], None]] = {}
        self._unfit: set[str] = set()  # their library is of a version that has other parts

    @property
    def on(self) -> tuple[str, ...]:
        """The names of those that are on."""
        return tuple(self._undo)

    def install(self) -> None:
        """Switch on those that are wanted, and those whose library was imported meanwhile."""
        for name, library in LIBRARIES.items():
            done = name in self._undo or name in self._unfit
            if done or not self._wanted.get(name, library in sys.modules):
                continue
            with _INSTALL:
                self._install(name)

    def _install(self, name: str) -> None:
        try:
            module: Instrument = importlib.import_module(f"{__name__}.{name}")
        except ImportError as error:
            self._unfit.add(name)
            _log.warning(
                "watchkeeper: %s is not instrumented: this version of it is another (%s).",
                name,
                error,
            )
            return
        self._undo[name] = module.install(self._observer)
        _log.debug("watchkeeper: %s is instrumented", name)

    def uninstall(self) -> None:
        """Take every hook out again."""
        while self._undo:
            _, undo = self._undo.popitem()
            with _INSTALL:
                undo()


def instrument(watchkeeper: Watchkeeper) -> None:
    """Switch on the instruments of the libraries in use, once per Watchkeeper.

    Raises ConfigurationError if code names one that cannot be; elsewhere that is a problem shown.
    """
    if watchkeeper.instruments is not None:
        return
    wanted = watchkeeper.settings.instruments
    try:
        made = Instruments(watchkeeper.observer, wanted)
    except ConfigurationError as error:
        if watchkeeper.loaded.origins["instruments"] is Origin.CODE:
            raise
        watchkeeper.problems.append(f"{error}; the default is in force")
        made = Instruments(watchkeeper.observer, {})
    watchkeeper.instruments = made
    made.install()
