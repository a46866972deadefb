"""The body of a WSGI response on its way out, so that its end, close or failure is seen."""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, Final, Protocol

from watchkeeper.runtime.guard import guard

MAX_UNSIZED: Final = 100

UNSIZED: Final[set[type]] = set()
"""Types of bodies that are known to have no length: asking takes time."""

_GUARD: Final = guard("request")


class Ending(Protocol):
    """The exchange that a body belongs to."""

    start: float
    complete: bool

    def finished(self) -> None:
        """Record the end of the response, once; never raises."""

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised."""

    def streams(self, first_byte_s: float) -> None:
        """Note when the first part of a body was there that comes in several."""


class Body:
    """A response's body: finished at its end, its close or its failure."""

    __slots__ = ("exchange", "result")

    exchange: Ending
    result: Iterable[bytes]  # the application's

    def __init__(self, result: Iterable[bytes], exchange: Ending) -> None:
        """Stand for `result`; its fields may as well be set by who makes it."""
        self.exchange = exchange
        self.result = result

    def __iter__(self) -> Iterator[bytes]:
        exchange = self.exchange
        blocks = 0
        first_s = 0.0
        try:
            for block in self.result:
                blocks += 1
                if blocks == 1:
                    first_s = perf_counter() - exchange.start
                elif blocks == 2:
                    exchange.streams(first_s)
                yield block
        except GeneratorExit:  # dropped half-way: its end is the close, or this object's
            raise
        except BaseException as exc:
            with _GUARD:
                exchange.failed(exc)
            raise
        if not exchange.complete:
            exchange.finished()

    def close(self) -> None:
        """Close the application's body."""
        close = getattr(self.result, "close", None)
        if close is not None:
            try:
                close()
            except BaseException as exc:
                with _GUARD:
                    self.exchange.failed(exc)
                raise
        if not self.exchange.complete:
            self.exchange.finished()

    def __del__(self) -> None:
        # Neither exhausted nor closed, as test clients like to do: it ends when it is dropped.
        if not self.exchange.complete:
            self.exchange.finished()


class SizedBody(Body):
    """A body whose number of blocks is known, from which a server may tell Content-Length."""

    __slots__ = ("_size",)

    def __init__(self, result: Iterable[bytes], exchange: Ending) -> None:
        """Stand for `result`, whose length is asked for when it is wanted."""
        super().__init__(result, exchange)
        self._size: Callable[[], int] = result.__len__  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return self._size()


def watched(result: Iterable[bytes], exchange: Ending, environ: dict[str, Any]) -> Iterable[bytes]:
    """Return the body so that its end is seen; what is complete already goes on as it is."""
    kind = type(result)
    if kind in UNSIZED:
        return Body(result, exchange)
    if kind is list or kind is tuple or kind is environ.get("wsgi.file_wrapper"):
        # The response is made; sending it, with sendfile for a file, is the server's business.
        exchange.finished()
        return result
    if hasattr(result, "__len__"):
        return SizedBody(result, exchange)
    if len(UNSIZED) < MAX_UNSIZED:
        UNSIZED.add(kind)
    return Body(result, exchange)
