"""An independent timer inside the shop's process, to compare Watchkeeper's figures with."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any, Final

MAX_TIMES: Final = 200_000  # 8 bytes each and some; a round has a few thousand

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Stopwatch:
    """Times each request from the call to the last part of its body, outside of everything."""

    def __init__(self, app: App, *, skip: str) -> None:
        """Wrap an ASGI application; paths that begin with `skip` are not timed."""
        self.times_s: list[float] = []
        self._app = app
        self._skip = skip

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass everything through and take the time."""
        if scope["type"] != "http" or scope["path"].startswith(self._skip):
            await self._app(scope, receive, send)
            return
        started = perf_counter()

        async def sent(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._take(perf_counter() - started)

        await self._app(scope, receive, sent)

    def _take(self, seconds: float) -> None:
        if len(self.times_s) < MAX_TIMES:
            self.times_s.append(seconds)


def exact_quantile(values: Sequence[float], q: float) -> float:
    """Return the value of rank `q` (count - 1), rounded down, among the sorted values.

    Raises ValueError without values.
    """
    if not values:
        raise ValueError("there is no quantile of nothing")
    return sorted(values)[int(q * (len(values) - 1))]
