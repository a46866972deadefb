"""A real SMTP server on loopback, which takes, refuses, or defers whatever a test asks."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail as it arrived: its envelope, and its raw bytes."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The mail, read."""
        return message_from_bytes(self.raw, policy=policy.default)  # type: ignore[return-value]

    def part(self, kind: str) -> str:
        """The text of one part: "plain" or "html"."""
        found = self.message.get_body((kind,))
        assert found is not None
        return str(found.get_content())


class MailServer:
    """An SMTP server of its own: `with MailServer() as server: … server.port`.

    `refuse` holds answers for recipients, `data_answer` what follows the text of a mail; with a
    certificate it offers STARTTLS, or speaks TLS from the start if `secure`.
    """

    def __init__(
        self,
        *,
        certificate: Path | None = None,
        secure: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        """Prepare; `login` is the only user and password that are let in, by TLS."""
        self.mails: list[Mail] = []
        self.refuse: dict[str, str] = {}
        self.sender_answer = "250 OK"
        self.data_answer = "250 OK"
        self.port = 0
        self._login = login
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._secure = secure
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def handle_MAIL(  # noqa: N802  # the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answer to the sender."""
        if self.sender_answer.startswith("250"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answer to a recipient."""
        answer = self.refuse.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802  # the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        """Take a mail, or say why not."""
        if self.data_answer.startswith("250"):
            self.mails.append(
                Mail(
                    sender=envelope.mail_from,
                    recipients=tuple(envelope.rcpt_tos),
                    raw=envelope.content,
                    encrypted=session.ssl is not None or self._secure,
                )
            )
        return self.data_answer

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server, with all that still talk to it."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(
            self._protocol(), "127.0.0.1", 0, ssl=self._context if self._secure else None
        )

    def _protocol(self) -> Callable[[], SMTP]:
        offered = None if self._secure else self._context

        def made() -> SMTP:
            return SMTP(
                self,
                hostname="mail.example",
                loop=self._loop,
                tls_context=offered,
                authenticator=self._let_in if self._login else None,
                auth_required=self._login is not None,
            )

        return made

    def _let_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
