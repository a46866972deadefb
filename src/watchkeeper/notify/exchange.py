"""One HTTP exchange under one time-out for all of it; loaded when the first message is sent."""

import io
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import Any, Final, cast

from watchkeeper.notify.address import Address

MAX_ANSWER_BYTES: Final = 4_096  # of the body
MAX_READ_BYTES: Final = 262_144  # of all: there may be any number of "100 Continue" before it

Place = tuple[socket.AddressFamily, Any]  # what a socket of the family connects to
Resolver = Callable[[str, int], Sequence[Place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the body's first bytes were read and dropped."""

    status: int
    retry_after: str


def look_up(host: str, port: int) -> Sequence[Place]:
    """Ask the system's resolver for the places of a name, in the order to be tried."""
    return [
        (family, place)
        for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]


def post(
    address: Address,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    resolve: Resolver = look_up,
) -> Answer:
    """Send one POST and return its answer.

    Follows no redirect, asks no proxy. The name is resolved once, and nothing else is connected
    to than what `resolve` returned. Raises OSError (TimeoutError when `timeout_s` is over for the
    exchange as a whole) or HTTPException. Looking up the name is the resolver's own time.
    """
    deadline = monotonic() + timeout_s
    with exchange(
        address, method="POST", headers=headers, body=body, deadline=deadline, resolve=resolve
    ) as (response, _):
        answer = Answer(
            status=response.status, retry_after=response.headers.get("Retry-After") or ""
        )
        _drop(response)
        return answer


@contextmanager
def exchange(
    address: Address,
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    deadline: float,
    resolve: Resolver = look_up,
    context: ssl.SSLContext | None = None,
) -> Iterator[tuple[HTTPResponse, socket.socket]]:
    """Send one request; yield the answer, of which the head is read, and the connection.

    Follows no redirect, asks no proxy. `deadline` is a moment of the monotonic clock, for all that
    is read of the answer, too. Raises OSError or HTTPException. Closes on any path.
    """
    connection = connect(
        address.host,
        address.port,
        secure=address.secure,
        deadline=deadline,
        resolve=resolve,
        context=context,
    )
    with connection:
        head = _head(address, headers, method=method, length=len(body))
        send_all(connection, head + body, deadline)
        source = cast("socket.socket", Source(connection, deadline))
        with HTTPResponse(source, method=method) as response:
            response.begin()
            yield response, connection


def connect(
    host: str,
    port: int,
    *,
    secure: bool,
    deadline: float,
    resolve: Resolver = look_up,
    context: ssl.SSLContext | None = None,
    name: str = "",
) -> socket.socket:
    """Try each place of the host within what is left of the time, by TLS if `secure`.

    The certificate is checked against `name`, else `host`, whatever place the connection went to.
    `deadline` is a moment of the monotonic clock. Raises OSError.
    """
    last: OSError = OSError("the name has no address")
    for family, place in resolve(host, port):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(left_s(deadline))
            connection.connect(place)
            if not secure:
                return connection
            trust = context or ssl.create_default_context()
            connection.settimeout(left_s(deadline))
            return trust.wrap_socket(connection, server_hostname=name or host)
        except OSError as error:
            connection.close()
            last = error
        except ValueError:  # a name that TLS cannot ask for
            connection.close()
            raise
    raise last


def _head(address: Address, headers: Mapping[str, str], *, method: str, length: int) -> bytes:
    usual = address.port == (443 if address.secure else 80)
    host = address.shown.rpartition(":")[0] if usual else address.shown
    lines = [
        f"{method} {address.path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers.items()),
        *([f"Content-Length: {length}"] if length or method == "POST" else []),
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send_all(connection: socket.socket, data: bytes, deadline: float) -> None:
    """Send everything within what is left of the time. Raises OSError."""
    rest = memoryview(data)
    while rest:
        connection.settimeout(left_s(deadline))
        rest = rest[connection.send(rest) :]


def _drop(response: HTTPResponse) -> None:
    """Read a little, so that the other side can finish; the status stands whatever comes."""
    try:
        response.read(MAX_ANSWER_BYTES)
    except (OSError, HTTPException):
        return


def left_s(deadline: float) -> float:
    """Return the seconds left. Raises TimeoutError if there are none."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class TooLongError(HTTPException):
    """More came than an answer may have."""


class Source(io.RawIOBase):
    """A socket's incoming side, each read of which gets only what is left of the time."""

    def __init__(
        self, connection: socket.socket, deadline: float, *, most: int = MAX_READ_BYTES
    ) -> None:
        """Read from this connection, up to `most` bytes."""
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        """Say that this can be read, as io asks."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # io's Buffer is too wide
        """Read what is there, or wait for it until the deadline."""
        if self._left <= 0:
            raise TooLongError
        self._connection.settimeout(left_s(self._deadline))
        count = self._connection.recv_into(buffer)
        self._left -= count
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """Hand out the buffered stream that HTTPResponse asks a socket for."""
        return io.BufferedReader(self)
