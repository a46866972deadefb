"""Spans: the time of named parts of the host's own code, alone and within a request or job."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import bound
from watchkeeper.runtime.record import current

P = ParamSpec("P")
R = TypeVar("R")

_GUARD: Final = guard("span")


class Span:
    """A named part of the code being timed: a `with` block, or each call of a function.

    As a `with` block one object times one block at a time; as a decorator any number of calls.
    """

    __slots__ = ("_name", "_start")

    def __init__(self, name: str) -> None:
        """Name the part."""
        self._name = name
        self._start = 0.0

    def __enter__(self) -> None:
        """Start the clock."""
        self._start = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Record the seconds that passed; an exception goes on as it came."""
        _record(self._name, self._start)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, plain or async, with each of its calls timed."""
        return _timed(function, self._name)


def span(name: str) -> Span:
    """Time a part of the code: `with span("pricing"): …`, in plain and in async code.

    Recorded as `span_duration_seconds{span="pricing"}`; within a request or job it is part of
    what is shown of it. Names are few and fixed: what varies belongs into a tag. Does nothing
    before `watch` and never raises.
    """
    return Span(name)


@overload
def timed(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def timed(name: str, /) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def timed(what: Callable[..., Any] | str, /) -> Callable[..., Any]:
    """Time each call of a function, plain or async, as a span: `@timed` or `@timed("pricing")`.

    Without a name the span is called as the function is, with its module: "shop.cart.total".
    Raises ConfigurationError for what is not a function, and for a generator: its call returns
    before any of its work is done.
    """
    if isinstance(what, str):
        return Span(what)
    return _timed(what, described(what))


def described(function: object) -> str:
    """Return a function's name with its module's."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or '?'}.{name}"


def refuse_non_functions(function: object, decorator: str) -> None:
    """Raise ConfigurationError for what a decorator that times calls cannot be put on."""
    if isinstance(function, (staticmethod, classmethod)):
        kind = type(function).__name__
        raise ConfigurationError(
            f"{decorator}: put it below @{kind}, right above {described(function)}"
        )
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(f"{decorator}: {function!r:.80} is not a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"{decorator}: {described(function)} is a generator, whose call returns before its "
            "work is done; use a `with` block inside of it"
        )


def _timed(function: Callable[P, R], name: str) -> Callable[P, R]:
    refuse_non_functions(function, "watchkeeper.timed")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            start = perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                _record(name, start)

        return cast("Callable[P, R]", awaited)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        start = perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            _record(name, start)

    return called


def _record(name: str, start: float) -> None:
    """Record a span that ends now; on the way of every span, hence without detours."""
    seconds = perf_counter() - start
    observer = bound()
    if observer is None:
        return
    with _GUARD:
        operation = observer.own(name)
        operation.series[0].record(seconds)
        record = current.get()
        if record is not None:
            record.add(operation, start, seconds)
