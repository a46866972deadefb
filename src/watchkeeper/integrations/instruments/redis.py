"""redis-py: the commands of its clients, sync and async, and pipelines as one command each.

There is no hook: the methods that send are wrapped. Never recorded: keys, values, addresses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from time import perf_counter
from typing import Any, Final

from redis import asyncio as redis_async
from redis import client as redis_sync

from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import Observer

MAX_COMMANDS: Final = 1_000  # texts whose command is remembered
MAX_TEXT_CHARS: Final = 60  # of a text that can be a command's name

_GUARD: Final = guard("redis")
_DB: Final = "redis"
_PIPELINE: Final = "PIPELINE"
_OTHER: Final = "_OTHER"  # what is no command's name
_NAME_SIGNS: Final = frozenset("._-")


def install(observer: Observer) -> Callable[[], None]:
    """Record the commands of every client; return what undoes that."""
    commands = _Commands(observer)
    patches = commands.patches
    for client, pipeline, make in (
        (redis_sync.Redis, redis_sync.Pipeline, commands.sync),
        (redis_async.Redis, redis_async.client.Pipeline, commands.asynchronous),
    ):
        patches.wrap(client, "execute_command", make(_name_of))
        patches.wrap(pipeline, "immediate_execute_command", make(_name_of))
        patches.wrap(pipeline, "execute", make(_name_of_pipeline))
    return patches.undo


class _Commands:
    """Wraps the methods that send commands."""

    def __init__(self, observer: Observer) -> None:
        self.patches = Patches()
        self._observer = observer
        self._names: dict[object, str] = {}

    def sync(
        self, name_of: Callable[[Any, tuple[Any, ...]], object]
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return what makes a wrapper of a method; `name_of` says what it is about to send."""

        def make(send: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(send)
            def watched(client: Any, *args: Any, **more: Any) -> Any:
                name = name_of(client, args)
                failed = True
                start = perf_counter()
                try:
                    answer = send(client, *args, **more)
                    failed = False
                    return answer
                finally:
                    self._ended(name, start, failed=failed)

            return watched

        return make

    def asynchronous(
        self, name_of: Callable[[Any, tuple[Any, ...]], object]
    ) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
        """Return the same for a method that is awaited."""

        def make(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            @wraps(send)
            async def watched(client: Any, *args: Any, **more: Any) -> Any:
                name = name_of(client, args)
                failed = True
                start = perf_counter()
                try:
                    answer = await send(client, *args, **more)
                    failed = False
                    return answer
                finally:
                    self._ended(name, start, failed=failed)

            return watched

        return make

    def _ended(self, name: object, start: float, *, failed: bool) -> None:
        try:
            if name is None or not self.patches.on:
                return
            seconds = perf_counter() - start
            known = self._names.get(name) or self._learn(name)
            self._observer.command(_DB, known, start, seconds, failed=failed)
        except Exception as problem:  # noqa: BLE001  # a border: see `Guard.swallow`
            _GUARD.swallow(problem)

    def _learn(self, text: object) -> str:
        name = _command(text)
        if name != _OTHER:  # the text may be long, or hold a key
            if len(self._names) >= MAX_COMMANDS:
                self._names.clear()
            self._names[text] = name
        return name


def _name_of(_: object, args: tuple[Any, ...]) -> object:
    """Return the command as the caller wrote it; None: nothing is sent."""
    return args[0] if args else None


def _name_of_pipeline(pipeline: Any, _: tuple[Any, ...]) -> object:
    """Return a word of our own for what a pipeline sends; None if it holds nothing."""
    return _PIPELINE if getattr(pipeline, "command_stack", None) else None


def _command(text: object) -> str:
    """Return the command's name: the first word, for a key or a value may follow it."""
    if isinstance(text, bytes) and len(text) <= MAX_TEXT_CHARS:
        text = text.decode("ascii", "replace")
    if not isinstance(text, str) or len(text) > MAX_TEXT_CHARS:
        return _OTHER
    name = text.partition(" ")[0].upper()
    if not name or not name[0].isalpha():
        return _OTHER
    if not all(char.isascii() and (char.isalnum() or char in _NAME_SIGNS) for char in name):
        return _OTHER
    return name
