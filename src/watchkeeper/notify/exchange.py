"""One HTTP exchange under one time-out for all of it; loaded when the first message is sent."""

import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import Final, cast

from watchkeeper.notify.address import Address

MAX_ANSWER_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the body's first bytes were read and dropped."""

    status: int
    retry_after: str


def post(address: Address, *, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
    """Send one POST and return its answer.

    Follows no redirect, asks no proxy. Raises OSError (TimeoutError when `timeout_s` is over for
    the exchange as a whole) or HTTPException. Looking up the name is the resolver's own time.
    """
    deadline = monotonic() + timeout_s
    connection = _connect(address, deadline)
    with connection:
        _send(connection, _head(address, headers, len(body)) + body, deadline)
        source = cast("socket.socket", _Source(connection, deadline))
        with HTTPResponse(source, method="POST") as response:
            response.begin()
            answer = Answer(
                status=response.status, retry_after=response.headers.get("Retry-After") or ""
            )
            _drop(response)
            return answer


def _connect(address: Address, deadline: float) -> socket.socket:
    """Try each address of the host within what is left of the time."""
    last: OSError = OSError("the name has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(place)
            if not address.secure:
                return connection
            context = ssl.create_default_context()
            connection.settimeout(_left(deadline))
            return context.wrap_socket(connection, server_hostname=address.host)
        except OSError as error:
            connection.close()
            last = error
    raise last


def _head(address: Address, headers: Mapping[str, str], length: int) -> bytes:
    usual = address.port == (443 if address.secure else 80)
    host = address.shown.rpartition(":")[0] if usual else address.shown
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {length}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(connection: socket.socket, data: bytes, deadline: float) -> None:
    rest = memoryview(data)
    while rest:
        connection.settimeout(_left(deadline))
        rest = rest[connection.send(rest) :]


def _drop(response: HTTPResponse) -> None:
    """Read a little, so that the other side can finish; the status stands whatever comes."""
    try:
        response.read(MAX_ANSWER_BYTES)
    except (OSError, HTTPException):
        return


def _left(deadline: float) -> float:
    """Return the seconds left. Raises TimeoutError if there are none."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Source(io.RawIOBase):
    """A socket's incoming side, each read of which gets only what is left of the time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """Say that this can be read, as io asks."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # io's Buffer is too wide
        """Read what is there, or wait for it until the deadline."""
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Hand out the buffered stream that HTTPResponse asks a socket for."""
        return io.BufferedReader(self)
