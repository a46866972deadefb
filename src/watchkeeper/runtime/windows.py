"""The windows of all metric rules in memory: each frame is read once and kept as tallies."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from watchkeeper.core.conditions import Selector
from watchkeeper.core.measuring import LONG_S
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.moment import MAX_WAIT_SLOTS, window_slots
from watchkeeper.core.rule import Rule
from watchkeeper.core.running import Need, Running, needs, size, suspects
from watchkeeper.core.slot import Frame, FrameKey, slot_start
from watchkeeper.core.tallies import Meter, Source, Tally, Window, comparisons_of, source_of
from watchkeeper.storage.store import Store
from watchkeeper.storage.turns import give_way

AHEAD_SLOTS: Final = 3  # frames of hosts whose clock runs ahead are read this far
FORGET_EVERY: Final = 30  # slots
LONG_HELD_S: Final = 900.0  # slots are held so long where minutes serve for what is older


class _Slots:
    """What one source has counted: slot → group → tally."""

    def __init__(self, source: Source) -> None:
        self.meter = Meter(source)
        self.by_slot: dict[int, dict[str, Tally]] = {}
        self.sums: dict[Need, Running] = {}
        self.used: dict[str, int] = {}  # group → the newest slot with something of it

    def count(self, frame: Frame, among: Sequence[Series]) -> None:
        start = frame.key.start
        found = self.meter.measure_series(frame, among)
        slots = self.by_slot.setdefault(start, {})
        known = {group: slots[group] for group in found if group in slots}
        for running in self.sums.values():
            running.take(start, known)
        for group, tally in found.items():
            if group in known:
                known[group].add(tally)
            else:
                slots[group] = tally
            if start > self.used.get(group, 0):
                self.used[group] = start
        now = {group: slots[group] for group in found}
        for running in self.sums.values():
            running.put(start, now)

    def forget(self, before: int) -> None:
        old = [start for start in self.by_slot if start < before]
        for start in old:
            del self.by_slot[start]
        gone = [group for group, start in self.used.items() if start < before] if old else []
        for group in gone:
            del self.used[group]
        if gone:
            self.meter.forget(gone)


class Windows:
    """What the rules need of the recent frames; bounded by the longest window.

    `born` says when workers started, by their id: a young one is left out where a rule says so.
    """

    def __init__(self, rules: Sequence[Rule], *, scope: Scope, slot_s: int) -> None:
        """Take the rules; those that compare no metric are not looked at."""
        self.born: Mapping[int, float] = {}
        self._scope = scope
        self._slot_s = slot_s
        self._read: set[FrameKey] = set()
        self._written: set[int] = set()
        self._slots: dict[Source, _Slots] = {}
        self._sources: dict[str, dict[Selector, Source]] = {}
        self._sums: dict[str, dict[Need, Running]] = {}
        self._end = 0
        self._forgot = 0
        self._kept_s = 0
        self.set_rules(rules)

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics that some rule reads."""
        return self._metrics

    @property
    def kept_s(self) -> int:
        """How far back from the open slot data are of use, in seconds."""
        return self._kept_s

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Follow other rules from now on; what is held for those that stay is kept.

        Where a new rule needs what no other did, the frames are read once more.
        """
        self._sources = {
            rule.name: {one.selector: source_of(rule, one.selector) for one in found}
            for rule in rules
            if (found := comparisons_of(rule))
        }
        wanted = {source for found in self._sources.values() for source in found.values()}
        # A window that grows needs slots that were let go.
        kept_s = self._needed_s(rules)
        if wanted - self._slots.keys() or kept_s > self._kept_s:
            self._slots = {source: _Slots(source) for source in wanted}
            self._read, self._written = set(), set()
        self._slots = {source: self._slots[source] for source in wanted}
        self._kept_s = kept_s
        self._metrics = frozenset(name for source in wanted for name in source.metrics)
        self._sum_up(rules)

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
        if not self._slots:
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
        self.move(now)
        for frame in [*frames, *own]:
            if self.add(frame) and pause is not None:
                pause()
        return len(frames) + len(own)

    def move(self, now: float) -> None:
        """Let every window end now, and forget what has left all of them."""
        self._end = end = slot_start(now, self._slot_s) + self._slot_s
        for slots in self._slots.values():
            for running in slots.sums.values():
                running.move(end, slots.by_slot)
        self.forget(before=end - self._slot_s - self._kept_s)

    def add(self, frame: Frame) -> bool:
        """Take in a frame, wherever it comes from; False, and nothing is done, if it is known."""
        key = frame.key
        if key in self._read:
            return False
        self._read.add(key)
        self._written.add(key.start)
        by_metric: dict[str, list[Series]] = {}
        for series in frame.values:
            if series.metric in self._metrics:
                by_metric.setdefault(series.metric, []).append(series)
        born = self.born.get(key.worker)
        for source, slots in self._slots.items():
            give_way()
            if source.warmup_s and born is not None and key.start < born + source.warmup_s:
                continue
            among = [one for metric in source.metrics for one in by_metric.get(metric, ())]
            if among:
                slots.count(frame, among)
        return True

    def forget(self, *, before: int) -> None:
        """Drop the slots that start before a moment, and groups that have none left."""
        if not 0 <= before - self._forgot < FORGET_EVERY * self._slot_s:
            # What was read or written earlier is of no use, and does no harm.
            self._read = {key for key in self._read if key.start >= before}
            self._written = {start for start in self._written if start >= before}
            self._forgot = before
        for slots in self._slots.values():
            slots.forget(before)

    def groups(self, rule: str) -> dict[str, dict[str, str]]:
        """Return the groups that have data: canonical text → labels."""
        found: dict[str, dict[str, str]] = {}
        for source in self._sources.get(rule, {}).values():
            slots = self._slots[source]
            for group in slots.used:
                if group not in found:
                    found[group] = dict(slots.meter.groups.get(group, ()))
        return found

    def suspects(self, rule: Rule) -> Collection[str] | None:
        """Return the groups on which a rule's condition may be true now; None: any of them."""
        return suspects(rule, self._sums.get(rule.name, {}), slot_s=self._slot_s)

    def sums(self, rule: str) -> Mapping[Need, Running]:
        """Return the sums by which a rule's groups are chosen."""
        return self._sums.get(rule, {})

    def slot(self, rule: str, selector: Selector, start: int) -> Mapping[str, Tally]:
        """Return what was counted in one slot of what a rule measures, by group."""
        return self._slots[self._sources[rule][selector]].by_slot.get(start, {})

    def labels(self, rule: Rule, group: str) -> dict[str, str]:
        """Return the labels of a group with data."""
        for source in self._sources.get(rule.name, {}).values():
            labels = self._slots[source].meter.groups.get(group)
            if labels is not None:
                return dict(labels)
        return {}

    def size(self, rule: Rule, group: str) -> float:
        """Return how much of a group is bad, to tell the largest of many."""
        return size(rule, group, self._sums.get(rule.name, {}))

    def windows(self, rule: str, group: str) -> dict[Selector, Window]:
        """Return what is known of one group by what the rule measures; it may be nothing."""
        found: dict[Source, Window] = {}
        by_selector: dict[Selector, Window] = {}
        for selector, source in self._sources.get(rule, {}).items():
            if source not in found:
                tallies = {
                    start: tally
                    for start, groups in self._slots[source].by_slot.items()
                    if (tally := groups.get(group)) is not None
                }
                found[source] = Window(tallies=tallies, written=self._written)
            by_selector[selector] = found[source]
        return by_selector

    def window(self, rule: str, group: str) -> Window:
        """Return what is known of one group of a rule that measures one thing."""
        return next(iter(self.windows(rule, group).values()), Window())

    def _sum_up(self, rules: Sequence[Rule]) -> None:
        """Keep the sums that rules need, and begin those that are new."""
        self._sums = {}
        wanted: dict[Need, Running] = {}
        for rule in rules:
            mine = self._sums[rule.name] = {}
            for need in needs(rule):
                source, window_s, limit = need
                if need not in wanted:
                    slots = self._slots[source]
                    running = slots.sums.get(need) or Running(window_s, self._slot_s, limit)
                    wanted[need] = running
                mine[need] = wanted[need]
        for source, slots in self._slots.items():
            slots.sums = {need: one for need, one in wanted.items() if need[0] == source}
            for running in slots.sums.values():
                if self._end:
                    running.move(self._end, slots.by_slot)

    def _needed_s(self, rules: Sequence[Rule]) -> int:
        windows = [window_s for rule in rules for window_s in rule.over_s]
        longest = max(
            (window_s if window_s <= LONG_S else LONG_HELD_S for window_s in windows), default=0.0
        )
        return (window_slots(longest, self._slot_s) + MAX_WAIT_SLOTS) * self._slot_s
