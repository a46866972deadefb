"""Where the demo's alerts arrive: a real webhook receiver on loopback."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

MAX_BODY_BYTES: Final = 256 * 1024
MAX_MESSAGES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it came in; `at` is the receiver's clock, `status` firing or resolved."""

    at: float
    message_id: str
    rule: str
    severity: str
    status: str
    summary: str
    link: str


class Receiver:
    """Takes messages whose signature is right, each once, and remembers when they came."""

    def __init__(
        self,
        on_message: Callable[[Received], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Listen on a free port; `on_message` is called in the receiver's threads."""
        self._key = secrets.token_bytes(24)
        self._clock = clock
        self._on_message = on_message
        self._received: dict[str, Received] = {}
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send messages."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    @property
    def secret(self) -> str:
        """What to sign them with, as Standard Webhooks writes it."""
        return f"whsec_{base64.b64encode(self._key).decode()}"

    def received(self, *, rule: str = "", status: str = "") -> list[Received]:
        """Return what came so far, oldest first; empty texts take every rule or status."""
        with self._changed:
            return [
                one
                for one in self._received.values()
                if rule in ("", one.rule) and status in ("", one.status)
            ]

    def wait_for(self, rules: tuple[str, ...], *, status: str, timeout_s: float) -> bool:
        """Wait until each rule has sent a message of a status; False if the time ran out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(self._has(rule, status) for rule in rules), timeout_s
            )

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _has(self, rule: str, status: str) -> bool:
        return any(one.rule == rule and one.status == status for one in self._received.values())

    def _is_signed(self, message_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
        signed = f"{message_id}.{timestamp}.".encode() + body
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(digest).decode()}"
        return any(hmac.compare_digest(expected, one) for one in signatures.split())

    def _take(self, message_id: str, content: dict[str, Any]) -> None:
        """Remember a message unless it is a repetition."""
        message = Received(
            at=self._clock(),
            message_id=message_id,
            rule=content["groupLabels"]["alertname"],
            severity=content["commonLabels"]["severity"],
            status=content["status"],
            summary=content["commonAnnotations"]["summary"],
            link=content["watchkeeper"]["links"]["dashboard"],
        )
        with self._changed:
            if message_id in self._received or len(self._received) >= MAX_MESSAGES:
                return
            self._received[message_id] = message
            self._changed.notify_all()
        self._on_message(message)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """Answers 204 to a good message, 401 to a badly signed one."""

            def do_POST(self) -> None:  # the name that http.server calls
                """Take one message."""
                length = min(int(self.headers.get("content-length", 0)), MAX_BODY_BYTES)
                body = self.rfile.read(length)
                message_id = self.headers.get("webhook-id", "")
                good = receiver._is_signed(
                    message_id,
                    self.headers.get("webhook-timestamp", ""),
                    self.headers.get("webhook-signature", ""),
                    body,
                )
                if good:
                    receiver._take(message_id, json.loads(body))
                self.send_response(204 if good else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: what matters is handed on."""

        return Handler
