"""Which workers are missing: fell silent without a goodbye, and nobody took their place."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from watchkeeper.core.metrics import Scope

SILENT_SLOTS: Final = 3  # without a heartbeat for longer, a worker is silent
ALL_SILENT_S: Final = 45.0  # without a heartbeat of anybody for longer, everything is
STOPPED_S: Final = 300.0  # the same, if the last ones said goodbye: a deploy takes a while
RECYCLED_S: Final = 60.0  # within which another one takes the place of one that stopped cleanly
SERVED_S: Final = 60.0  # who lived so long before it stopped cleanly is no script
FORGOTTEN_S: Final = 600.0  # after which a silent worker was taken out of service, it seems
ALL: Final = "(all)"  # host and worker of what stands for every worker there was


class Heartbeats(Protocol):
    """A worker as the store knows it; times in seconds since the epoch, by its own clock."""

    @property
    def id(self) -> int:
        """What tells it from all others, ever."""

    @property
    def number(self) -> int:
        """What tells it from the others that live."""

    @property
    def scope(self) -> Scope:
        """What it runs."""

    @property
    def host(self) -> str:
        """The machine it runs on."""

    @property
    def started_at(self) -> float:
        """When it first wrote."""

    @property
    def seen_at(self) -> float:
        """When it last wrote."""

    @property
    def stopped_at(self) -> float | None:
        """When it said goodbye."""


class Reason(StrEnum):
    """Why a worker counts as missing."""

    WORKER_SILENT = "worker_silent"  # others of its host live
    HOST_SILENT = "host_silent"  # so are all that ran on its host
    ALL_SILENT = "all_silent"  # stands for everybody: nobody writes any more
    ALL_STOPPED = "all_stopped"  # likewise, after a clean stop: nothing came back


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One worker that is missing, or `(all)` of them, by the labels that an alert carries."""

    host: str
    worker: str  # its number
    reason: Reason
    seen_at: float  # when it last wrote

    @property
    def labels(self) -> dict[str, str]:
        """What tells its instance of a rule from others."""
        return {"host": self.host, "worker": self.worker}

    @property
    def is_critical(self) -> bool:
        """Whether nothing at all is left to serve, as far as anybody can see."""
        return self.reason in (Reason.ALL_SILENT, Reason.ALL_STOPPED)


def missing(workers: Collection[Heartbeats], *, now: float, slot_s: float) -> list[Missing]:
    """Tell who is missing among the workers of one scope, in the order of their last heartbeat.

    A worker is missing if it has not written for `SILENT_SLOTS`, did not stop cleanly, and nobody
    took its place (see `_may_follow`); for `FORGOTTEN_S`, then it was taken out of service
    without a word, as a scale-down by SIGKILL does. While nobody writes, the first is `(all)`,
    which stands for those that fell silent with the last one and stays as long as that lasts.
    Nothing is missing where nobody has ever written.
    """
    silent_s = SILENT_SLOTS * slot_s
    live = [one for one in workers if _is_running(one) and one.seen_at >= now - silent_s]
    # Where nobody lives, those count that were missing already while others did.
    moment = now if live else max((one.seen_at for one in workers), default=now)
    silent = [one for one in workers if _is_running(one) and one.seen_at < moment - silent_s]
    hosts = {one.host for one in live}
    earliest = max(now - silent_s - FORGOTTEN_S, _unbroken_since(workers, silent_s))
    found = [
        _missing(one, Reason.WORKER_SILENT if one.host in hosts else Reason.HOST_SILENT)
        for one in _without_heir(silent, workers, slot_s=slot_s)
        if one.seen_at >= earliest
    ]
    everybody = None if live else _everybody(workers, now=now, slot_s=slot_s)
    return found if everybody is None else [everybody, *found]


def _unbroken_since(workers: Collection[Heartbeats], silent_s: float) -> float:
    """Return since when there was always somebody who wrote.

    Those who fell silent before were told of together; they come back one by one.
    """
    since, until = 0.0, 0.0
    for one in sorted(workers, key=lambda one: one.started_at):
        if one.started_at > until:
            since = one.started_at
        until = max(until, _end(one) + silent_s)
    return since


