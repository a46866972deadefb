"""Whom to tell: the channels of a rule or severity, the links they get, and when nobody is."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watchkeeper.core.rule import Rule
from watchkeeper.core.rules import that_exist
from watchkeeper.core.silences import MAX_SILENCES, QuietHours, Silence
from watchkeeper.core.telling import Manners
from watchkeeper.runtime.silences import in_force

if TYPE_CHECKING:
    from watchkeeper.core.metrics import Scope
    from watchkeeper.storage.store import Incident, Store

ASKED_EACH_S: Final = 10.0  # how long a silence that somebody sets may take to have an effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses that a message about an incident carries; "": none."""

    page: str = ""
    acknowledge: str = ""
    silence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What the settings say about telling."""

    channels_for: Callable[[str], Sequence[str]]  # by severity
    links: Callable[[Sequence["Incident"]], Links]  # of a message: its incidents, at least one
    known: Callable[[], Collection[str]] = lambda: ()  # the channels there are, if that is known
    silences: tuple[Silence, ...] = ()  # besides those of the database
    quiet_hours: QuietHours | None = None

    def channels(self, rule: Rule, severity: str) -> tuple[str, ...]:
        """Return the channels of a rule, else those of a severity.

        A name that no channel has is left out: its messages would wait there for ever.
        """
        own = that_exist(rule.channels, self.known()) if rule.channels else ()
        return tuple(dict.fromkeys(own or self.channels_for(severity)))

    def manners(self, rule: Rule | None) -> Manners:
        """Return what a rule says about telling; it escalates to channels that there are."""
        manners = Manners.of(rule)
        if not manners.escalate_to:
            return manners
        return replace(manners, escalate_to=that_exist(manners.escalate_to, self.known()))

    def waits(self, severity: str, *, at: float) -> bool:
        """Tell whether quiet hours hold back an alert of a severity."""
        return self.quiet_hours is not None and self.quiet_hours.hold(severity, at=at)


class Silences:
    """The silences of settings and database, those of the database read every ten seconds."""

    def __init__(self, store: "Store", *, scope: "Scope", planned: Sequence[Silence]) -> None:
        """Take those of the settings; nothing is read before the first question."""
        self._store = store
        self._scope = scope
        self._planned = tuple(planned)
        self._known: tuple[Silence, ...] = self._planned
        self._read_at: float | None = None

    def known(self, *, now: float) -> tuple[Silence, ...]:
        """Return those that may be in force now or later. Raises StorageError."""
        if self._read_at is None or not 0 <= now - self._read_at < ASKED_EACH_S:
            stored = in_force(self._store, self._scope, at=now)
            self._known = (*self._planned, *stored)[:MAX_SILENCES]
            self._read_at = now
        return self._known
