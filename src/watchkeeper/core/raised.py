"""The description of an error that its fingerprint is made of: plain values, nothing alive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from watchkeeper.core.masking import mask_digits
from watchkeeper.core.syntax import Statement

MAX_LOGGER_CHARS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFrame:
    """One function on the way to an error, without its line: where code lives, not what it did.

    `module` is empty for code that has no real module (a template, `exec`); then `file` names it,
    relative to the project. `qualname` is for people; it counts of an endpoint only. A
    `transparent` frame is looked through when the place is chosen. One that `dispatches` is the
    framework's: what it calls is the endpoint, or stands around it.
    """

    module: str
    function: str
    qualname: str = ""
    file: str = ""
    application: bool = True
    transparent: bool = False
    dispatches: bool = False

    @property
    def key(self) -> str:
        """What identifies the frame in a fingerprint: no line, no absolute path, no address."""
        if self.module:
            return f"{self.module}:{self.function}"
        return f"{mask_digits(self.file)}:{mask_digits(self.function)}"

    @property
    def label(self) -> str:
        """The frame as people read it: "module:Class.function"."""
        return f"{self.module or self.file}:{self.qualname or self.function}"


SAME: Final = TraceFrame(module="", function="")
"""Stands for the endpoint as the first version of the rule knew it: it is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A description of one exception, or of a log record: all that may count for its group.

    `frames` come outermost first; `endpoint` is the frame of the view, task or command if it is
    known, whether it is among the frames or not, `view` the class that stands for it where it is
    a library's method. `detail` is the part of the message
    that counts (an errno, a status, a constraint); `message` counts only where there are no
    frames. `statement` is the one that failed; while `spot` is not None it only stands for the
    one that `complete` will read there. `cause` is the exception that this one was made of,
    `leaves` those of a group. `first_detail`, `first_message` and `first_endpoint` are what the
    first version of the rule took, where it took another (else None, None and SAME).
    """

    type: str
    frames: Sequence[TraceFrame] = ()
    endpoint: TraceFrame | None = None
    view: TraceFrame | None = None
    statement: Statement | None = None
    spot: object = None
    detail: str = ""
    message: str = ""
    logger: str = ""
    template: str = ""
    cause: "Raised | None" = None
    leaves: Sequence["Raised"] = ()
    first_detail: str | None = None
    first_message: str | None = None
    first_endpoint: TraceFrame | None = SAME


def logged(logger: str, *, template: str = "", message: str = "") -> Raised:
    """Describe a log record without an exception.

    A record with arguments is told by its template, one without by its message, in which values
    do not count.
    """
    name = logger[:MAX_LOGGER_CHARS]
    return Raised(type=name, logger=name, template=template, message=message)


def is_complete(raised: Raised) -> bool:
    """Tell whether every failing statement was read."""
    return (
        raised.spot is None
        and (raised.cause is None or is_complete(raised.cause))
        and all(is_complete(leaf) for leaf in raised.leaves)
    )


def complete(raised: Raised, read: Callable[[Any], Statement | None]) -> Raised:
    """Return the description with its statements, each read at its `spot`."""
    return replace(
        raised,
        statement=raised.statement if raised.spot is None else read(raised.spot),
        spot=None,
        cause=None if raised.cause is None else complete(raised.cause, read),
        leaves=[complete(leaf, read) for leaf in raised.leaves],
    )
