"""What tests of built-in checks share: an authority, services that behave badly."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from certificates import Authority, authority

Behaviour = Callable[[socket.socket], None]


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return authority(tmp_path)


class Service:
    """A TCP service that treats each of its connections as it is told; ends with the test."""

    def __init__(self, behave: Behaviour, certificate: Path | None) -> None:
        """Listen on a free port."""
        self.free = threading.Event()
        self._behave = behave
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def end(self) -> None:
        """Close everything."""
        self.free.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError), connection:
            if self._context is None:
                self._behave(connection)
                return
            with self._context.wrap_socket(connection, server_side=True) as secured:
                self._behave(secured)


@pytest.fixture
def service() -> Iterator[Callable[..., Service]]:
    """Make a TCP service that behaves as a function of its connection says."""
    made: list[Service] = []

    def make(behave: Behaviour, certificate: Path | None = None) -> Service:
        made.append(Service(behave, certificate))
        return made[-1]

    yield make
    for one in made:
        one.end()


def until_gone(connection: socket.socket) -> None:
    """Read what comes and never answer."""
    while connection.recv(4_096):
        pass


@pytest.fixture
def silent(service: Callable[..., Service]) -> Service:
    """A service that takes connections and never says a word."""
    return service(until_gone)


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
