"""The errors of the open slot: their counts, and the samples that were taken of them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

from watchkeeper.runtime.apart import Room
from watchkeeper.runtime.budgets import Budget
from watchkeeper.runtime.events import Sample
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.inlet import Inlet
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.occurrences import BEYOND, ERROR, Group, Occurrence
from watchkeeper.runtime.record import RequestContext

MAX_REMEMBERED: Final = 10_000  # groups that are not new any more
MAX_SAMPLES_HELD: Final = 500  # between two flushes
SAMPLES_PER_S: Final = 20
FIRST_SAMPLES_PER_S: Final = 100
SAMPLED_S: Final = 9.0  # samples begin anew after so long: with a usual slot, not with quick ones

_GROUPING: Final = guard("grouping")


class Groups:
    """Counts errors by group from any thread; bounded.

    `dropped` counts the occurrences that went to the "(other)" issue because the slot had `most`
    groups, `dropped_samples` the samples that were due but over a budget. Of issues by the names
    that are True in `ignored` no samples are kept.
    """

    def __init__(self, most: int) -> None:
        """Begin with an empty slot of at most so many groups."""
        self.dropped = 0
        self.dropped_samples = 0
        self.ignored: Mapping[str, bool] = {}
        self._most = most
        self.lock = threading.Lock()
        self._groups: dict[str, Group] = {}
        self._inlets: dict[
            str, Inlet[Known]
        ] = {}  # of the groups that were met since the last take
        self._room = Room()
        self._samples: list[Sample] = []
        self._met: OrderedDict[str, None] = OrderedDict()
        self._earlier: dict[str, int] = {}  # key → what was taken of it since samples began anew
        self._began_at = 0.0
        self._begins_anew = True
        self._samples_budget = Budget(SAMPLES_PER_S)
        self._first_budget = Budget(FIRST_SAMPLES_PER_S)

    @property
    def is_full(self) -> bool:
        """Whether the slot has no room for one more group."""
        return len(self._groups) >= self._most

    def has_met(self, key: str) -> bool:
        """Tell whether this process has met a group before; takes no lock."""
        return key in self._met

    def wants_sample(self, known: Known, key: str, at: float) -> bool:
        """Tell whether a sample is due of the next error of a group; takes no lock."""
        group = self._groups.get(key)
        if group is None and self.is_full:
            return False  # it goes to the group of all others, which keeps none
        count = 1 + (self._earlier.get(key, 0) if group is None else group.earlier + group.count)
        count += 0 if known.inlet is None else len(known.inlet)
        if count & (count - 1):  # due are the 1st, 2nd, 4th, 8th …
            return False
        return self._is_wanted(known) and self._budget(count).has_any(at)

    def add(
        self,
        known: Known,
        key: str,
        at: float,
        level: str,
        request: RequestContext | None,
        user: str,
        sample: Sample | None,
    ) -> bool:
        """Count an error under its group's key, and keep the sample if one is due.

        Whoever calls holds the `lock`: one call less where each counts.
        Returns whether this process sees the group for the first time.
        """
        if known.inlet:
            self._drain(known.inlet)
        method, route = ("", "") if request is None else (request.method, request.route)
        is_new, group = self._count(
            known, key, at, method=method, route=route, user=user, first_at=at
        )
        if level != ERROR and group.known is not BEYOND:
            group.level = level
        count = group.earlier + group.count
        if not count & (count - 1) and group.known is not BEYOND and self._is_wanted(known):
            self._keep(sample, group, count, at)
        return is_new

    def add_late(self, late: deque[Occurrence], *, wait: bool) -> None:
        """Take errors out of a queue and count them; without `wait` only if the lock is free.

        So without it this is safe where this very thread may hold the lock.
        """
        if not self.lock.acquire(blocking=wait):
            return
        try:
            while late:
                one = late.popleft()
                known = one.known
                self.add(known, known.key, one.at, ERROR, one.request, one.user, one.sample)
        finally:
            self.lock.release()

    def take(self, at: float) -> tuple[list[Group], list[Sample]]:
        """Hand over what was counted and sampled since the last call; samples may begin anew.

        Holds the lock for one group at a time, for requests may wait for it.
        """
        with self.lock:
            inlets = list(self._inlets.values())
        for inlet in inlets:
            with self.lock:
                if inlet:
                    self._drain(inlet)
                else:
                    self._close(inlet)
        with self.lock:
            self._begins_anew = not 0 <= at - self._began_at < SAMPLED_S
            if self._begins_anew:
                self._began_at, self._earlier = at, {}
                for inlet in self._inlets.values():
                    inlet.after(0)
            groups, self._groups = self._groups, {}
            samples, self._samples = self._samples, []
            self._room = Room()
        return list(groups.values()), samples

    def settled(self, groups: list[Group], *, pause: Callable[[], None] | None) -> list[Group]:
        """Give groups their fingerprints; those that come out equal are one.

        Reads source files: not for a request. `pause` is called after each that was not known.
        """
        settled: dict[str, Group] = {}
        for group in groups:
            is_new = not group.known.is_settled
            value = BEYOND.key
            with _GROUPING:
                value = group.known.fingerprint
            if value == BEYOND.key and group.known is not BEYOND:
                self.dropped += group.count
                group.known = BEYOND
            if value in settled:
                settled[value].add(group)
            else:
                settled[value] = group
            with self.lock:
                self._remember(value)
                if is_new and group.known.inlet is not None:
                    self._close(group.known.inlet)  # its key is another one now
                if not self._begins_anew and len(self._earlier) < MAX_REMEMBERED:
                    self._earlier[value] = self._earlier.get(value, 0) + group.count
            if pause is not None and is_new:
                pause()
        return list(settled.values())

    def is_ignored(self, known: Known) -> bool:
        """Tell whether an error's issue is ignored; may read source files: not for a request."""
        fingerprint = known.settle()
        name = fingerprint.value
        # A path that was split off decides for itself.
        by_path = self.ignored.get(f"{name}/{fingerprint.path}")
        return self.ignored.get(name, False) if by_path is None else by_path

    def _is_wanted(self, known: Known) -> bool:
        """Tell whether samples are to be taken, as far as that is known in a request."""
        return not self.ignored or not known.is_settled or not self.is_ignored(known)

    def _count(
        self,
        known: Known,
        key: str,
        at: float,
        *,
        method: str,
        route: str,
        user: str,
        first_at: float,
        times: int = 1,
    ) -> tuple[bool, Group]:
        """Count occurrences that are equal in this; whether their group is new here, and it."""
        is_new = False
        group = self._groups.get(key)
        if group is None:
            is_new, group = self._opened(known, key, first_at)
        group.count += times
        is_beyond = group.known is BEYOND
        if is_beyond:
            self.dropped += times
            known, method, route, user = BEYOND, "", "", ""
        part = group.parts.part(known, first_at, self._room)
        part.add(at, method=method, route=route, user=user, room=self._room, times=times)
        if not is_beyond:
            inlet = self._inlets.get(key)
            if inlet is None:
                inlet = self._inlets[key] = Inlet(key)
            inlet.after(group.earlier + group.count)
            known.inlet = inlet
        return is_new, group

    def _drain(self, inlet: Inlet[Known]) -> None:
        """Count what waits in an inlet; the moments of several traces are those of all."""
        first_at, at = inlet.first_at, inlet.last_at
        for known, method, route, user, times in inlet.drain():
            self._count(
                known,
                known.key,
                at,
                method=method,
                route=route,
                user=user,
                first_at=first_at,
                times=times,
            )

    def _close(self, inlet: Inlet[Known]) -> None:
        """Take an inlet out of use; who appends to it meanwhile notices."""
        inlet.closed = True
        self._drain(inlet)
        if self._inlets.get(inlet.key) is inlet:
            del self._inlets[inlet.key]

    def _opened(self, known: Known, key: str, at: float) -> tuple[bool, Group]:
        """Return whether a group is new here, and itself: that of all others at the cap."""
        if known is BEYOND or len(self._groups) >= self._most:
            return False, self._groups.setdefault(BEYOND.key, Group(BEYOND, at))
        group = self._groups[key] = Group(known, at, earlier=self._earlier.get(key, 0))
        is_new = key not in self._met
        self._remember(key)
        return is_new, group

    def _remember(self, key: str) -> None:
        self._met[key] = None
        self._met.move_to_end(key)
        if len(self._met) > MAX_REMEMBERED:
            self._met.popitem(last=False)

    def _keep(self, sample: Sample | None, group: Group, count: int, at: float) -> None:
        has_room = len(self._samples) < MAX_SAMPLES_HELD
        if sample is None or not has_room or not self._budget(count).take(at):
            self.dropped_samples += 1
            return
        group.sample = group.sample or sample
        self._samples.append(sample)

    def _budget(self, count: int) -> Budget:
        return self._first_budget if count == 1 else self._samples_budget
