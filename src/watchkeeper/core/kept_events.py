"""Which stored events of an issue are kept when there are too many."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_EVENTS: Final = 50  # kept per issue


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMark:
    """What decides whether an event is kept. `at` is in seconds since the epoch."""

    id: str
    at: float
    route: str
    release: str


def kept(marks: Iterable[EventMark], *, most: int = MAX_EVENTS) -> frozenset[str]:
    """Choose at most `most` events, `most` ≥ 2; return their ids. All, if there are no more.

    The first and the last stay, then in half of the room the latest of each release and the
    latest of each route, those seen last coming first; the room that is left is spread evenly
    over the time between first and last, whenever most of the events happened.
    """
    ordered = sorted(marks, key=lambda one: (one.at, one.id))
    if len(ordered) <= most:
        return frozenset(one.id for one in ordered)
    chosen = {0, len(ordered) - 1}
    least_spread = (most - len(chosen)) // 2
    for at in _latest_of_each(ordered):
        if len(chosen) >= most - least_spread:
            break
        chosen.add(at)
    chosen.update(_spread(ordered, chosen, most - len(chosen)))
    return frozenset(ordered[at].id for at in chosen)


def _latest_of_each(ordered: Sequence[EventMark]) -> list[int]:
    """Return where the latest event of each release is, then of each route, the latest first."""
    found: dict[tuple[str, str], int] = {}
    for kind in ("release", "route"):
        for at in range(len(ordered) - 1, -1, -1):
            found.setdefault((kind, getattr(ordered[at], kind)), at)
    return list(dict.fromkeys(found.values()))


def _spread(ordered: Sequence[EventMark], chosen: set[int], room: int) -> list[int]:
    """Choose as many further events, each the nearest to one of as many even moments."""
    first, last = ordered[0].at, ordered[-1].at
    free = [at for at in range(len(ordered)) if at not in chosen]
    moments = [ordered[at].at for at in free]
    spread = []
    for number in range(1, room + 1):
        moment = first + (last - first) * number / (room + 1)
        place = bisect_left(moments, moment)
        before_is_nearer = place > 0 and (
            place == len(moments) or moment - moments[place - 1] <= moments[place] - moment
        )
        place -= before_is_nearer
        spread.append(free.pop(place))
        del moments[place]
    return spread
