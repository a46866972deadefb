"""Exceptions that fight back: captured or cut, never a crash, a hang, or memory without bound."""

import asyncio
import gc
import json
import pickle
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest
from stored import batch, frame

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime import texts
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.record import Record, current
from watchkeeper.storage import open_store
from watchkeeper.storage.store import Event, IssueCount, Store

SCOPE = Scope(service="shop", environment="test", release="r7")
MB = 1_000_000


@pytest.fixture
def issues() -> Issues:
    """An empty capture."""
    return Issues(SCOPE, clock=lambda: 1_000_000.0)


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    """Forget which texts were late, and what was swallowed, before and after each test."""
    take_errors()
    texts._late.clear()
    texts._waiting.clear()
    yield
    texts._late.clear()
    texts._waiting.clear()


def raised(exc: BaseException) -> BaseException:
    """Raise an exception and return it, with its trace."""
    try:
        raise exc
    except BaseException as caught:  # noqa: BLE001  # whatever it is: it is what is looked at
        return caught


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a text as shortly as in production."""
    monkeypatch.setattr(texts, "PATIENCE_S", 0.05)


def captured(issues: Issues, exc: BaseException) -> tuple[IssueCount, Event]:
    """Capture one exception and return its count and its event, which must be plain JSON."""
    assert issues.capture(exc) is not None
    (count,), (event,) = issues.take()
    text = json.dumps(event.data, allow_nan=False)
    assert len(text) <= 256_000
    assert 1 == count.count
    return count, event


def recursing(depth: int) -> None:
    """Recurse, then fail."""
    if depth == 0:
        raise ValueError("bottom")
    recursing(depth - 1)


# ── groups, causes, traces ──────────────────────────────────────────────────────────────────────


def test_a_group_of_thousands_is_cut(issues: Issues):
    """Of five thousand members eight are shown, and the group is one issue."""
    group = ExceptionGroup("many", [raised(ValueError(number)) for number in range(5_000)])

    _, event = captured(issues, raised(group))

    assert 8 == len(event.data["group"])
    assert "many (5000 sub-exceptions)" == event.data["message"]


def test_groups_in_groups_in_groups_end(issues: Issues):
    """A group a thousand deep is captured with the error at its bottom."""
    group: Exception = raised(KeyError("a"))  # type: ignore[assignment]
    for _ in range(1_000):
        group = ExceptionGroup("g", [group])

    _, event = captured(issues, group)

    assert ["KeyError"] == [leaf["type"] for leaf in event.data["group"]]


def test_a_group_of_nothing_but_hostile_members_is_captured(issues: Issues):
    """Members that raise whatever is asked of them do not spoil their group."""
    _, event = captured(issues, raised(ExceptionGroup("g", [hostile(), hostile()])))

    assert 2 == len(event.data["group"])


def test_a_hundred_causes_are_cut_to_eight(issues: Issues):
    """A long chain is shown by its nearest eight."""
    exc = raised(ValueError(0))
    for number in range(100):
        outer = raised(ValueError(number))
        outer.__cause__ = exc
        exc = outer

    _, event = captured(issues, exc)

    assert 8 == len(event.data["causes"])


@pytest.mark.parametrize("attribute", ["__cause__", "__context__"])
def test_cycles_made_by_hand_end(issues: Issues, attribute: str):
    """Three exceptions that lead to each other in a circle are shown once each."""
    one, two, three = (raised(ValueError(number)) for number in range(3))
    for exc, led_by in ((one, two), (two, three), (three, one)):
        setattr(exc, attribute, led_by)

    _, event = captured(issues, one)

    assert ["1", "2"] == [cause["message"] for cause in event.data["causes"]]


def test_a_group_that_is_its_own_cause_ends(issues: Issues):
    """A cycle through a group and its member is walked once."""
    member = raised(ValueError("a"))
    group = raised(ExceptionGroup("g", [member]))  # type: ignore[list-item]
    member.__cause__ = group
    group.__cause__ = member

    captured(issues, group)


def test_ten_thousand_frames_are_cut(issues: Issues):
    """The outermost thirty and the innermost seventy of a deep trace are kept."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        recursing(10_000)
    except ValueError as exc:
        _, event = captured(issues, exc)
    finally:
        sys.setrecursionlimit(before)

    assert 100 == len(event.data["frames"])
    assert 10_002 - 100 == event.data["omitted"]


