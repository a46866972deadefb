"""The lifespan of an ASGI server: when watching starts, drains and stops."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from watchkeeper.app import Watchkeeper
from watchkeeper.runtime.guard import guard

Message = MutableMapping[str, Any]

_GUARD: Final = guard("lifespan")
_END: Final = "lifespan.shutdown.complete"


class Lifespan:
    """Listens to the messages between server and application, and passes each on untouched."""

    def __init__(
        self,
        watchkeeper: Watchkeeper,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Listen to one lifespan."""
        self._watchkeeper = watchkeeper
        self._receive = receive
        self._send = send
        self._takes_part = False

    async def receive(self) -> Message:
        """Start with the application; be no longer ready as soon as it begins to shut down."""
        self._takes_part = True
        message = await self._receive()
        with _GUARD:
            if message["type"] == "lifespan.startup":
                self._watchkeeper.start()
            elif message["type"] == "lifespan.shutdown":
                self._watchkeeper.drain()
        return message

    async def send(self, message: Message) -> None:
        """Stop when the application has shut down, so that its last deeds are written too.

        Where that fails the exception is still to come: the end of the process writes it.
        """
        if message["type"] == _END:
            with _GUARD:
                await _in_thread(self._watchkeeper.stop)
        await self._send(message)

    def failed(self, exc: BaseException) -> None:
        """Record that the application raised.

        One that has not asked for a message refuses the protocol, as ASGI tells it to do.
        """
        if self._takes_part:
            self._watchkeeper.capture(exc)


async def _in_thread(function: Callable[[], None]) -> None:
    """Run blocking work outside of the event loop; on a loop other than asyncio's, within."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        function()
    else:
        await asyncio.to_thread(function)
