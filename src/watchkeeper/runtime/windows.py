"""The windows of all metric rules in memory: each frame is read once and kept as tallies."""

from collections.abc import Callable, Sequence
from typing import Final

from watchkeeper.core.conditions import Comparison
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.core.tallies import Meter, Tally, Window, metrics_of
from watchkeeper.core.verdicts import MAX_WAIT_SLOTS, window_slots
from watchkeeper.storage.store import Store
from watchkeeper.storage.turns import give_way

AHEAD_SLOTS: Final = 3  # frames of hosts whose clock runs ahead are read this far


class Windows:
    """What the rules need of the recent frames; bounded by the longest window."""

    def __init__(self, rules: Sequence[Rule], *, scope: Scope, slot_s: int) -> None:
        """Take the rules that compare a metric; others are not looked at."""
        self._scope = scope
        self._slot_s = slot_s
        self._meters = {
            rule.name: Meter(rule) for rule in rules if isinstance(rule.when, Comparison)
        }
        self._metrics = frozenset(
            metric for meter in self._meters.values() for metric in metrics_of(meter.selector)
        )
        longest_s = max((rule.over_s[-1] for rule in rules if rule.over_s), default=0.0)
        self._kept_s = (window_slots(longest_s, slot_s) + MAX_WAIT_SLOTS) * slot_s
        self._read: set[FrameKey] = set()
        self._written: set[int] = set()
        self._tallies: dict[str, dict[str, dict[int, Tally]]] = {name: {} for name in self._meters}

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics that some rule reads."""
        return self._metrics

    @property
    def kept_s(self) -> int:
        """How far back from the open slot data are of use, in seconds."""
        return self._kept_s

    def read(
        self,
        store: Store,
        *,
        now: float,
        fresh: Sequence[Frame] = (),
        pause: Callable[[], None] | None = None,
    ) -> int:
        """Read the frames not seen yet, forget those that left every window; return how many.

        `fresh` are frames of the scope that the caller has just written: they are not read back.
        `pause` is called after each frame, so that the thread gives way to requests.
        """
        if not self._meters:
            return 0
        open_slot = slot_start(now, self._slot_s)
        since, until = open_slot - self._kept_s, open_slot + AHEAD_SLOTS * self._slot_s
        own = [
            frame
            for frame in fresh
            if frame.key.resolution == self._slot_s and since <= frame.key.start < until
        ]
        frames = store.frames(
            self._slot_s,
            since=since,
            until=until,
            service=self._scope.service,
            environment=self._scope.environment,
            skip=self._read.union(frame.key for frame in own),
            metrics=self._metrics,
        )
        frames = [*frames, *map(self._narrowed, own)]
        for frame in frames:
            if self.add(frame) and pause is not None:
                pause()
        self.forget(before=since)
        return len(frames)

    def add(self, frame: Frame) -> bool:
        """Take in a frame, wherever it comes from; False, and nothing is done, if it is known."""
        if frame.key in self._read:
            return False
        self._read.add(frame.key)
        self._written.add(frame.key.start)
        for name, meter in self._meters.items():
            give_way()
            groups = self._tallies[name]
            for group, tally in meter.measure(frame).items():
                slots = groups.setdefault(group, {})
                known = slots.get(frame.key.start)
                if known is None:
                    slots[frame.key.start] = tally
                else:
                    known.add(tally)
        return True

    def groups(self, rule: str) -> dict[str, dict[str, str]]:
        """Return the groups that have data: canonical text → labels."""
        meter = self._meters[rule]
        return {group: dict(meter.groups.get(group, ())) for group in self._tallies[rule]}

    def window(self, rule: str, group: str) -> Window:
        """Return what is known of one group, which may be nothing."""
        return Window(tallies=self._tallies[rule].get(group, {}), written=self._written)

    def forget(self, *, before: int) -> None:
        """Drop the slots that start before a moment, and groups that have none left."""
        self._read = {key for key in self._read if key.start >= before}
        self._written = {start for start in self._written if start >= before}
        for name, groups in self._tallies.items():
            for slots in groups.values():
                for start in [start for start in slots if start < before]:
                    del slots[start]
            gone = [group for group, slots in groups.items() if not slots]
            for group in gone:
                del groups[group]
            if gone:
                self._meters[name].forget(gone)

    def _narrowed(self, frame: Frame) -> Frame:
        """Return the frame with those series only that some rule may need."""
        needed = {
            series: value
            for series, value in frame.values.items()
            if series.metric in self._metrics
        }
        return Frame(key=frame.key, values=needed)