def test_endless_recursion_is_one_issue(issues: Issues):
    """The interpreter's own limit is an error like any other."""

    def forever() -> None:
        forever()

    def fail() -> BaseException:
        with pytest.raises(RecursionError) as caught:
            forever()
        return caught.value

    assert issues.capture(fail()) == issues.capture(fail())


def test_a_trace_taken_away_or_put_in_its_place_is_used_as_it_is(issues: Issues):
    """Without a trace there are no frames; another's trace is shown."""
    without = raised(ValueError("a")).with_traceback(None)
    other = ValueError("b").with_traceback(raised(KeyError("c")).__traceback__)

    assert [] == captured(issues, without)[1].data["frames"]
    assert ["raised"] == [frame["function"] for frame in captured(issues, other)[1].data["frames"]]


# ── notes ───────────────────────────────────────────────────────────────────────────────────────


def noted(*notes: object) -> BaseException:
    """Raise an exception with notes, whatever they are."""
    exc = raised(ValueError("a"))
    exc.__notes__ = list(notes)  # type: ignore[attr-defined]
    return exc


def test_notes_are_shown_and_scrubbed(issues: Issues):
    """What `add_note` added is in the event, of causes and members too, without secrets."""
    exc = raised(ValueError("a"))
    exc.add_note("order 17")
    exc.add_note("password=hunter2-fake")
    exc.__cause__ = noted("of the cause")
    group = ExceptionGroup("g", [noted("of the member")])  # type: ignore[list-item]

    _, event = captured(issues, exc)
    _, of_group = captured(issues, group)

    assert ["order 17", "password=[masked]"] == event.data["notes"]
    assert ["of the cause"] == event.data["causes"][0]["notes"]
    assert ["of the member"] == of_group.data["group"][0]["notes"]


def test_notes_are_cut(issues: Issues):
    """Ten notes are kept, each of at most a thousand characters."""
    _, event = captured(issues, noted("x" * 10 * MB, *(str(n) for n in range(10_000))))

    assert 10 == len(event.data["notes"])
    assert 1_000 == len(event.data["notes"][0])


class Refusing:
    """Has no text."""

    __str__ = __repr__ = lambda self: 1 / 0  # type: ignore[assignment]


class Loud(str):
    """A text that raises when it is used."""

    __slots__ = ()

    def __getitem__(self, at: object) -> str:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        (["(int)", "(NoneType)", "(object)"], noted(7, None, object())),
        (["loud", "(Refusing)"], noted(Loud("loud"), Refusing())),
    ],
)
def test_notes_that_are_no_texts_are_named(issues: Issues, expected: list[str], exc: Any):
    """Whatever a hand-made list of notes holds, nothing of it is called."""
    assert expected == captured(issues, exc)[1].data["notes"]


@pytest.mark.parametrize("notes", [7, "text", {"a": 1}, iter(["a"])])
def test_notes_that_are_no_list_are_left_out(issues: Issues, notes: object):
    """A `__notes__` of another type is not walked."""
    exc = raised(ValueError("a"))
    exc.__notes__ = notes  # type: ignore[attr-defined]

    assert [] == captured(issues, exc)[1].data["notes"]


# ── texts that raise, block, or are enormous ────────────────────────────────────────────────────


def telling(tell: Callable[[Any], object], base: type[BaseException] = Exception) -> Any:
    """Make and raise an exception whose text a function makes; it has one argument, 17."""
    return raised(type("ToldError", (base,), {"__str__": tell, "__repr__": tell})(17))


