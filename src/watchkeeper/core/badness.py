"""What counts as a bad request: by status, exception or duration; everywhere or on one route."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from watchkeeper.core.units import parse_duration
from watchkeeper.exceptions import ConfigurationError

SERVER_ERRORS: Final = frozenset(range(500, 600))
ROUTE_KEYS: Final = ("bad_statuses", "expected_exceptions", "bad_above")
MAX_EXPECTED: Final = 100

Judge = Callable[[BaseException], bool]

_STATUSES: Final = range(100, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Badness:
    """When a request is bad: one of `statuses`, or longer than `above_s`, unless expected.

    `expected` holds the full names of exceptions ("shop.errors.SoldOut"); their subclasses are
    expected as well, and so is what one of the `judges`, the user's functions, says yes to.
    """

    statuses: frozenset[int] = SERVER_ERRORS
    expected: frozenset[str] = frozenset()
    judges: tuple[Judge, ...] = ()
    above_s: float = inf

    def is_bad(self, status: int, seconds: float) -> bool:
        """Tell whether a request with this answer is bad."""
        return status in self.statuses or seconds > self.above_s

    def expects(self, exc: BaseException) -> bool:
        """Tell whether an exception is an expected one: neither an issue nor a bad request.

        Raises what a judge raises.
        """
        if self.expected and not self.expected.isdisjoint(
            f"{kind.__module__}.{kind.__qualname__}" for kind in type(exc).__mro__
        ):
            return True
        return any(judge(exc) for judge in self.judges)


NORMAL: Final = Badness()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadnessRules:
    """What is bad everywhere, and on the routes that say otherwise."""

    everywhere: Badness = NORMAL
    routes: Mapping[str, Badness] = field(default_factory=dict)
    expect_any: bool = field(init=False)  # whether any exception is expected anywhere

    def __post_init__(self) -> None:
        """Work out once what is asked at each error."""
        rules = (self.everywhere, *self.routes.values())
        object.__setattr__(self, "expect_any", any(one.expected or one.judges for one in rules))

    def of(self, route: str) -> Badness:
        """Return what is bad on a route, by its template."""
        return self.routes.get(route, self.everywhere)


def badness_rules(
    *,
    statuses: Sequence[object],
    expected: Sequence[object],
    above: str,
    routes: Mapping[str, Any],
) -> BadnessRules:
    """Read the settings; what a route does not say is as everywhere.

    Raises ConfigurationError naming the key.
    """
    everywhere = Badness(
        statuses=_statuses(statuses, where="bad_statuses"),
        expected=_names(expected, where="expected_exceptions"),
        judges=_judges(expected),
        above_s=_seconds(above, where="bad_above"),
    )
    return BadnessRules(
        everywhere=everywhere,
        routes={route: _of_route(route, own, everywhere) for route, own in routes.items()},
    )


def _of_route(route: str, own: Any, everywhere: Badness) -> Badness:
    where = f"routes.{route}"
    if not isinstance(own, Mapping):
        raise ConfigurationError(f'{where}: write a table: {{"bad_above": "2s"}}')
    for key in own:
        if key not in ROUTE_KEYS:
            raise ConfigurationError(f"{where}.{key}: unknown; known: {', '.join(ROUTE_KEYS)}")
    return Badness(
        statuses=_statuses(own["bad_statuses"], where=f"{where}.bad_statuses")
        if "bad_statuses" in own
        else everywhere.statuses,
        expected=_names(own["expected_exceptions"], where=f"{where}.expected_exceptions")
        if "expected_exceptions" in own
        else everywhere.expected,
        judges=_judges(own["expected_exceptions"])
        if "expected_exceptions" in own
        else everywhere.judges,
        above_s=_seconds(own["bad_above"], where=f"{where}.bad_above")
        if "bad_above" in own
        else everywhere.above_s,
    )


def _statuses(given: object, *, where: str) -> frozenset[int]:
    """Read statuses: whole classes as "5xx", single ones as 429."""
    found: set[int] = set()
    for one in _sequence(given, where=where, example='["5xx", 429]'):
        text = str(one)
        if len(text) == 3 and text[0] in "12345" and text[1:].lower() == "xx":
            first = int(text[0]) * 100
            found.update(range(first, first + 100))
        elif len(text) == 3 and text.isascii() and text.isdigit() and int(text) in _STATUSES:
            found.add(int(text))
        else:
            raise ConfigurationError(f'{where}: {text:.20} is no status; write "5xx" or 429')
    return frozenset(found)


def _names(given: object, *, where: str) -> frozenset[str]:
    """Read exceptions, given as classes or by their full names."""
    names: set[str] = set()
    for one in _sequence(given, where=where, example='["shop.errors.SoldOut"]'):
        if isinstance(one, type) and issubclass(one, BaseException):
            names.add(f"{one.__module__}.{one.__qualname__}")
        elif isinstance(one, str) and all(part.isidentifier() for part in one.split(".")):
            names.add(one if "." in one else f"builtins.{one}")
        elif isinstance(one, type) or not callable(one):
            raise ConfigurationError(
                f"{where}: {one!r:.80} is no exception; write the class, or its full name as "
                "shop.errors.SoldOut, or a function that is given the exception"
            )
    if len(names) > MAX_EXPECTED:
        raise ConfigurationError(f"{where}: at most {MAX_EXPECTED}, not {len(names)}")
    return frozenset(names)


def _judges(given: Sequence[object]) -> tuple[Judge, ...]:
    """Pick the functions among what was given, which is checked by now."""
    return tuple(one for one in given if callable(one) and not isinstance(one, type))


def _seconds(given: object, *, where: str) -> float:
    if given == "":
        return inf
    if not isinstance(given, str):
        raise ConfigurationError(f"{where}: {given!r:.80} needs a unit: '2s'")
    return parse_duration(given, where=where)


def _sequence(given: object, *, where: str, example: str) -> Iterable[object]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigurationError(f"{where}: write a list: {example}")
    return given
