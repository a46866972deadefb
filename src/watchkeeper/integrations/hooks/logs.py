"""Errors that the host logs: the exception of a record, or the record itself if it has none.

`Logger.callHandlers` is wrapped rather than a handler put on the root logger: that would silence
Python's handler of last resort, make a later `basicConfig` do nothing, go with `dictConfig`, and
see nothing of loggers that do not propagate.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from logging import Logger, LogRecord
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.masking import parametrize
from watchkeeper.core.raised import Raised, TraceFrame, logged
from watchkeeper.core.scrub import MAX_SCRUBBED_CHARS
from watchkeeper.integrations.hooks.telling import is_own, tell, tell_late
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.traces import Snapshot, Spot

if TYPE_CHECKING:
    from watchkeeper.app import Watchkeeper

MAX_TEMPLATE_CHARS: Final = 2_000
MAX_KINDS: Final = 1_000  # messages without arguments whose kind is remembered

# Their records without an exception repeat what is seen otherwise: answers, failed jobs.
REPEATING: Final = frozenset(
    {
        "daphne.access",
        "django.request",
        "django.server",
        "gunicorn.access",
        "hypercorn.access",
        "multiprocessing",
        "rq.worker",
        "uvicorn.access",
    }
)
# Failed tasks, whose exceptions come here as stand-ins that can be pickled.
STANDING_IN: Final = frozenset({"celery.app.trace", "celery.worker.request"})
# These log in finalizers, amid whatever code a collection of garbage came.
IN_FINALIZERS: Final = frozenset({"aiohttp.client", "asyncio"})

_OURS: Final = "watchkeeper"
# Numbers are taken out whatever their digits are: texts that differ in these alone are one kind.
_SAME_DIGITS: Final = str.maketrans("123456789", "000000000")
_TRACEBACK: Final = "Traceback (most recent call last):"
_GUARD: Final = guard("log record")


def install(watchkeeper: Watchkeeper) -> Callable[[], None]:
    """See every record that any logger hands to its handlers; return what undoes that."""
    patches = Patches()
    logs = _Logs(watchkeeper)

    def watching(call: Callable[[Logger, LogRecord], None]) -> Callable[..., None]:
        @wraps(call)
        def call_handlers(logger: Logger, record: LogRecord) -> None:
            if record.levelno >= logging.ERROR and patches.on:
                with _GUARD:
                    logs.tell(record)
            call(logger, record)

        return call_handlers

    patches.wrap(Logger, "callHandlers", watching)
    return patches.undo


class _Logs:
    """Tells errors from the records of a process."""

    def __init__(self, watchkeeper: Watchkeeper) -> None:
        self._watchkeeper = watchkeeper
        self._places = Places()
        self._kinds: dict[str, str] = {}

    def tell(self, record: LogRecord) -> None:
        """Record an error that is logged, unless it is ours."""
        name = record.name
        if name == _OURS or name.startswith(f"{_OURS}.") or is_own(record.threadName):
            return
        if name in STANDING_IN:
            return
        level = "critical" if record.levelno >= logging.CRITICAL else "error"
        error = _exception_of(record)
        if error is None:
            if name not in REPEATING:
                tell(
                    self._watchkeeper,
                    _Line(record, self._kind(record), level, self._places),
                    context={},
                )
            return
        context = {"logger": name, "logged": _template(record)}
        if name in IN_FINALIZERS:
            tell_late(self._watchkeeper, error, context=context)
        else:
            tell(self._watchkeeper, error, level=level, context=context)

    def _kind(self, record: LogRecord) -> str:
        """Return what a message has in common with others of its kind."""
        template = _template(record)
        if record.args:
            return template
        template = template.translate(_SAME_DIGITS)
        kind = self._kinds.get(template)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()  # texts that are put together: few come again
            kind = self._kinds[template] = parametrize(template)
        return kind


class _Line:
    """A record without an exception, as an error that is told."""

    def __init__(self, record: LogRecord, template: str, level: str, places: Places) -> None:
        self._record = record
        self._places = places
        self._template = template
        self.key: tuple[object, ...] = (
            "log",
            record.name,
            self._template,
            record.pathname,
            record.funcName,
            level,
        )
        self.level = level
        self.context: Mapping[str, object] = {}

    @property
    def culprit(self) -> str:
        """The place of the call, as its issue shows it."""
        return self._frame().label

    def describe(self) -> Raised:
        """Group by the logger and the template."""
        if self._record.args:
            return logged(self._record.name, template=self._template)
        return logged(self._record.name, message=self._template)

    def snapshot(self) -> Snapshot:
        """Show the message with its values, and the place of the call."""
        record = self._record
        return Snapshot(
            type=record.name,
            message=record.getMessage()[:MAX_SCRUBBED_CHARS],
            spots=(Spot(frame=self._frame(), filename=record.pathname, line=record.lineno),),
        )

    def _frame(self) -> TraceFrame:
        record = self._record
        return TraceFrame(
            module="",
            function=record.funcName or "",
            file=self._places.shown(record.pathname),
            application=self._places.is_application(record.pathname),
        )


def _exception_of(record: LogRecord) -> BaseException | None:
    """Return the exception that a record is about: `exc_info`, or the message is one itself.

    Of a traceback that was made a text, as servers log a failed start, it is the one at hand.
    """
    told: Any = record.exc_info
    if isinstance(told, tuple) and len(told) == 3 and isinstance(told[1], BaseException):
        return told[1]
    message: object = record.msg
    if isinstance(message, str) and message.startswith(_TRACEBACK):
        return sys.exception()
    return message if isinstance(message, BaseException) else None


def _template(record: LogRecord) -> str:
    """Return what the message was made of; of a structured one its event."""
    message: object = record.msg
    if isinstance(message, Mapping):  # structlog hands its events over like this
        message = message.get("event", "")
    return str(message)[:MAX_TEMPLATE_CHARS]
