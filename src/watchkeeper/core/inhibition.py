"""Inhibition: what fires because something else does, and is therefore not told."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from watchkeeper.core.silences import rank

Key = tuple[str, str]
"""Rule and group of an instance."""

_CRITICAL: Final = "critical"
_WARNING: Final = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One instance that fires."""

    rule: str
    group: str
    severity: str
    labels: Mapping[str, str] = field(default_factory=dict)


def inhibited(
    firing: Sequence[Firing],
    *,
    quiet_while: Mapping[str, Collection[str]],
    together: Collection[str],
) -> dict[Key, str]:
    """Return which instances are explained by another rule that fires, and by which.

    `quiet_while` names the causes of a rule: an instance of one explains those whose labels do
    not differ from its own where both have them. Among the rules `together`, one that is critical
    explains a warning on the same labels. Of rules that explain each other the worse one (then
    the first by name) is told, so that never all of them are silent.
    """
    by_rule: dict[str, list[Firing]] = defaultdict(list)
    for one in firing:
        by_rule[one.rule].append(one)
    critical = {
        one.group: one.rule
        for one in sorted(firing, key=lambda one: one.rule, reverse=True)
        if one.severity == _CRITICAL and one.rule in together
    }
    causes = _Causes(quiet_while, together=[name for name in by_rule if name in together])
    found: dict[Key, str] = {}
    for one in firing:
        cause = _cause(one, by_rule, causes)
        if cause is None and one.severity == _WARNING and one.rule in together:
            cause = critical.get(one.group)
        if cause is not None:
            found[one.rule, one.group] = cause
    return found


def _cause(one: Firing, by_rule: Mapping[str, Iterable[Firing]], causes: "_Causes") -> str | None:
    for name in causes.named(one.rule):
        for other in by_rule.get(name, ()):
            if not _agree(one.labels, other.labels):
                continue
            # Where the two explain each other, only the worse one explains.
            if _outranks(one, other) and causes.reach(name, one.rule):
                continue
            return name
    return None


class _Causes:
    """Which rules explain which, directly and through others."""

    def __init__(
        self, quiet_while: Mapping[str, Collection[str]], *, together: Collection[str]
    ) -> None:
        self._named = {rule: tuple(names) for rule, names in quiet_while.items() if names}
        self._together = frozenset(together)

    def named(self, rule: str) -> tuple[str, ...]:
        return tuple(name for name in self._named.get(rule, ()) if name != rule)

    def reach(self, rule: str, cause: str) -> bool:
        """Tell whether `cause` may explain `rule`, if through others."""
        waiting, seen = [rule], set[str]()
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            nearest = {*self.named(one), *(self._together if one in self._together else ())}
            if cause in nearest:
                return True
            waiting.extend(nearest)
        return False


def _outranks(one: Firing, other: Firing) -> bool:
    return (-rank(one.severity), one.rule) < (-rank(other.severity), other.rule)


def _agree(labels: Mapping[str, str], others: Mapping[str, str]) -> bool:
    return all(others[name] == value for name, value in labels.items() if name in others)