def leave(self: object) -> str:
    """End the process, or try to."""
    raise SystemExit(1)


def interrupt(self: object) -> str:
    """Behave as if somebody had pressed a key."""
    raise KeyboardInterrupt


def fail(self: object) -> str:
    """Raise another exception of this kind."""
    raise type(self)  # type: ignore[misc]  # an exception's type


@pytest.mark.parametrize("tell", [leave, interrupt, fail, lambda self: 7, lambda self: None])
def test_a_text_that_raises_is_said_to_be_unreadable(issues: Issues, tell: Any):
    """Whatever `__str__` raises stays inside, even what would end the process."""
    count, event = captured(issues, telling(tell))

    assert "(its text could not be read)" == event.data["message"]
    assert "ToldError: (its text could not be read)" == count.title
    assert {"exception text"} == set(take_errors())


def test_a_text_of_the_applications_own_is_shown(issues: Issues):
    """Most exceptions with a `__str__` are harmless, and what they say is wanted."""
    _, event = captured(issues, telling(lambda self: f"order {self.args[0]} is closed"))

    assert "order 17 is closed" == event.data["message"]


@pytest.mark.usefixtures("impatient")
def test_a_text_that_blocks_holds_up_one_capture_only(issues: Issues):
    """A type whose text is late is not asked again; its arguments stand for the text."""
    asked: list[object] = []
    released = threading.Event()

    def wait(self: object) -> str:
        asked.append(self)
        released.wait()
        return "late"

    kind = type("SlowError", (Exception,), {"__str__": wait})
    _, first = captured(issues, raised(kind(17, "a")))
    for number in range(50):
        issues.capture(raised(kind(number)))
    released.set()

    assert "(its text took too long) (17, 'a')" == first.data["message"]
    assert 1 == len(asked)
    assert 50 == sum(count.count for count in issues.take()[0])


@pytest.mark.usefixtures("impatient")
def test_a_text_that_blocks_bars_no_other_arguments(issues: Issues):
    """An argument that blocks says nothing of errors of the same type without it."""
    released = threading.Event()
    slow = type("Slow", (), {"__repr__": lambda self: released.wait() and "x"})
    issues.capture(raised(ValueError([slow()])))
    issues.take()
    released.set()

    _, event = captured(issues, raised(ValueError({"sku": Decimal("1.50")}, [object])))

    assert "({'sku': Decimal('1.50')}, [<class 'object'>])" == event.data["message"]


def test_values_of_the_standard_library_are_written_at_once(issues: Issues, monkeypatch):
    """No thread is needed for them; a class that only has the name of one is another matter."""
    monkeypatch.setattr(texts, "_asked", lambda exc, kinds: "asked")
    number = UUID(int=7)
    fake = type("UUID", (), {"__module__": "uuid"})

    messages = [
        texts.text_of(error)
        for error in (
            ValueError(number),
            ValueError({"a": [number, (1, None)]}),
            ValueError(fake()),
        )
    ]

    assert [str(number), f"{{'a': [{number!r}, (1, None)]}}", "asked"] == messages


@pytest.mark.usefixtures("impatient")
def test_texts_that_wait_for_a_lock_of_this_thread_do_not_deadlock(issues: Issues):
    """The thread that captures may hold the lock that a text wants."""
    lock = threading.Lock()

    def wait(self: object) -> str:
        with lock:
            return "free"

    with lock:
        _, event = captured(issues, telling(wait))

    assert "(its text took too long) 17" == event.data["message"]


