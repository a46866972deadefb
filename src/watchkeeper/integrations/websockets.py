"""Websocket connections, counted apart from requests: how many, how long, how many messages."""

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from watchkeeper.core.catalogue import (
    WEBSOCKET_CONNECTIONS,
    WEBSOCKET_DURATION,
    WEBSOCKET_MESSAGES,
)
from watchkeeper.runtime.recorder import Recorder

Message = MutableMapping[str, Any]


class Connection:
    """One connection, whose messages pass untouched."""

    __slots__ = ("_receive", "_recorder", "_send", "_start", "received", "sent")

    def __init__(
        self,
        recorder: Recorder,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Begin, and count the connection, accepted or refused."""
        recorder.series(WEBSOCKET_CONNECTIONS).record(1)
        self._recorder = recorder
        self._receive = receive
        self._send = send
        self._start = perf_counter()
        self.received = 0
        self.sent = 0

    async def receive(self) -> Message:
        """Pass a message of the client's on."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self.received += 1
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message of the application's on."""
        if message["type"] == "websocket.send":
            self.sent += 1
        return self._send(message)

    def ended(self, route: str) -> None:
        """Record how long it was and how many messages it carried."""
        series = self._recorder.series
        series(WEBSOCKET_DURATION, {"route": route}).record(perf_counter() - self._start)
        for direction, count in (("in", self.received), ("out", self.sent)):
            if count:
                labels = {"direction": direction, "route": route}
                series(WEBSOCKET_MESSAGES, labels).record(count)
