"""The walk over a live exception: its memo key, its description, its snapshot.

Nothing that these return holds an exception, a traceback or a frame: code objects, line numbers
and texts only. Whoever calls holds the exception for as long as the call takes.
"""

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from types import CodeType, TracebackType
from typing import Any, Final

from watchkeeper.core.fingerprint import COMPREHENSIONS, MAX_CAUSES
from watchkeeper.core.masking import mask_digits, type_name
from watchkeeper.core.masking import parametrize as parametrize_message
from watchkeeper.core.raised import Raised, TraceFrame
from watchkeeper.core.scrub import MAX_SCRUBBED_CHARS
from watchkeeper.core.syntax import Statement
from watchkeeper.runtime.details import detail, first_detail, may_be_expected, may_have_detail
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.source import FailingStatements, Instruction

OUTERMOST_FRAMES: Final = 30
INNERMOST_FRAMES: Final = 70
MAX_WALKED_FRAMES: Final = 10_000  # of one trace, for its fingerprint; then the middle is left out
MAX_KEY_ENTRIES: Final = 1_024  # longer traces (deep recursion) are not worth remembering
MAX_LEAVES: Final = 64
MAX_SHOWN_LEAVES: Final = 8
MAX_REMEMBERED: Final = 4_096  # types and code objects