def _everybody(workers: Collection[Heartbeats], *, now: float, slot_s: float) -> Missing | None:
    """Return what stands for all workers, none of which lives; None while it is too early."""
    # Of two that ended in one moment it is the one that said no goodbye.
    last = max(workers, key=lambda one: (_end(one), _is_running(one), one.id), default=None)
    if last is None:
        return None
    if last.stopped_at is None:
        reason, patience_s = Reason.ALL_SILENT, max(ALL_SILENT_S, SILENT_SLOTS * slot_s)
    else:
        reason, patience_s = Reason.ALL_STOPPED, STOPPED_S
    if now - _end(last) < patience_s:
        return None
    return Missing(host=ALL, worker=ALL, reason=reason, seen_at=last.seen_at)


def _without_heir(
    silent: Sequence[Heartbeats], workers: Collection[Heartbeats], *, slot_s: float
) -> list[Heartbeats]:
    """Return the silent workers whose place nobody took, the first that fell silent first.

    Each worker takes one place at most, the last that was left first: so one that a recycled
    worker (max_requests) left is not taken for that of a crashed one. A worker that stopped
    cleanly counts if somebody took its place in turn, or if it took that place at once and held it
    for a while before it gave it up: scripts come and go.
    """
    if not silent:
        return []
    hosts: dict[str, float] = {}
    free = sorted(workers, key=lambda one: (one.started_at, one.id))
    for one in free:
        hosts.setdefault(one.host, one.started_at)
    silent_ids = {one.id for one in silent}
    left = {one.id for one in workers if not _is_running(one)}  # places that nobody holds
    orphans = []

    def left_at(one: Heartbeats) -> tuple[float, int]:
        # One that fell silent may have lived for another slot after its last heartbeat.
        return _end(one) + (slot_s if _is_running(one) else 0.0), one.id

    for gone in sorted(workers, key=left_at, reverse=True):
        if _is_running(gone) and gone.id not in silent_ids:
            continue
        heirs = [one for one in free if _may_follow(one, gone, hosts)]
        held = (one for one in heirs if one.id not in left)
        given_up = (one for one in heirs if one.id in left and _has_served(one, gone))
        heir = next(held, None) or next(given_up, None)
        if heir is not None:
            free.remove(heir)
            left.discard(gone.id)
        elif _is_running(gone):
            orphans.append(gone)
    return sorted(orphans, key=_end)


def _may_follow(one: Heartbeats, gone: Heartbeats, hosts: Mapping[str, float]) -> bool:
    """Tell whether a worker may have taken the place of one that is gone.

    It began when that one was gone, on the same host (a supervisor's restart) or on one that is
    new since then (another container); or before that, with another release (a deploy).
    """
    if one.started_at > _end(gone):
        if gone.stopped_at is not None and one.started_at > gone.stopped_at + RECYCLED_S:
            return False  # that place was given up
        return one.host == gone.host or hosts[one.host] > _end(gone)
    is_deploy = one.started_at > gone.started_at and one.scope.release != gone.scope.release
    return is_deploy and (one.host == gone.host or hosts[one.host] > gone.started_at)


def _has_served(one: Heartbeats, gone: Heartbeats) -> bool:
    """Tell whether one that stopped cleanly held the place of one that is gone until it did."""
    at_once = one.started_at <= _end(gone) + RECYCLED_S
    return at_once and _end(one) - one.started_at >= SERVED_S


def _is_running(one: Heartbeats) -> bool:
    """Tell whether a worker said no goodbye."""
    return one.stopped_at is None


def _end(one: Heartbeats) -> float:
    return one.seen_at if one.stopped_at is None else one.stopped_at


def _missing(one: Heartbeats, reason: Reason) -> Missing:
    return Missing(host=one.host, worker=str(one.number), reason=reason, seen_at=one.seen_at)
