"""One look at the dashboard: whom it shows, and what somebody who is in asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.dashboard.http import Request
from watchkeeper.dashboard.pages import Shell
from watchkeeper.dashboard.windows import Window
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Settings
from watchkeeper.storage.store import Store


class Watched(Protocol):
    """What the dashboard needs of a Watchkeeper."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def scope(self) -> Scope:
        """The deployment that is shown."""

    @property
    def store(self) -> Store | None:
        """The open store, None while there is none."""

    @property
    def failure(self) -> str:
        """Why nothing is stored, for good; empty while all is well."""

    @property
    def problems(self) -> Sequence[str]:
        """Sentences about settings that could not be used."""

    @property
    def rules(self) -> Sequence[Rule]:
        """The alert rules in force."""

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time in seconds since the epoch."""

    @property
    def health(self) -> Health:
        """The health checks of this process."""

    @property
    def recorder(self) -> Recorder:
        """What this process records into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of somebody who is in, with all that is needed to answer it."""

    request: Request
    store: Store
    shell: Shell
    window: Window
    query: Mapping[str, str]
    now: float
