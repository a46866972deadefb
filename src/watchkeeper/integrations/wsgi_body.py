"""The body of a WSGI response on its way out, so that its end, close or failure is seen."""

from collections.abc import Iterable, Iterator
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
    """A response's body: finished at its end, its close or its failure.

    Its fields are set by who makes it, without an `__init__`: see `Record`.
    """

    __slots__ = ("blocks", "exchange", "result")

    blocks: Iterator[bytes]  # see `passing`
    exchange: Ending
    result: Iterable[bytes]  # the application's

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

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


def passing(result: Iterable[bytes], exchange: Ending) -> Iterator[bytes]:
    """Pass blocks on after a first one of nothing, which is for who makes this, not to be sent.

    So it runs already when it is handed out, and sees it when it is dropped: neither exhausted
    nor closed, as test clients like to do. A `__del__` would be called for every request.
    """
    blocks = 0
    first_s = 0.0
    try:
        yield b""
        for block in result:
            blocks += 1
            if blocks == 1:
                first_s = perf_counter() - exchange.start
            elif blocks == 2:
                exchange.streams(first_s)
            yield block
    except GeneratorExit:
        exchange.finished()
        raise
    except BaseException as exc:
        with _GUARD:
            exchange.failed(exc)
        raise
    if not exchange.complete:
        exchange.finished()


class SizedBody(Body):
    """A body whose number of blocks is known, from which a server may tell Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.result)  # type: ignore[arg-type]


def watched(result: Iterable[bytes], exchange: Ending, environ: dict[str, Any]) -> Iterable[bytes]:
    """Return the body so that its end is seen; what is complete already goes on as it is."""
    kind = type(result)
    if kind is list or kind is tuple or kind is environ.get("wsgi.file_wrapper"):
        # The response is made; sending it, with sendfile for a file, is the server's business.
        exchange.finished()
        return result
    is_sized = hasattr(result, "__len__")
    if not is_sized and len(UNSIZED) < MAX_UNSIZED:
        UNSIZED.add(kind)
    body = SizedBody() if is_sized else Body()
    body.exchange = exchange
    body.result = result
    body.blocks = blocks = passing(result, exchange)
    next(blocks)
    return body
