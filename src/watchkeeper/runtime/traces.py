"""The walk over a live exception: its memo key, its description, its snapshot.

Nothing that these return holds an exception, a traceback or a frame: code objects, line numbers
and texts only. Whoever calls holds the exception for as long as the call takes.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice, repeat
from types import CodeType, TracebackType
from typing import Any, Final

from watchkeeper.core.fingerprint import MAX_CAUSES
from watchkeeper.core.masking import mask_digits, type_name
from watchkeeper.core.masking import parametrize as parametrize_message
from watchkeeper.core.placing import COMPREHENSIONS
from watchkeeper.core.raised import SAME, Raised, TraceFrame
from watchkeeper.core.syntax import Statement, is_operator
from watchkeeper.runtime.bare import (
    attribute_of,
    cause_of,
    context_of,
    is_importable,
    is_plain,
    module_of,
    qualname_of,
    state_of,
    traceback_of,
)
from watchkeeper.runtime.details import detail, first_detail, may_be_expected, may_have_detail
from watchkeeper.runtime.endpoints import Endpoint, ViewMethod
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.links import (
    add_kept,
    chain,
    is_translation,
    leaves_of,
    length_of,
    walk,
)
from watchkeeper.runtime.own_fingerprint import may_have_own
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.source import FailingStatements, Instruction
from watchkeeper.runtime.texts import notes_of, text_of

OUTERMOST_FRAMES: Final = 30
INNERMOST_FRAMES: Final = 70
MAX_KEY_ENTRIES: Final = 1_024  # of a trace, and of all; see `Traces.key`
MAX_KEY_INNERMOST: Final = 512
HEAD_ENTRIES: Final = 2  # of a key, before its trace: endpoint and type
MAX_STATEMENTS: Final = 3  # operators that use operators
MAX_SHOWN_LEAVES: Final = 8
MAX_REMEMBERED: Final = 4_096  # types and code objects

_ATTRIBUTES = guard("exception attributes", of_host=True)


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
    `notes` are those of `add_note`. `relation` is how it led to the one before: "cause" (`raise …
    from`) or "context".
    """

    type: str
    message: str
    spots: tuple[Spot, ...]
    omitted: int = 0
    notes: tuple[str, ...] = ()
    relation: str = ""
    causes: tuple["Snapshot", ...] = ()
    leaves: tuple["Snapshot", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is the same for all exceptions of a type, worked out once; `of` keeps its id taken."""

    of: type
    name: str
    expectable: bool
    detailed: bool
    group: bool
    is_plain: bool  # attributes of its exceptions may be read without ceremony
    is_special: bool  # may be nothing to capture, or be captured with others
    may_have_own: bool  # the class may say how its exceptions are grouped


class Traces:
    """Reads exceptions for one project; remembers a bounded number of types and code objects.

    Safe to use from any thread: what two threads work out at once is equal.
    """

    def __init__(self, places: Places | None = None) -> None:
        """Tell by `places` whose code it is; `statements` are those of it that were read."""
        self._places = places or Places()
        self.statements = FailingStatements()
        # by id: a metaclass may compare as it likes, and comparing code objects compares their
        # bytecode; the entry keeps the id taken
        self._kinds: dict[int, Kind] = {}
        self._frames: dict[int, tuple[CodeType, TraceFrame]] = {}

    def kind(self, type_: type[BaseException]) -> Kind:
        """Return what is known of a type."""
        found = self._kinds.get(id(type_))
        if found is None:
            expectable = may_be_expected(type_)
            group = issubclass(type_, BaseExceptionGroup)
            found = Kind(
                of=type_,
                name=type_name(
                    str(module_of(type_)),
                    qualname_of(type_),
                    made_at_run_time=not is_importable(type_),
                ),
                expectable=expectable,
                detailed=may_have_detail(type_),
                group=group,
                is_plain=is_plain(type_),
                is_special=expectable or group,
                may_have_own=may_have_own(type_),
            )
            _remember(self._kinds, id(type_), found)
        return found

    def key(self, exc: BaseException, endpoint: Endpoint | None) -> tuple[object, ...]:
        """Return what decides the fingerprint, for a memo.

        Equal keys have equal fingerprints for as long as what is `kept` lives. Of a trace of more
        than MAX_KEY_ENTRIES (deep recursion) the outermost and the innermost stand for all, with
        which ones there are: how deep it went counts for nothing, since a fingerprint folds it.
        """
        key: list[object] = [id(endpoint)]
        self._add_one(exc, key, expand=True)
        if cause_of(exc) is not None or context_of(exc) is not None:
            self._add_chain(exc, key, expand=True)
        if len(key) > MAX_KEY_ENTRIES:
            return ("long", len(key), hash(tuple(key)), hash(tuple(reversed(key))))
        return tuple(key)

    def describe(self, exc: BaseException, endpoint: Endpoint | None) -> Raised:
        """Describe an exception with its causes and the leaves of its group."""
        return self._describe(exc, endpoint, above=(), expand=True)

    def kept(self, exc: BaseException, endpoint: Endpoint | None) -> tuple[object, ...]:
        """Return the code objects and types whose identity is part of the key."""
        found: dict[int, object] = {id(endpoint): endpoint}
        for link in chain(exc):
            for leaf in leaves_of(link):
                for one in chain(leaf):
                    add_kept(one, found)
            add_kept(link, found)
        return tuple(found.values())

    def snapshot(self, exc: BaseException) -> Snapshot:
        """Take what is shown of an exception, its causes and the first leaves of its group."""
        causes = []
        before = exc
        for linked in islice(chain(exc), 1, None):
            relation = "cause" if cause_of(before) is linked else "context"
            causes.append(self._snapshot(linked, relation=relation))
            before = linked
        return self._snapshot(exc, causes=tuple(causes))

    def _add_chain(self, exc: BaseException, key: list[object], *, expand: bool) -> None:
        """Add what an exception comes from; with `expand` the leaves of groups too."""
        for linked in islice(chain(exc), 1, None):
            key.append(context_of(linked) is None)
            self._add_one(linked, key, expand=expand)

    def _add_one(self, exc: BaseException, key: list[object], *, expand: bool) -> None:
        type_ = type(exc)
        identity = id(type_)
        kind = self._kinds.get(identity) or self.kind(type_)
        key.append(identity)
        tb = traceback_of(exc)
        if tb is None:
            key.append(parametrize_message(text_of(exc)))
        append = key.append
        for _ in repeat(None, MAX_KEY_ENTRIES):
            if tb is None:
                break
            # an instruction lies within its code object, so no two have the same sum
            append(id(tb.tb_frame.f_code) + tb.tb_lasti)
            tb = tb.tb_next
        else:
            append(_rest_of(tb))
        if kind.detailed or state_of(exc):
            key.append(detail_of(exc))
        if kind.group and expand:
            for leaf in leaves_of(exc):
                self._add_one(leaf, key, expand=False)
                self._add_chain(leaf, key, expand=False)

    def _describe(
        self,
        exc: BaseException,
        endpoint: Endpoint | None,
        *,
        above: tuple[int, ...],
        expand: bool,
    ) -> Raised:
        """Describe one exception; `above` are the ids of those that it led to."""
        trace = list(walk(exc))
        cause = cause_of(exc)
        if cause is None and is_translation(exc, trace):
            cause = context_of(exc)
        path = (*above, id(exc))
        if id(cause) in path or len(path) > MAX_CAUSES:
            cause = None
        leaves = leaves_of(exc) if expand else ()
        statement, spot = self._failing(trace)
        message = "" if trace else text_of(exc)
        view = endpoint if isinstance(endpoint, ViewMethod) else None
        code = endpoint.code if isinstance(endpoint, ViewMethod) else endpoint
        return Raised(
            type=self.kind(type(exc)).name,
            frames=[self._frame(tb) for tb in trace],
            endpoint=self._endpoint(code, trace),
            view=None if view is None else self._places.view(view),
            first_endpoint=SAME if view is None else self._endpoint(view.first, trace),
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

    def _failing(
        self, trace: list[TracebackType]
    ) -> tuple[Statement | None, tuple[Instruction, ...] | None]:
        """Return the statement that failed in the application, or where it is to be read.

        Before it is read, something that is equal for the same instructions stands for it.
        """
        spots = tuple(
            Instruction(tb.tb_frame.f_code, tb.tb_lasti) for tb in self._failed_in(trace)
        )
        if not spots:
            return None, None
        if self.statements.are_known(spots):
            return self.statements.known(spots), None
        return Statement(digest="?" + ":".join(f"{id(s.code)}+{s.offset}" for s in spots)), spots

    def _failed_in(self, trace: list[TracebackType]) -> list[TracebackType]:
        """Return where the failing statement stands, innermost first.

        In the innermost frame which the place is made of: a comprehension's statement is that of
        its function, and an operator's is that of who used it as well.
        """
        found: list[TracebackType] = []
        looked_through: list[TracebackType] = []
        for tb in reversed(trace):
            frame = self._frame(tb)
            if not frame.application or frame.function in COMPREHENSIONS:
                continue
            if frame.transparent:
                looked_through.append(tb)
                continue
            found.append(tb)
            if not is_operator(frame.function) or len(found) >= MAX_STATEMENTS:
                break
        return found or looked_through[:1]

    def _compiled(self, exc: BaseException) -> str:
        """Return what counts of a SyntaxError: neither its line nor the number in a file name."""
        if not issubclass(type(exc), SyntaxError):
            return ""
        with _ATTRIBUTES:
            message, filename = attribute_of(exc, "msg"), attribute_of(exc, "filename")
            return f"{message} in {mask_digits(self._places.shown(str(filename)))}"
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
        trace = walk(exc)
        shown = list(islice(trace, OUTERMOST_FRAMES))
        inner: deque[TracebackType] = deque(maxlen=INNERMOST_FRAMES)
        inner.extend(trace)
        return Snapshot(
            type=self.kind(type(exc)).name,
            message=text_of(exc),
            spots=tuple(
                Spot(
                    frame=self._frame(tb),
                    filename=tb.tb_frame.f_code.co_filename,
                    line=tb.tb_lineno or 0,  # None for code that lost its line table
                )
                for tb in (*shown, *inner)
            ),
            omitted=length_of(exc) - len(shown) - len(inner),
            notes=notes_of(exc),
            relation=relation,
            causes=causes,
            leaves=tuple(
                self._snapshot(leaf) for leaf in islice(leaves_of(exc), MAX_SHOWN_LEAVES)
            ),
        )


def _rest_of(tb: TracebackType | None) -> tuple[object, ...]:
    """Return what stands for the rest of a long trace in a key; see `Traces.key`."""
    entries: set[int] = set()
    innermost: deque[int] = deque(maxlen=MAX_KEY_INNERMOST)
    while tb is not None:
        entry = id(tb.tb_frame.f_code) + tb.tb_lasti
        entries.add(entry)
        innermost.append(entry)
        tb = tb.tb_next
    return (hash(frozenset(entries)), *innermost)


def detail_of(exc: BaseException) -> str:
    """Return what of an exception's data counts, whatever its attributes do."""
    with _ATTRIBUTES:
        return detail(exc)
    return ""


def _first_detail_of(exc: BaseException) -> str | None:
    with _ATTRIBUTES:
        return first_detail(exc)
    return ""


def _remember(memory: dict[Any, Any], key: object, value: object) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()  # rare, and what is in use is back at once
    memory[key] = value
