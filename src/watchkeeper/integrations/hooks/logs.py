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
from watchkeeper.integrations.hooks.telling import is_own, tell, tell_late
from watchkeeper.integrations.patches import Patches
from watchkeeper.runtime.guard import Raised as Refused
from watchkeeper.runtime.guard import attempt, guard
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.texts import text_of, written
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
_UNREADABLE: Final = "(a message that could not be read)"
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
            message=_message(record, instead=self._template),
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
    if type(message) is str and message.startswith(_TRACEBACK):
        return sys.exception()
    # not isinstance: it asks the object's `__class__`, which may raise
    return message if issubclass(type(message), BaseException) else None  # type: ignore[return-value]


def _template(record: LogRecord) -> str:
    """Return what the message was made of; of a structured one its event."""
    message: object = record.msg
    if type(message) is dict:  # structlog hands its events over like this
        message = message.get("event", "")
    if type(message) is str:
        return message[:MAX_TEMPLATE_CHARS]
    if issubclass(type(message), BaseException):
        return text_of(message)[:MAX_TEMPLATE_CHARS]  # type: ignore[arg-type]  # it is one
    made = written(lambda: _of_event(message), of=(message,), instead=_UNREADABLE)
    return made[:MAX_TEMPLATE_CHARS]


def _of_event(message: object) -> str:
    return str(message.get("event", "") if isinstance(message, Mapping) else message)


def _message(record: LogRecord, *, instead: str) -> str:
    """Return a message with its arguments, which code of the application may write."""
    args: object = record.args
    values = tuple(args.values()) if type(args) is dict else args
    if type(record.msg) is not str or (values and type(values) is not tuple):
        values = (record,)  # of some class: to be waited for
    return written(lambda: _said(record, instead), of=values or (), instead=instead)  # type: ignore[arg-type]


def _said(record: LogRecord, instead: str) -> str:
    """Return the message, or what it was to be made of if its arguments do not fit."""
    said = attempt(record.getMessage)
    return instead if isinstance(said, Refused) else str(said)
