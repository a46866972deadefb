"""One SMTP session under one time-out for all of it; loaded when the first mail is sent."""

import io
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from time import monotonic
from typing import Any, Final

from watchkeeper.notify.exchange import connect

MAX_REPLY_BYTES: Final = 65_536  # of all lines of one answer
LITERAL: Final = "[127.0.0.1]"  # how a machine without a full name greets (RFC 5321, 4.1.3)


class Session:
    """A connection to a mail server that is hung up on when its time is over."""

    def __init__(
        self, *, host: str, port: int, secure: bool, context: ssl.SSLContext | None = None
    ) -> None:
        """Prepare; `secure` is TLS from the first byte, `context` what verifies certificates."""
        self._context = context
        self._deadline = inf
        self._host = host
        self._port = port
        self._secure = secure
        self._server = _Server(local_hostname=_own_name())

    @property
    def is_over(self) -> bool:
        """Tell whether the time has run out."""
        return monotonic() >= self._deadline

    @contextmanager
    def within(self, timeout_s: float) -> Iterator[smtplib.SMTP]:
        """Connect, hand out the server, and close.

        After `timeout_s` the connection is cut, whatever it waits for: smtplib's own time-out
        is one per read, and a server that drips would keep the sender for ever. Raises OSError
        and SMTPException; `is_over` tells whether it was for want of time.
        """
        self._deadline = monotonic() + timeout_s
        clock = threading.Timer(timeout_s, self._hang_up)
        clock.daemon = True
        clock.start()
        try:
            self._server.open(
                self._host,
                self._port,
                secure=self._secure,
                deadline=self._deadline,
                context=self._context,
            )
            yield self._server
            with suppress(smtplib.SMTPException, OSError):  # it has taken the mail already
                self._server.quit()
        finally:
            clock.cancel()
            self._server.close()

    def start_tls(self) -> None:
        """Turn to TLS. Raises SMTPNotSupportedError if the server does not offer it."""
        self._server.starttls(context=self._context or ssl.create_default_context())

    def _hang_up(self) -> None:
        connection = self._server.sock
        if connection is not None:
            with suppress(OSError):
                # socket's own method: that of SSLSocket would take TLS off under the reader.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Server(smtplib.SMTP):
    """smtplib's client over a connection that somebody else has opened."""

    sock: socket.socket | None
    file: Any  # what smtplib reads answers from; it makes one when there is none

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer, up to MAX_REPLY_BYTES. Raises SMTPServerDisconnected beyond."""
        if self.sock is not None:
            if self.file is None:
                self.file = _Bounded(self.sock.makefile("rb"))
            self.file.left = MAX_REPLY_BYTES
        return super().getreply()

    def open(
        self,
        host: str,
        port: int,
        *,
        secure: bool,
        deadline: float,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Connect within the time and read the greeting."""
        self._host = host  # starttls checks the certificate against it
        self.sock = connect(host, port, secure=secure, deadline=deadline, context=context)
        code, said = self.getreply()
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)


class _Bounded:
    """A stream that ends after so many bytes: smtplib keeps every line of an answer."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.left = MAX_REPLY_BYTES

    def readline(self, limit: int) -> bytes:
        """Read a line, or nothing once too much was read."""
        line = self._stream.readline(min(limit, self.left))
        self.left -= len(line)
        return line if self.left > 0 else b""

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def _own_name() -> str:
    """Return this machine's name without asking a name server, which may take seconds."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else LITERAL
