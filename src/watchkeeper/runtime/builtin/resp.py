"""Talking to Redis in its own protocol (RESP 2): a few commands, each answer bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import Trust, at, connected, said, told
from watchkeeper.runtime.builtin.options import CheckFailedError

if TYPE_CHECKING:
    import socket

MAX_ANSWER_BYTES: Final = 65_536  # of one connection
MAX_DIGITS: Final = 19  # of a number: it has 64 bits
USUAL_PORT: Final = 6379
EXAMPLE: Final = '"redis://cache.example:6379/0"'

Answer = int | str | None

_CODE: Final = re.compile(rb"[A-Z]{2,20}(?= |$)")  # the first word of an error: WRONGPASS


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A Redis server, who asks, and which of its databases."""

    host: str
    port: int
    secure: bool
    username: str
    password: str = field(repr=False)
    database: int

    @property
    def shown(self) -> str:
        """The host and port, which is all that messages may show."""
        return at(self.host, self.port)


def parse_redis(url: object, *, key: str = "url") -> RedisAddress:
    """Take a URL apart: redis:// or rediss://, by TLS.

    Raises ConfigurationError, which never shows it.
    """
    if not isinstance(url, str) or not url:
        raise ConfigurationError(f"{key}: missing; write {key} = {EXAMPLE}")
    if url.startswith("unix:"):
        raise ConfigurationError(
            f"{key}: Redis is asked by TCP, not by a socket file; write {key} = {EXAMPLE}"
        )
    try:
        parts = urlsplit(url)
        port = parts.port or USUAL_PORT
        database = int(parts.path.strip("/") or "0")
    except ValueError:
        raise ConfigurationError(f"{key}: not a URL of Redis; write {key} = {EXAMPLE}") from None
    if parts.query:
        raise ConfigurationError(f"{key}: nothing may follow a ?; write {key} = {EXAMPLE}")
    is_plain = url.isascii() and url.isprintable()
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not is_plain:
        raise ConfigurationError(f"{key}: not a URL of Redis; write {key} = {EXAMPLE}")
    return RedisAddress(
        host=parts.hostname,
        port=port,
        secure=parts.scheme == "rediss",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
    )


class _RefusedError(Exception):
    """Raised when Redis answers with an error, of which not every word may be told."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self.words = words


class Session:
    """A connection to Redis; every command must end by the deadline."""

    def __init__(self, connection: socket.socket, address: RedisAddress, deadline: float) -> None:
        from watchkeeper.notify.exchange import Source

        self.connection = connection
        self._place = address.shown
        self._deadline = deadline
        self._began = monotonic()
        self._incoming = Source(connection, deadline, most=MAX_ANSWER_BYTES).makefile("rb")

    def log_in(self, username: str, password: str) -> None:
        """Log in; without a user as the usual one. Raises CheckFailedError, without either."""
        try:
            self._answer_to("AUTH", *([username] if username else []), password)
        except _RefusedError as error:
            # Some servers repeat in their words what they were told.
            code = _CODE.match(error.words)
            why = f": {code[0].decode()}" if code else ""
            raise CheckFailedError(f"{self._place} refused the login{why}") from None

    def ask(self, *words: str) -> Answer:
        """Send a command without secrets and return its answer. Raises CheckFailedError."""
        try:
            return self._answer_to(*words)
        except _RefusedError as error:
            raise CheckFailedError(f"{self._place} answered {said(error.words)}") from None

    def _answer_to(self, *words: str) -> Answer:
        from watchkeeper.notify.exchange import TooLongError, send_all

        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            encoded = word.encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
        with told(self._place, began=self._began):
            send_all(self.connection, b"".join(parts), self._deadline)
            try:
                return self._answer()
            except TooLongError:
                raise CheckFailedError(f"the answer of {self._place} is too long") from None

    def close(self) -> None:
        """Close what reads; the connection is closed by who opened it."""
        self._incoming.close()

    def _answer(self) -> Answer:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "replace")
        if kind == b"-":
            raise _RefusedError(rest)
        number = _number(rest) if kind in b":$" else None
        if kind == b":" and number is not None:
            return number
        if kind != b"$" or number is None:
            raise CheckFailedError(f"{self._place} does not answer as Redis does")
        return self._text(number) if number >= 0 else None

    def _text(self, length: int) -> str:
        from watchkeeper.notify.exchange import TooLongError

        if length > MAX_ANSWER_BYTES:
            raise TooLongError
        content = self._incoming.read(length + 2)
        if len(content) < length + 2:
            raise ConnectionResetError
        return content[:length].decode("utf-8", "replace")

    def _line(self) -> bytes:
        from watchkeeper.notify.exchange import TooLongError

        line = self._incoming.readline(MAX_ANSWER_BYTES)
        if len(line) == MAX_ANSWER_BYTES:
            raise TooLongError
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        return line.rstrip(b"\r\n")


@contextmanager
def redis_session(address: RedisAddress, *, trust: Trust, deadline: float) -> Iterator[Session]:
    """Connect, log in, choose the database; close on any path. Raises CheckFailedError."""
    with connected(
        address.host, address.port, deadline=deadline, trust=trust if address.secure else None
    ) as connection:
        session = Session(connection, address, deadline)
        try:
            if address.username or address.password:
                session.log_in(address.username, address.password)
            if address.database:
                session.ask("SELECT", str(address.database))
            yield session
        finally:
            session.close()


def _number(digits: bytes) -> int | None:
    size = digits.removeprefix(b"-")
    return int(digits) if size.isdigit() and len(size) <= MAX_DIGITS else None