@pytest.mark.usefixtures("impatient")
def test_few_threads_wait_for_texts(issues: Issues):
    """However many types block, four threads wait, and what they hold is all that stays."""
    released = threading.Event()
    kinds = [
        type(f"Slow{letter}Error", (Exception,), {"__str__": lambda self: released.wait() and "x"})
        for letter in "abcdefgh"
    ]
    for kind in kinds:
        assert issues.capture(raised(kind(1))) is not None
    waiting = [one for one in threading.enumerate() if one.name == "watchkeeper-text"]
    released.set()
    for one in waiting:
        one.join()

    assert 4 == len(waiting)


def test_a_text_that_captures_its_own_exception_ends(issues: Issues):
    """A `__str__` that reports the error it belongs to is no endless loop."""

    def tell(self: BaseException) -> str:
        return f"reported as {issues.capture(self)}"

    _, event = captured(issues, telling(tell))

    assert "reported as None" == event.data["message"]


def test_an_argument_that_raises_does_not_spoil_the_capture(issues: Issues):
    """The text of a built-in exception is made of its arguments, whose code may fail too."""
    argument = type("Argument", (), {"__str__": leave, "__repr__": leave})()

    for exc in (
        ValueError(argument),
        KeyError(argument),
        OSError(2, argument),
        ValueError(1, argument),
    ):
        assert "(its text could not be read)" == captured(issues, raised(exc))[1].data["message"]


def test_an_enormous_message_is_cut_without_being_copied(issues: Issues):
    """A hundred megabytes of text, as one argument, as a key, as one of two, take no more room."""
    text = "x" * 100 * MB
    exceptions = [raised(exc) for exc in (ValueError(text), KeyError(text), ValueError(1, text))]
    tracemalloc.start()
    for exc in exceptions:
        assert issues.capture(exc) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5 * MB
    assert {2_000} == {len(event.data["message"]) for event in issues.take()[1]}


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        ("b'\\xff\\x00'", ValueError(b"\xff\0")),
        ("(1, 'a', None)", ValueError(1, "a", None)),
        ("", ValueError()),
        ("(its text could not be read)", ValueError(Loud("loud"))),
        ("('a', ('b', 1))", ValueError("a", ("b", 1))),
    ],
)
def test_odd_arguments_are_shown(issues: Issues, expected: str, exc: BaseException):
    """Bytes, nothing, several, and texts that do not want to be read."""
    assert expected == captured(issues, raised(exc))[1].data["message"]


# ── attributes and types that fight back ────────────────────────────────────────────────────────


def refuse(*anything: object) -> Any:
    """Raise, whatever was asked."""
    raise RuntimeError("no")


def hostile() -> Any:
    """Make an exception of which every attribute that we read is a property that raises."""
    names = [
        *("__class__", "__dict__", "__traceback__", "__cause__", "__context__", "args", "errno"),
        *("__suppress_context__", "__notes__", "status", "status_code", "response", "exceptions"),
        "__watchkeeper_fingerprint__",
    ]
    refusing = {name: property(refuse) for name in names}
    methods = dict.fromkeys(("__bool__", "__eq__", "__getattr__", "__reduce__"), refuse)
    return type("HostileError", (Exception,), {**refusing, **methods, "__hash__": None})("x")


def test_attributes_that_raise_are_read_past(issues: Issues):
    """What the interpreter holds of an exception is read, not what its class says of it."""
    count, event = captured(issues, raised(hostile()))

    assert ["raised"] == [frame["function"] for frame in event.data["frames"]]
    assert count.type.endswith("HostileError")


def test_attributes_that_leave_the_process_are_read_past(issues: Issues):
    """A property that raises SystemExit ends nothing."""
    kind = type(
        "LeavingError",
        (OSError,),
        {"__watchkeeper_fingerprint__": property(leave), "errno": property(leave)},
    )

    captured(issues, raised(kind("x")))


ASKED: list[object] = []


def ask(*anything: object) -> int:
    """Note that somebody asks."""
    ASKED.append(anything)
    return 503


def computing(name: str, base: type[BaseException]) -> BaseException:
    """Make an exception whose class computes an attribute."""
    return type(f"Own{base.__name__}", (base,), {name: property(ask)})("x")


