"""One request as its server sees it, in process."""

import asyncio
import contextlib

import frameworks


class Client:
    """The server's side of one request, whose client can leave."""

    def __init__(self, path: str, *headers: tuple[bytes, bytes]) -> None:
        self.left = asyncio.Event()
        self.answered = asyncio.Event()
        self.begun = asyncio.Event()
        self.sent: list[dict] = []
        self._asked = False
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"shop.example"), *headers],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "extensions": {},
        }

    async def receive(self) -> dict:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.begun.set()
            if not message.get("more_body", False):
                self.answered.set()
                self.left.set()

    async def serve(self, app: frameworks.Application) -> None:
        """Serve the request as a server does, which shows no exception to anybody."""
        before = asyncio.all_tasks()
        with contextlib.suppress(Exception):
            await app(self.scope, self.receive, self.send)
        await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