_ATTRIBUTES = guard("exception attributes")
_TEXT = guard("exception text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A frame with the line it stood at; `filename` is where its source may be read."""

    frame: TraceFrame
    filename: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is kept of one exception to be shown: raw text, neither scrubbed nor cut to size.

    `spots` are the outermost 30 and the innermost 70; `omitted` of the trace lie between them.
    `relation` is how it led to the one before: "cause" (`raise … from`) or "context".
    """

    type: str
    message: str
    spots: tuple[Spot, ...]
    omitted: int = 0
    relation: str = ""
    causes: tuple["Snapshot", ...] = ()
    leaves: tuple["Snapshot", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is the same for all exceptions of a type, worked out once."""

    name: str
    expectable: bool
    detailed: bool
    group: bool


class Traces:
    """Reads exceptions for one project; remembers a bounded number of types and code objects.

    Safe to use from any thread: what two threads work out at once is equal.
    """

    def __init__(self, places: Places | None = None) -> None:
        """Tell by `places` whose code it is; `statements` are those of it that were read."""
        self._places = places or Places()
        self.statements = FailingStatements()
        self._kinds: dict[type[BaseException], Kind] = {}
        # by id: comparing code objects compares their bytecode; the entry keeps the id taken
        self._frames: dict[int, tuple[CodeType, TraceFrame]] = {}

    def kind(self, type_: type[BaseException]) -> Kind:
        """Return what is known of a type."""
        found = self._kinds.get(type_)
        if found is None:
            found = Kind(
                name=type_name(
                    str(type_.__module__),
                    type_.__qualname__,
                    made_at_run_time=not _is_importable(type_),
                ),
                expectable=may_be_expected(type_),
                detailed=may_have_detail(type_),
                group=issubclass(type_, BaseExceptionGroup),
            )
            _remember(self._kinds, type_, found)
        return found

    def key(self, exc: BaseException, endpoint: CodeType | None) -> tuple[object, ...] | None:
        """Return what decides the fingerprint, for a memo; None if it is too long for one.

        Equal keys have equal fingerprints for as long as the code objects (`codes`) live.
        """
        key: list[object] = [id(endpoint)]
        self._add_one(exc, key, expand=True)
        if exc.__cause__ is not None or exc.__context__ is not None:
            self._add_chain(exc, key, expand=True)
        return tuple(key) if len(key) <= MAX_KEY_ENTRIES else None

    def describe(self, exc: BaseException, endpoint: CodeType | None) -> Raised:
        """Describe an exception with its causes and the leaves of its group."""
        return self._describe(exc, endpoint, above=(), expand=True)

    def codes(self, exc: BaseException, endpoint: CodeType | None) -> tuple[CodeType | None, ...]:
        """Return the code objects whose identity is part of the key."""
        found: dict[int, CodeType | None] = {id(endpoint): endpoint}
        for link in _chain(exc):
            for leaf in _leaves(link):
                for one in _chain(leaf):
                    _add_codes(one, found)
            _add_codes(link, found)
        return tuple(found.values())

    def snapshot(self, exc: BaseException) -> Snapshot:
        """Take what is shown of an exception, its causes and the first leaves of its group."""
        causes = []
        before = exc
        for linked in islice(_chain(exc), 1, None):
            relation = "cause" if before.__cause__ is linked else "context"
            causes.append(self._snapshot(linked, relation=relation))
            before = linked
        return self._snapshot(exc, causes=tuple(causes))

    def _add_chain(self, exc: BaseException, key: list[object], *, expand: bool) -> None:
        """Add what an exception comes from; with `expand` the leaves of groups too."""
        for linked in islice(_chain(exc), 1, None):
            key.append(linked.__context__ is None)
            self._add_one(linked, key, expand=expand)

    def _add_one(self, exc: BaseException, key: list[object], *, expand: bool) -> None:
        type_ = type(exc)
        kind = self._kinds.get(type_) or self.kind(type_)
        key.append(type_)
        tb = exc.__traceback__
        if tb is None:
            key.append(parametrize_message(message_of(exc)))
        for _ in repeat(None, MAX_KEY_ENTRIES):
            if tb is None:
                break
            key += (id(tb.tb_frame.f_code), tb.tb_lasti)
            tb = tb.tb_next
        if kind.detailed or exc.__dict__:
            key.append(detail_of(exc))
        if kind.group and expand:
            for leaf in _leaves(exc):
                self._add_one(leaf, key, expand=False)
                self._add_chain(leaf, key, expand=False)

    def _describe(
        self,
        exc: BaseException,
        endpoint: CodeType | None,
        *,
        above: tuple[int, ...],
        expand: bool,
    ) -> Raised:
        """Describe one exception; `above` are the ids of those that it led to."""
        trace = list(_walk(exc))
        cause = exc.__cause__
        if cause is None and _is_translation(exc, trace):
            cause = exc.__context__
        path = (*above, id(exc))
        if id(cause) in path or len(path) > MAX_CAUSES:
            cause = None
        leaves = _leaves(exc) if expand else ()
        statement, spot = self._failing(trace)
        message = "" if trace else message_of(exc)
        return Raised(
            type=self.kind(type(exc)).name,
            frames=[self._frame(tb) for tb in trace],
            endpoint=self._endpoint(endpoint, trace),
            statement=statement,
            spot=spot,
            detail=detail_of(exc),
            message=self._compiled(exc) or message if message else "",
            first_detail=_first_detail_of(exc),
            first_message=message,
            cause=None
            if cause is None
            else self._describe(cause, endpoint, above=path, expand=expand),
            leaves=[self._describe(leaf, endpoint, above=path, expand=False) for leaf in leaves],
        )

    def _failing(self, trace: list[TracebackType]) -> tuple[Statement | None, Instruction | None]:
        """Return the statement that failed in the application, or where it is to be read.

        That of the innermost frame which the place is made of: a comprehension's statement is
        that of its function. Before it is read, something that is equal for the same instruction
        stands for it.
        """
        chosen = None
        for tb in reversed(trace):
            frame = self._frame(tb)
            if frame.application and frame.function not in COMPREHENSIONS:
                chosen = tb if chosen is None or not frame.transparent else chosen
                if not frame.transparent:
                    break
        if chosen is None:
            return None, None
        spot = Instruction(chosen.tb_frame.f_code, chosen.tb_lasti)
        if self.statements.is_known(spot):
            return self.statements.known(spot), None
        return Statement(digest=f"?{id(spot.code)}:{spot.offset}"), spot

    def _compiled(self, exc: BaseException) -> str:
        """Return what counts of a SyntaxError: neither its line nor the number in a file name."""
        if not isinstance(exc, SyntaxError):
            return ""
        with _ATTRIBUTES:
            return f"{exc.msg} in {mask_digits(self._places.shown(str(exc.filename)))}"
        return ""

    def _endpoint(
        self, endpoint: CodeType | None, trace: list[TracebackType]
    ) -> TraceFrame | None:
        if endpoint is None:
            return None
        for tb in trace:
            if tb.tb_frame.f_code is endpoint:
                return self._frame(tb)
        return self._places.frame(endpoint, {})

    def _frame(self, tb: TracebackType) -> TraceFrame:
        frame = tb.tb_frame
        code = frame.f_code
        found = self._frames.get(id(code))
        if found is not None:
            return found[1]
        described = self._places.frame(code, frame.f_globals)
        _remember(self._frames, id(code), (code, described))
        return described

    def _snapshot(
        self, exc: BaseException, *, relation: str = "", causes: tuple[Snapshot, ...] = ()
    ) -> Snapshot:
        trace = _walk(exc)
        shown = list(islice(trace, OUTERMOST_FRAMES))
        inner: deque[TracebackType] = deque(maxlen=INNERMOST_FRAMES)
        inner.extend(trace)
        return Snapshot(
            type=self.kind(type(exc)).name,
            message=message_of(exc),
            spots=tuple(
                Spot(
                    frame=self._frame(tb),
                    filename=tb.tb_frame.f_code.co_filename,
                    line=tb.tb_lineno or 0,  # None for code that lost its line table
                )
                for tb in (*shown, *inner)
            ),
            omitted=_length(exc) - len(shown) - len(inner),
            relation=relation,
            causes=causes,
            leaves=tuple(self._snapshot(leaf) for leaf in islice(_leaves(exc), MAX_SHOWN_LEAVES)),
        )


def message_of(exc: BaseException) -> str:
    """Return an exception's text, cut, whatever its `__str__` does."""
    with _TEXT:
        return str(exc)[:MAX_SCRUBBED_CHARS]
    return "(its text could not be read)"


def detail_of(exc: BaseException) -> str:
    """Return what of an exception's data counts, whatever its attributes do."""
    with _ATTRIBUTES:
        return detail(exc)
    return ""


def _first_detail_of(exc: BaseException) -> str | None:
    with _ATTRIBUTES:
        return first_detail(exc)
    return ""


def _length(exc: BaseException) -> int:
    length = 0
    tb = exc.__traceback__
    while tb is not None:
        length += 1
        tb = tb.tb_next
    return length


def _walk(exc: BaseException) -> Iterator[TracebackType]:
    """Yield a trace's entries, outermost first; the middle of an enormous one is left out."""
    length = _length(exc)
    left_out = range(MAX_WALKED_FRAMES // 2, length - MAX_WALKED_FRAMES // 2)
    tb = exc.__traceback__
    for index in range(length):
        if tb is None:
            return
        if index not in left_out:
            yield tb
        tb = tb.tb_next


def _add_codes(exc: BaseException, found: dict[int, CodeType | None]) -> None:
    for tb in _walk(exc):
        code = tb.tb_frame.f_code
        found[id(code)] = code


def _linked(exc: BaseException) -> BaseException | None:
    """Return what an exception is shown to come from: its cause, else its context."""
    cause = exc.__cause__
    if cause is not None or exc.__suppress_context__:
        return cause
    return exc.__context__


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and up to MAX_CAUSES that it comes from, each once."""
    seen: set[int] = set()
    linked: BaseException | None = exc
    while linked is not None and id(linked) not in seen and len(seen) <= MAX_CAUSES:
        seen.add(id(linked))
        yield linked
        linked = _linked(linked)


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of a group that are no groups, at most MAX_LEAVES of them."""
    if not isinstance(exc, BaseExceptionGroup):
        return
    waiting = [exc]
    found = 0
    while waiting:
        for inner in waiting.pop().exceptions:
            if isinstance(inner, BaseExceptionGroup):
                waiting.append(inner)
            elif found < MAX_LEAVES:
                found += 1
                yield inner
        if found >= MAX_LEAVES:
            return


def _is_translation(exc: BaseException, trace: list[TracebackType]) -> bool:
    """Tell whether the context was caught by the very function that raised `exc` instead.

    Otherwise a handler failed on the way: an accident that says nothing of this error.
    """
    context = exc.__context__
    if context is None or exc.__suppress_context__ or not trace:
        return False
    caught = context.__traceback__
    return caught is not None and caught.tb_frame.f_code is trace[-1].tb_frame.f_code


def _is_importable(type_: type) -> bool:
    """Tell whether a class is where its name says, as one written in a module's source is."""
    found: object = sys.modules.get(type_.__module__)
    for part in type_.__qualname__.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is type_


def _remember(memory: dict[Any, Any], key: object, value: object) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()  # rare, and what is in use is back at once
    memory[key] = value