def answered() -> Exception:
    """Make a client's error whose response computes its status."""
    exc = ValueError("x")
    exc.response = type("Response", (), {"status_code": property(ask)})()  # type: ignore[attr-defined]
    return exc


@pytest.mark.parametrize(
    "exc",
    [
        computing("errno", OSError),
        computing("code", OSError),
        computing("code", SystemExit),
        answered(),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_attributes_that_the_application_computes_are_not_asked_for(
    issues: Issues, exc: BaseException
):
    """They may block, for as long as they like: what is held counts."""
    ASKED.clear()

    captured(issues, raised(exc))

    assert [] == ASKED


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "name", ["__watchkeeper_fingerprint__", "__getattr__", "__getattribute__"]
)
def test_a_class_that_computes_its_grouping_for_long_is_asked_once(issues: Issues, name: str):
    """It is waited for a moment, then its errors are grouped as any others."""
    asked: list[object] = []
    answers = threading.Event()

    def late(self: object, *names: object) -> None:
        asked.append(names)
        answers.wait(5)

    way = property(late) if name == "__watchkeeper_fingerprint__" else late
    kind = type("LateError", (Exception,), {name: way})

    found = {issues.capture(raised(kind("x"))) for _ in range(3)}

    assert 1 == len(asked)
    assert 1 == len(found)
    answers.set()


class RefusingType(type):
    """A metaclass that raises whatever is asked of its classes."""

    __mro__ = property(refuse)  # type: ignore[assignment]
    __name__ = property(refuse)  # type: ignore[assignment]

    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError

    def __getattribute__(cls, name: str) -> object:
        raise RuntimeError


def test_types_that_raise_are_read_past(issues: Issues):
    """A metaclass cannot hide what its class is called, nor where it was raised."""
    kind = RefusingType("MetaError", (Exception,), {})

    count, _ = captured(issues, raised(type.__call__(kind, "x")))

    assert count.type.endswith("MetaError")
    assert "MetaError: x" == count.title


@pytest.mark.parametrize("base", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_is_no_error_is_not_counted_however_hostile(issues: Issues, base: type):
    """An interruption stays one, though its text would raise."""
    assert issues.capture(telling(fail, base)) is None


@dataclass(frozen=True)
class FrozenError(Exception):
    """Refuses every attribute that is set."""

    order: int


class SlottedError(Exception):
    """Has slots, and a text that reads them."""

    __slots__ = ("order",)

    def __init__(self, order: int) -> None:
        super().__init__(order)
        self.order = order


@pytest.mark.parametrize("make", [lambda: FrozenError(1), lambda: SlottedError(1), hostile])
def test_exceptions_that_cannot_be_marked_by_name_are_counted_once(issues: Issues, make: Any):
    """The mark is put where the interpreter keeps an exception's attributes."""
    caught = raised(make())

    assert issues.capture(caught) is not None
    assert issues.capture(caught) is None


def test_a_marked_exception_can_be_pickled_and_raised_again(issues: Issues):
    """The mark goes along to another process, where the exception is still the same event."""
    exc = raised(ValueError("a"))
    issues.capture(exc)

    assert issues.capture(raised(pickle.loads(pickle.dumps(exc)))) is None  # noqa: S301


def test_an_exception_made_once_counts_in_each_request(issues: Issues):
    """One object that several requests raise is an occurrence in each; within one it is one."""
    singleton = ValueError("made once")
    for _ in range(3):
        token = current.set(Record.beginning(perf_counter()))
        issues.capture(raised(singleton))
        issues.capture(raised(singleton))
        current.reset(token)

    (count,), _ = issues.take()

    assert 3 == count.count


def test_a_job_within_a_request_and_the_request_see_one_event(issues: Issues):
    """An exception on its way out passes records that began before it was seen."""
    exc = raised(ValueError("a"))
    outer = current.set(Record.beginning(perf_counter()))
    inner = current.set(Record.beginning(perf_counter()))
    issues.capture(exc)
    current.reset(inner)

    assert issues.capture(exc) is None

    current.reset(outer)


def test_an_exception_of_a_finalizer_is_captured(issues: Issues):
    """Capturing within `__del__`, while another error is handled, works as everywhere."""

    class Leaving:
        def __del__(self) -> None:
            issues.capture(raised(ValueError("in __del__")))

    one: Any = Leaving()
    one.itself = one
    del one
    gc.collect()

    assert ["ValueError: in __del__"] == [count.title for count in issues.take()[0]]


def test_nothing_of_a_hostile_exception_stays_in_memory(issues: Issues):
    """Exceptions with texts of their own, notes and causes leave nothing behind."""
    kind = type("LongError", (Exception,), {"__str__": lambda self: "x" * 10_000})

    def once(number: int) -> None:
        exc = raised(kind(number))
        exc.add_note("n" * 10_000)
        exc.__cause__ = raised(KeyError(number))
        issues.capture(exc)

    def size_after(count: int) -> int:
        for number in range(count):
            once(number)
        issues.take()
        gc.collect()
        return sys.getallocatedblocks()

    sizes = [size_after(500) for _ in range(5)]

    # The least of four: an exception that stays is seen in each, what another thread does is not.
    assert min(after - before for before, after in pairwise(sizes)) < 500


# ── through a real store ────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def real_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Open an empty store of each kind that texts must fit."""
    opened = open_store(request.getfixturevalue(request.param))
    opened.migrate()
    yield opened
    opened.close()


def test_what_databases_refuse_is_stored_cleaned(issues: Issues, real_store: Store):
    """Lone surrogates, NUL, bytes and enormous texts come back from a real database, readable."""
    worker = real_store.register(SCOPE, host="web-1", pid=1, at=0.0)
    exc = raised(ValueError("\ud800 lone, \0 nul", b"\0\xff"))
    exc.add_note("\udfff note \0" + "x" * MB)
    exc.__cause__ = raised(KeyError("\ud800" * MB))
    issues.capture(exc, context={"\ud800": "\0"})
    issues.capture(raised(hostile()))
    issues.capture(telling(lambda self: "\0\udc80" * MB))

    counts, events = issues.take()
    real_store.write(batch(frame(10, worker.id), SCOPE, issues=counts, events=events))

    stored = real_store.issues(service="shop", environment="test", seen_since=0.0, limit=10)
    assert 3 == len(stored)
    for issue in stored:
        (event,) = real_store.events(issue.id, limit=10)
        text = json.dumps(event.data, ensure_ascii=False)
        assert "\0" not in text
        assert text == text.encode("utf-8").decode("utf-8")


class Proxy(Exception):  # noqa: N818  # as such classes are called
    """Has every attribute that it is asked for."""

    def __getattr__(self, name: str) -> object:
        return Proxy


def test_an_exception_with_every_attribute_has_no_fingerprint_of_its_own():
    """Only texts, or a list of them, are one: two bugs are two issues."""
    issues = Issues(SCOPE)

    def first() -> None:
        raise Proxy

    def second() -> None:
        raise Proxy

    for function in (first, second):
        try:
            function()
        except Proxy as error:
            issues.capture(error)

    assert 2 == len({count.fingerprint for count in issues.take()[0]})


class Comparing(type):
    """Compares classes in its own way, so that they have no hash."""

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError


class ComparedError(Exception, metaclass=Comparing):
    """Of a class that cannot be a key of a dict."""


def test_an_exception_whose_class_has_no_hash_is_captured():
    """As any other."""
    issues = Issues(SCOPE)

    for _ in range(2):
        try:
            raise ComparedError
        except Exception as error:  # noqa: BLE001  # the class compares with nothing
            issues.capture(error)

    assert [2] == [count.count for count in issues.take()[0]]
