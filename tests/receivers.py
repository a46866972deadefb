"""A real HTTP receiver on loopback, which can be away, hang, or answer whatever a test asks."""

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servers import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived; header names are lower case."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


class Receiver:
    """An HTTP server of its own: `with Receiver() as receiver: … receiver.url`.

    Answers 200 unless told otherwise. Every request is recorded before it is answered.
    """

    def __init__(self, *, certificate: Path | None = None) -> None:
        """Listen on a free port of loopback; with a certificate (and key, in one file) by TLS."""
        self._certificate = certificate
        self._answers: list[tuple[int, Mapping[str, str], bytes]] = []
        self._usual: tuple[int, Mapping[str, str], bytes] = (200, {}, b"ok")
        self._arrived = threading.Condition()
        self._received: list[Received] = []
        self._free = threading.Event()
        self._free.set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.port = free_port()
        self.accept()

    @property
    def url(self) -> str:
        """The address to send to."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self.port}/hook"

    @property
    def received(self) -> list[Received]:
        """Every request so far, oldest first."""
        with self._arrived:
            return list(self._received)

    def answer(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Answer so from now on."""
        self._usual = (status, headers or {}, body)

    def answer_once(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Answer the next request so, after those that were announced before."""
        self._answers.append((status, headers or {}, body))

    def hang(self) -> None:
        """Take requests from now on, but give no answer before `release`."""
        self._free.clear()

    def release(self) -> None:
        """Answer those that wait, and all that come."""
        self._free.set()

    def refuse(self) -> None:
        """Be away: connections are refused until `accept`."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None and thread is not None:
            server.shutdown()
            server.server_close()
            thread.join()

    def accept(self) -> None:
        """Be there again, at the same address."""
        if self._server is not None:
            return
        self._server = _Server(("127.0.0.1", self.port), self._handler())
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def wait_for(self, count: int, *, timeout_s: float = 10.0) -> list[Received]:
        """Wait until so many requests have arrived; raises AssertionError if they do not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._received) >= count, timeout_s):
                raise AssertionError(f"{len(self._received)} of {count} requests arrived")
            return list(self._received)

    def close(self) -> None:
        """End the server."""
        self.release()
        self.refuse()

    def __enter__(self) -> Self:
        """Hand out the running receiver."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        self.close()

    def _record(self, request: Received) -> tuple[int, Mapping[str, str], bytes]:
        with self._arrived:
            self._received.append(request)
            self._arrived.notify_all()
            answer = self._answers.pop(0) if self._answers else self._usual
        self._free.wait()
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                status, headers, body = receiver._record(
                    Received(
                        at=time.time(),
                        method=self.command,
                        path=self.path,
                        headers={name.lower(): value for name, value in self.headers.items()},
                        body=self.rfile.read(length),
                    )
                )
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    return  # the sender did not wait for the answer

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: object) -> None:
                """Keep the tests' output quiet."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
