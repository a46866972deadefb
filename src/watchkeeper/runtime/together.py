"""Saving what changed of one rule together: when all routes begin to fail, few transactions."""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Final

from watchkeeper.core.instance import Transition
from watchkeeper.runtime.incidents import Decided, Incidents
from watchkeeper.runtime.subjects import Judged
from watchkeeper.storage.store import AlertRow

TOGETHER_FROM: Final = 3  # fewer are saved one by one, as cheaply

Rows = MutableMapping[tuple[str, str], AlertRow]


def save_together(
    many: Sequence[tuple[Judged, Decided]],
    rows: Rows,
    incidents: Incidents,
    *,
    now: float,
    attempt: Callable[[Callable[[], None]], object],
    read: Callable[[], Rows],
    alone: Callable[[Judged], list[Transition] | None],
) -> Iterator[list[Transition] | None]:
    """Save transitions; yield what came of each, None if it failed. `rows` are kept up to date.

    Where another worker was faster, and where saving many fails for what is wrong with one of
    them, each of those that are left is decided once more, and saved `alone`. `attempt` runs what
    may fail; `read` reads the states anew.
    """
    saved: dict[tuple[str, str], AlertRow] = {}

    def save() -> None:
        for _, row in incidents.save_together([one for _, one in many], now=now):
            if row is not None:
                saved[row.rule, row.group] = row

    if len(many) >= TOGETHER_FROM:
        attempt(save)
        if len(saved) < len(many):
            rows.update(read())
    rows.update(saved)
    for judged, decided in many:
        if (decided.subject.name, decided.subject.group) in saved:
            yield [decided.transition]
        else:
            yield alone(judged)
