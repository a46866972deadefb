"""What the occurrences of one group of errors are told apart by: call paths, routes, users."""

from collections.abc import Iterable, Mapping
from typing import Final

from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.known import Known

MAX_TRACES: Final = 100  # of one group and slot; further ones count to the first
MAX_ROUTES: Final = 50  # of one group, path and slot; further ones are left out
MAX_USERS: Final = 1_000
MAX_ENTRIES: Final = 50_000  # traces, routes and users of all groups of a slot: about 8 MB

_PATH: Final = guard("call path")


class Room:
    """How many entries all groups of a slot may still make."""

    __slots__ = ("left",)

    def __init__(self, entries: int = MAX_ENTRIES) -> None:
        """Begin with so many."""
        self.left = entries

    def take(self) -> bool:
        """Take room for one entry, if there is some."""
        self.left -= 1
        return self.left >= 0


class Part:
    """What one distinct trace, or one call path, counted. Moments are seconds since the epoch."""

    __slots__ = ("count", "first_at", "last_at", "routes", "users")

    def __init__(self, at: float) -> None:
        """Begin with nothing, at the moment of the first occurrence."""
        self.count = 0
        self.first_at = at
        self.last_at = at
        self.routes: dict[tuple[str, str], int] = {}  # (method, route) → how often
        self.users: set[str] = set()  # hashes

    def add(
        self, at: float, *, method: str, route: str, user: str, room: Room, times: int = 1
    ) -> None:
        """Count an occurrence, or several that are equal in this; "" for none."""
        self.count += times
        if at > self.last_at:  # one that comes late is older
            self.last_at = at
        if route:
            known = self.routes.get((method, route))
            if known is not None:
                self.routes[method, route] = known + times
            elif len(self.routes) < MAX_ROUTES and room.take():
                self.routes[method, route] = times
        if user and user not in self.users and len(self.users) < MAX_USERS and room.take():
            self.users.add(user)

    def join(self, other: "Part") -> None:
        """Count another one in."""
        self.count += other.count
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)
        for route, count in other.routes.items():
            if route in self.routes or len(self.routes) < MAX_ROUTES:
                self.routes[route] = self.routes.get(route, 0) + count
        self.users.update(sorted(other.users)[: MAX_USERS - len(self.users)])

    def told(self) -> dict[str, int]:
        """Return how often it happened on each route, "GET /orders/{id}"."""
        return {
            f"{method} {route}".strip(): count for (method, route), count in self.routes.items()
        }


class Parts:
    """The parts of one group, by trace."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        """Begin with none."""
        self._of: dict[Known, Part] = {}

    def part(self, known: Known, at: float, room: Room) -> Part:
        """Return the part of a trace; without room for one more, the first."""
        part = self._of.get(known)
        if part is None:
            if self._of and (len(self._of) >= MAX_TRACES or not room.take()):
                return next(iter(self._of.values()))
            part = self._of[known] = Part(at)
        return part

    def join(self, other: "Parts") -> None:
        """Take in the parts of a group that turned out to be the same."""
        for known, part in other._of.items():
            if known in self._of:
                self._of[known].join(part)
            else:
                self._of[known] = part

    def by_path(self) -> dict[str, Part]:
        """Return the parts by call path; may read source files: not for a request."""
        paths: dict[str, Part] = {}
        for known, part in self._of.items():
            path = ""  # of one that cannot be computed, which counts all the same
            with _PATH:
                path = known.settle().path
            if path in paths:
                paths[path].join(part)
            else:
                paths[path] = part
        return paths


def joined_routes(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up how often something happened on each route, as far as there is room."""
    routes: dict[str, int] = {}
    for one in counts:
        for route, count in one.items():
            if route in routes or len(routes) < MAX_ROUTES:
                routes[route] = routes.get(route, 0) + count
    return routes
