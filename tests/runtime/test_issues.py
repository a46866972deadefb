"""Capturing errors: exact counts, sampled events, bounds, and nothing kept alive."""

import asyncio
import gc
import json
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from watchkeeper.core.fingerprint import Raised
from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.groups import FIRST_SAMPLES_PER_S, SAMPLES_PER_S
from watchkeeper.runtime.issues import MANY_LATE, MAX_DEPTH, Issues
from watchkeeper.runtime.memo import MAX_MEMO
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import RequestContext
from watchkeeper.runtime.traces import Snapshot

SCOPE = Scope(service="shop", environment="test", release="r7")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


@pytest.fixture
def issues(clock: Clock, tmp_path: Path) -> Issues:
    """An empty capture for a project in `tmp_path`."""
    return Issues(SCOPE, places=Places(str(tmp_path)), clock=clock)


def build(tmp_path: Path, source: str, name: str = "shop_cart") -> SimpleNamespace:
    """Run a source file of the project and return its names."""
    path = tmp_path / "src" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dedent(source), encoding="utf-8")
    names: dict[str, Any] = {"__name__": name}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)  # noqa: S102
    return SimpleNamespace(**names)


def raised(function: Callable[..., object], *args: object) -> BaseException:
    """Call and return what it raises."""
    try:
        function(*args)
    except BaseException as exc:  # noqa: BLE001  # whatever it is: it is what is looked at
        return exc
    raise AssertionError("nothing was raised")


def missing(key: str) -> None:
    """Fail with a KeyError."""
    raise KeyError(key)


def kind(number: int) -> BaseException:
    """Return an exception of a type of its own."""
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
    return type(f"Error{letters}", (Exception,), {})("no")


# ── counting ────────────────────────────────────────────────────────────────────────────────────


def test_every_occurrence_is_counted(issues: Issues, clock: Clock):
    """The count of a slot is exact and has its first and last moment."""
    for _ in range(1000):
        known = issues.capture(raised(missing, "SKU-1"))
        clock.now += 1

    counts, _ = issues.take()

    assert [1000] == [count.count for count in counts]
    assert known is not None
    assert known.fingerprint == counts[0].fingerprint
    assert (1_000_000.0, 1_000_999.0) == (counts[0].first_at, counts[0].last_at)
    assert ("KeyError", "KeyError: 'SKU-1'", "error") == (
        counts[0].type,
        counts[0].title,
        counts[0].level,
    )
    assert counts[0].culprit.endswith("test_issues:missing")
    assert ([], []) == issues.take()


def test_threads_lose_no_occurrence(issues: Issues):
    """Sixteen threads count exactly while the flusher takes."""
    total = 0
    done = threading.Event()

    def fail(number: int) -> None:
        for i in range(500):
            issues.capture(raised([missing, build_error][i % 2], str(number)))

    def flush() -> None:
        nonlocal total
        while not done.is_set():
            total += sum(count.count for count in issues.take()[0])

    flusher = threading.Thread(target=flush)
    flusher.start()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fail, range(16)))
    done.set()
    flusher.join()
    total += sum(count.count for count in issues.take()[0])

    assert 8000 == total


def build_error(text: str) -> None:
    """Fail with a ValueError."""
    raise ValueError(text)


def test_one_exception_is_one_event(issues: Issues):
    """The same object captured again, while it propagates or is logged, counts once."""
    exc = raised(missing, "a")

    assert issues.capture(exc) is not None
    assert issues.capture(exc) is None
    assert issues.capture(raised(missing, "b")) is not None
    assert issues.capture(exc) is None
    assert 2 == issues.take()[0][0].count


def test_a_frozen_exception_is_counted_once(issues: Issues):
    """An exception that refuses attributes is marked all the same."""

    class FrozenError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    exc = FrozenError("x")

    assert issues.capture(exc) is not None
    assert issues.capture(exc) is None


def test_a_captured_exception_can_be_pickled(issues: Issues):
    """The mark does not hinder process pools."""
    exc = raised(missing, "a")
    issues.capture(exc)

    assert ("a",) == pickle.loads(pickle.dumps(exc)).args  # noqa: S301


def test_a_new_issue_calls_once(clock: Clock):
    """`on_new` tells the flusher of the first occurrence in this process only."""
    calls: list[int] = []
    issues = Issues(SCOPE, clock=clock, on_new=lambda: calls.append(1))
    for _ in range(3):
        issues.capture(raised(missing, "a"))
        issues.take()

    assert [1] == calls

    issues.capture(raised(build_error, "a"))

    assert [1, 1] == calls


def test_a_failing_callback_harms_nobody():
    """What `on_new` raises is swallowed; the error is counted."""
    issues = Issues(SCOPE, on_new=lambda: build_error("x"))

    assert issues.capture(raised(missing, "a")) is not None
    assert 1 == issues.take()[0][0].count


def test_beyond_the_cap_errors_are_counted_as_other():
    """The thousand-and-first issue of a slot goes to one that is called (other)."""
    issues = Issues(SCOPE, max_issues=3)
    for number in range(10):
        issues.capture(kind(number))
    issues.capture(kind(0))

    counts = {count.type: count.count for count in issues.take()[0]}

    assert 4 == len(counts)
    assert 2 == next(iter(counts.values()))
    assert 7 == counts["(other)"]
    assert 7 == issues.groups.dropped


def test_memory_stays_flat_with_many_different_errors(issues: Issues):
    """Ten thousand different errors leave a bounded number of things behind."""
    for number in range(10_000):
        issues.capture(kind(number))

    assert 10_000 == issues.groups.dropped + 1000
    assert len(issues._memo._young) + len(issues._memo._old) <= MAX_MEMO
    assert 10_000 == sum(count.count for count in issues.take()[0])


def test_the_child_of_a_fork_starts_empty(issues: Issues):
    """`reset` forgets counts, samples and a lock that another thread held."""
    issues.capture(raised(missing, "a"))
    issues.groups.lock.acquire()

    issues.reset()

    assert ([], []) == issues.take()


# ── samples ─────────────────────────────────────────────────────────────────────────────────────


def test_samples_are_taken_at_the_powers_of_two(issues: Issues):
    """Of a thousand equal errors the 1st, 2nd, 4th, … 512th are stored."""
    for number in range(1, 1001):
        issues.capture(raised(missing, str(number)))

    _, events = issues.take()

    assert [f"'{2**n}'" for n in range(10)] == [event.data["message"] for event in events]
    assert 10 == len({event.id for event in events})


def test_samples_have_a_budget(issues: Issues, clock: Clock):
    """A storm of different errors takes a hundred first samples a second, and twenty others."""
    for number in [*range(300), *range(300)]:
        issues.capture(kind(number))

    _, events = issues.take()

    assert FIRST_SAMPLES_PER_S + SAMPLES_PER_S == len(events)
    assert 600 - len(events) == issues.groups.dropped_samples

    clock.now += 10
    issues.capture(kind(1))

    assert 1 == len(issues.take()[1])


def test_quick_flushes_do_not_sample_anew(issues: Issues, clock: Clock):
    """In trouble each second is written; still the 1st, 2nd, 4th … of ten seconds are stored."""
    stored = []
    for _ in range(20):
        for _ in range(10):
            issues.capture(raised(missing, "a"))
        clock.now += 1
        counts, events = issues.take()
        assert 10 == counts[0].count
        stored.append(len(events))

    assert [4, 4, 1, 0, 1, 0, 0, 1, 0, 0] == stored[:10]
    assert [4, 1, 0, 1, 0, 0, 1, 0, 0] == stored[10:19]


def test_a_sample_tells_the_request(issues: Issues):
    """The event carries method, route, status, request id, release, and its call path."""
    request = RequestContext(method="GET", route="/cart/{id}", status=500, request_id="abc")
    known = issues.capture(raised(missing, "a"), request=request, context={"order": 7})

    (event,) = issues.take()[1]

    assert ("GET", "/cart/{id}", 500, "abc", "r7") == (
        event.method,
        event.route,
        event.status,
        event.request_id,
        event.release,
    )
    assert known is not None
    assert (known.fingerprint, 1_000_000.0, 16) == (event.fingerprint, event.at, len(event.path))
    assert {
        "method": "GET",
        "route": "/cart/{id}",
        "status": 500,
        "request_id": "abc",
    } == event.data["request"]
    assert {"order": 7} == event.data["context"]


CART = """
    import json

    class Cart:
        def total(self, prices):
            api_key = "hunter2"
            return [prices[sku] for sku in self.skus]

        skus = ["a"]

    def checkout():
        try:
            return Cart().total({})
        except KeyError as error:
            raise RuntimeError("no checkout, password=hunter2") from error

    def parse():
        return json.loads("{")
"""


def test_a_sample_shows_frames_with_their_source(issues: Issues, tmp_path: Path):
    """Frames come outermost first, with module, function, file in the project, and source."""
    cart = build(tmp_path, CART)
    issues.capture(raised(cart.Cart().total, {}))

    (event,) = issues.take()[1]
    frames = event.data["frames"]
    frame = next(one for one in frames if one["function"] == "Cart.total")

    assert ("shop_cart", "src/shop_cart.py", 7, True) == (
        frame["module"],
        frame["file"],
        frame["line"],
        frame["app"],
    )
    assert [7, "        return [prices[sku] for sku in self.skus]"] in frame["source"]
    assert [6, "        api_key = [masked]"] in frame["source"]
    assert list(range(2, 13)) == [number for number, _ in frame["source"]]
    assert "raised" == frames[0]["function"]
    assert str(tmp_path) not in json.dumps(event.data)


def test_a_sample_shows_causes_and_why_it_is_grouped(issues: Issues, tmp_path: Path):
    """The event has what the error was made of, and the parts of the fingerprint."""
    issues.capture(raised(build(tmp_path, CART).checkout))

    (event,) = issues.take()[1]
    (cause,) = event.data["causes"]

    assert ("KeyError", "'a'", "cause") == (cause["type"], cause["message"], cause["relation"])
    assert "checkout" == cause["frames"][0]["function"]
    why = event.data["why"]["parts"]
    assert {"kind": "type", "text": "RuntimeError"} == why[0]
    assert ("cause", "KeyError") == (why[-1]["kind"], why[-1]["text"])
    assert ["type", "frame", "frame", "statement"] == [one["kind"] for one in why[-1]["parts"]]
    assert "no checkout, password=[masked]" == event.data["message"]


def test_library_frames_are_told_apart(issues: Issues, tmp_path: Path):
    """The standard library is no application; its files are shown without the machine's path."""
    issues.capture(raised(build(tmp_path, CART).parse))

    counts, (event,) = issues.take()
    decoder = event.data["frames"][-1]

    assert (False, "json/decoder.py", "json.decoder") == (
        decoder["app"],
        decoder["file"],
        decoder["module"],
    )
    assert "shop_cart:parse" == counts[0].culprit


def test_a_sample_of_a_group_shows_what_it_holds(issues: Issues):
    """An exception group's event has the errors within it."""
    issues.capture(ExceptionGroup("two", [raised(missing, "a"), ValueError("b")]))

    (event,) = issues.take()[1]

    assert [("KeyError", "'a'"), ("ValueError", "b")] == [
        (leaf["type"], leaf["message"]) for leaf in event.data["group"]
    ]


def test_secrets_in_the_context_are_masked(issues: Issues):
    """What `capture_exception` was given is scrubbed like everything else."""
    issues.capture(raised(missing, "a"), context={"order": 7, "token": "abc", "row": object()})

    (event,) = issues.take()[1]

    assert {"order": 7, "token": "[masked]", "row": "(object)"} == event.data["context"]


def test_source_is_read_from_ordinary_files_only(issues: Issues):
    """Code may say it comes from a device; that one is not read."""
    names: dict[str, Any] = {}
    exec(compile("def f(): return 1 / 0", "/dev/zero", "exec"), names)  # noqa: S102
    issues.capture(raised(names["f"]))

    (event,) = issues.take()[1]

    assert [] == event.data["frames"][-1]["source"]


# ── bounds and hostile exceptions ───────────────────────────────────────────────────────────────


def down(depth: int) -> None:
    """Recurse, then fail."""
    if depth == 0:
        raise ValueError("bottom")
    down(depth - 1)


def test_a_deep_recursion_is_cut(issues: Issues):
    """Of ten thousand frames the outermost thirty and the innermost seventy are kept."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        exc = raised(down, 10_000)
    finally:
        sys.setrecursionlimit(limit)

    issues.capture(exc)
    (event,) = issues.take()[1]

    assert 100 == len(event.data["frames"])
    assert 10_002 - 100 == event.data["omitted"]
    assert "raised" == event.data["frames"][0]["function"]
    assert "down" == event.data["frames"][-1]["function"]


def test_endless_causes_are_cut(issues: Issues):
    """A cycle of causes ends, and of a long chain eight are kept."""
    one, two = raised(missing, "a"), raised(missing, "b")
    one.__cause__, two.__cause__ = two, one
    chain = raised(missing, "c")
    for _ in range(50):
        outer = raised(build_error, "d")
        outer.__cause__ = chain
        chain = outer

    issues.capture(one)
    issues.capture(chain)
    events = issues.take()[1]

    assert [1, 8] == [len(event.data["causes"]) for event in events]


def test_a_group_of_groups_is_cut(issues: Issues):
    """Nested groups, whose members have groups as causes, end too."""
    group: BaseException = ValueError("x")
    for _ in range(100):
        group = ExceptionGroup("g", [group] * 3)  # type: ignore[list-item]
        group.__cause__ = group.exceptions[0]

    assert issues.capture(group) is not None
    assert 1 == len(issues.take()[1])


class UnprintableError(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class HostileError(Exception):
    """Refuses every attribute it does not have, is false, and equals everything."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "exc",
    [
        UnprintableError(),
        ValueError("\ud800 lone, \0 nul"),
        ValueError("x" * 10_000_000),
        type("Odd", (Exception,), {"__module__": None})("x"),
        ExceptionGroup("g", [UnprintableError(), ValueError("\udfff")]),
        SyntaxError("bad", ("<rule 17>", 3, 1, "if", 3, 2)),
        KeyError(object()),
        OSError(),
        OSError("no number"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
)
def test_odd_exceptions_are_captured(issues: Issues, exc: BaseException):
    """Whatever an exception is like, it is counted, and its event is plain JSON within the cap."""
    assert issues.capture(exc) is not None

    (count,), (event,) = issues.take()
    text = json.dumps(event.data, ensure_ascii=False, allow_nan=False)

    assert 1 == count.count
    assert len(text.encode()) <= 256_000
    assert len(event.data["message"]) <= 2_000
    assert len(count.title) <= 300
    assert "\0" not in text


def test_a_hostile_exception_raises_nothing(issues: Issues):
    """An exception that fights back is at worst not counted."""
    issues.capture(HostileError("x"))
    chained = raised(missing, "a")
    chained.__cause__ = HostileError("y")
    issues.capture(chained)

    assert 1 <= len(issues.take()[0])


def test_an_enormous_event_is_thinned(issues: Issues, tmp_path: Path):
    """Wide source lines in a hundred frames of nine exceptions stay below 256 kB."""
    wide = "\n".join(f"x{n} = {'9' * 300!r}" for n in range(5))
    module = build(tmp_path, f"{wide}\ndef down(n): return down(n - 1) if n else 1 / 0\n{wide}")
    chain = raised(module.down, 150)
    for _ in range(8):
        outer = raised(module.down, 150)
        outer.__cause__ = chain
        chain = outer

    issues.capture(chain)
    (event,) = issues.take()[1]

    assert len(json.dumps(event.data)) <= 256_000
    assert "ZeroDivisionError" == event.data["type"]


def test_an_enormous_context_is_cut(issues: Issues):
    """Of five megabytes of context the first 64 kB are kept, and nothing is held in between."""
    issues.capture(raised(missing, "a"), context={str(n): ["x" * 2000] * 50 for n in range(50)})

    (event,) = issues.take()[1]

    assert len(json.dumps(event.data["context"])) < 70_000
    assert "…" == event.data["context"]["…"]
    assert "missing" == event.data["frames"][-1]["function"]


def test_enormous_names_leave_the_trace_out(issues: Issues, tmp_path: Path):
    """Even an event that is large by its names alone is stored, with what remains."""
    name = "é" * 200
    source = f"def {name}(n): return {name}(n - 1) if n else 1 / 0"
    issues.capture(raised(vars(build(tmp_path, source, "é" * 120))[name], 150))

    (event,) = issues.take()[1]

    assert len(json.dumps(event.data)) <= 256_000
    assert ([], 152) == (event.data["frames"], event.data["omitted"])


def test_the_flusher_may_pause_between_events(issues: Issues):
    """`take` gives way after each new group and each event that it shaped."""
    pauses: list[int] = []
    issues.capture(raised(missing, "a"))
    issues.capture(raised(build_error, "a"))

    issues.take(pause=lambda: pauses.append(1))

    assert [1, 1, 1, 1] == pauses


def test_nothing_of_the_host_is_kept_alive(issues: Issues):
    """Neither the exception nor what its frames hold outlives the request."""

    class Held:
        pass

    class OwnError(Exception):
        pass

    def fail() -> None:
        held = Held()
        references.append(weakref.ref(held))
        raise OwnError

    references: list[weakref.ref[Any]] = []
    exc = raised(fail)
    references.append(weakref.ref(exc))
    issues.capture(exc, context={"row": Held()})
    del exc
    gc.collect()

    assert [None, None] == [reference() for reference in references]


def test_an_error_within_capture_is_not_captured(issues: Issues):
    """An exception's text that captures another error does not recurse."""
    results: list[str | None] = []

    class CapturingError(Exception):
        def __str__(self) -> str:
            results.append(issues.capture(ValueError("inner")))
            return "outer"

    issues.capture(CapturingError())

    assert {None} == set(results)
    assert ["CapturingError: outer"] == [count.title for count in issues.take()[0]]


# ── what is no error ────────────────────────────────────────────────────────────────────────────


def http_error(name: str, module: str, **state: object) -> BaseException:
    """Return an exception as a web framework makes it."""
    exc = type(name, (Exception,), {"__module__": module, "__qualname__": name})("x")
    exc.__dict__.update(state)
    return exc


@pytest.mark.parametrize(
    "exc",
    [
        asyncio.CancelledError(),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit(),
        SystemExit(0),
        http_error("ClientDisconnect", "starlette.requests"),
        http_error("HTTPException", "starlette.exceptions", status_code=404),
        http_error("HTTPException", "werkzeug.exceptions", code=403),
        BaseExceptionGroup("all", [asyncio.CancelledError(), SystemExit(0)]),
    ],
    ids=repr,
)
def test_expected_exceptions_are_no_issues(issues: Issues, exc: BaseException):
    """Cancellations, disconnects, clean exits and answers below 500 are not counted."""
    assert issues.capture(exc) is None
    assert ([], []) == issues.take()


@pytest.mark.parametrize(
    "exc",
    [
        SystemExit(1),
        http_error("HTTPException", "starlette.exceptions", status_code=503),
        http_error("HTTPException", "http.client"),
        http_error("HTTPStatusError", "httpx", status_code=404),
        BaseExceptionGroup("mixed", [asyncio.CancelledError(), ValueError("x")]),
    ],
    ids=repr,
)
def test_server_errors_and_received_answers_are_issues(issues: Issues, exc: BaseException):
    """An answer of 500 and above, and a 404 that the application *got*, are errors."""
    assert issues.capture(exc) is not None


def test_subclasses_of_expected_exceptions_are_expected(issues: Issues):
    """A framework's NotFound is an HTTPException."""
    base = type(http_error("HTTPException", "werkzeug.exceptions"))
    not_found = type("NotFound", (base,), {"code": 404})

    assert issues.capture(not_found()) is None


class Line:
    """An error that is told: a line of a log."""

    key = ("log", "shop.orders", "no paper")
    level = "critical"
    culprit = "shop/orders.py:print_one"
    context: Mapping[str, object] = MappingProxyType({"logger": "shop.orders"})

    def describe(self) -> Raised:
        return Raised(type="shop.orders", message="no paper")

    def snapshot(self) -> Snapshot:
        return Snapshot(type="shop.orders", message="no paper", spots=())


def test_an_error_that_is_told_is_counted_like_one_that_is_raised(issues: Issues, clock: Clock):
    """It has a fingerprint, a level, a place and samples, and may have happened earlier."""
    told = [issues.report(Line()), issues.report(Line(), at=clock.now - 60)]

    (count,), events = issues.take()
    assert [count.fingerprint] * 2 == [known.fingerprint for known in told if known is not None]
    assert ("critical", "shop/orders.py:print_one", 2) == (count.level, count.culprit, count.count)
    assert "orders: no paper" == count.title
    assert [clock.now, clock.now - 60] == [event.at for event in events]
    assert {"logger": "shop.orders"} == events[0].data["context"]


def test_a_held_error_counts_when_it_is_said_to(issues: Issues):
    """Described at once, counted by the flusher; an error that is handled meanwhile is not."""
    lost, handled = (issues.hold(error) for error in (KeyError("a"), ValueError("b")))
    assert lost is not None
    assert handled is not None

    issues.later(lost)

    assert issues.is_pressing
    counts, events = issues.take()
    assert [("KeyError", 1)] == [(count.type, count.count) for count in counts]
    assert ["'a'"] == [event.data["message"] for event in events]
    assert not issues.is_pressing


def test_a_held_error_may_still_be_captured(issues: Issues):
    """Holding one does not hide it from those who see it next; a captured one is not held."""
    error = KeyError("a")
    issues.hold(error)

    assert issues.capture(error) is not None
    assert issues.hold(error) is None


def test_a_storm_of_late_errors_counts_exactly(issues: Issues):
    """Nobody waits for the flusher when many do."""
    held = issues.hold(KeyError("a"))
    assert held is not None

    for _ in range(3 * MANY_LATE + 1):
        issues.later(held)

    (count,), _ = issues.take()
    assert (3 * MANY_LATE + 1, 0) == (count.count, issues.groups.dropped)


def test_late_errors_while_others_are_counted_are_bounded(
    issues: Issues, monkeypatch: pytest.MonkeyPatch
):
    """They wait; beyond a number of them the oldest are dropped, and counted as dropped."""
    monkeypatch.setattr("watchkeeper.runtime.issues.MAX_LATE", MANY_LATE + 1)
    issues.reset()
    held = issues.hold(KeyError("a"))
    assert held is not None

    with issues.groups.lock:  # as amid a collection of garbage in the thread that counts
        for _ in range(MANY_LATE + 2):
            issues.later(held)

    (count,), _ = issues.take()
    assert (MANY_LATE + 1, 1) == (count.count, issues.groups.dropped)


def test_what_fails_amid_a_capture_counts_but_not_without_end(clock: Clock):
    """A finalizer may run amid a capture, and one amid that; what is deeper counts as dropped."""

    class Page:
        def __del__(self) -> None:
            held = issues.hold(raised(missing, "SKU-1"))
            if held is not None:
                issues.later(held)

    def own(exc: BaseException) -> None:
        Page()

    issues = Issues(SCOPE, own=own, clock=clock)
    issues.capture(raised(missing, "SKU-2"))

    (count,), _ = issues.take()
    assert (1 + MAX_DEPTH, 1) == (count.count, issues.groups.dropped)
    assert issues.capture(raised(missing, "SKU-2")) is not None


class UnshownLine(Line):
    """One that cannot be shown."""

    def snapshot(self) -> Snapshot:
        raise RuntimeError


def test_an_error_of_which_no_sample_can_be_taken_counts(issues: Issues):
    """Each time, and its issue is there."""
    for _ in range(3):
        issues.report(UnshownLine())

    counts, events = issues.take()
    assert [3] == [count.count for count in counts]
    assert [] == events


def test_a_full_slot_takes_no_sample_of_what_it_has_no_room_for(tmp_path: Path):
    """It would be thrown away: the group of all others keeps none."""
    issues = Issues(SCOPE, max_issues=1)
    issues.capture(KeyError("a"))
    asked: list[object] = []

    class SoldOutError(Exception):
        def __str__(self) -> str:
            asked.append(self)
            return "sold out"

    try:
        raise SoldOutError
    except SoldOutError as error:
        issues.capture(error)

    assert 2 == sum(count.count for count in issues.take()[0])
    assert [] == asked


def test_call_paths_of_the_users_own_group_are_told_apart_in_any_number(
    issues: Issues, tmp_path: Path
):
    """With a fingerprint of the user's as without."""
    shop = build(
        tmp_path,
        """
        def pay(): raise ValueError("no")
        def by_card(): pay()
        def by_bill(): pay()
        """,
    )
    for function, times in ((shop.by_card, 150), (shop.by_bill, 350)):
        for _ in range(times):
            try:
                function()
            except ValueError as error:
                issues.capture(error, fingerprint=("billing",))

    counts, _ = issues.take()
    assert 1 == len({count.fingerprint for count in counts})
    assert [150, 350] == sorted(count.count for count in counts)


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_captured_group_holds_is_counted_with_it(issues: Issues, nested: bool):
    """Who logs its members afterwards, or a part of it, adds nothing."""
    part = BaseExceptionGroup("part", [KeyError("a"), ValueError("b")])
    group = BaseExceptionGroup("all", [part]) if nested else part

    assert issues.capture(group) is not None

    assert issues.capture(part.exceptions[1]) is None
    assert issues.capture(part) is None
    assert issues.capture(BaseExceptionGroup("split", list(part.exceptions))) is None


def test_a_group_that_holds_one_many_times_is_looked_at_once(issues: Issues):
    """However often: each step here doubles the paths to what is in it."""
    group: BaseException = asyncio.CancelledError()
    for _ in range(200):
        group = BaseExceptionGroup("twice", [group, group])

    assert issues.capture(group) is None


def test_a_very_deep_recursion_is_known_when_it_comes_again(
    issues: Issues, monkeypatch: pytest.MonkeyPatch
):
    """However deep it went; and is apart from another one."""
    limit = sys.getrecursionlimit()

    def sink(left: int) -> None:
        if not left:
            raise ValueError("ground")
        sink(left - 1)

    def fall(left: int) -> None:
        if not left:
            raise ValueError("ground")
        fall(left - 1)

    sys.setrecursionlimit(5_000)
    known = []
    try:
        for function, depth in ((sink, 2_000), (sink, 2_000), (sink, 3_000), (fall, 2_000)):
            try:
                function(depth)
            except ValueError as error:
                known.append(issues.known(error))
    finally:
        sys.setrecursionlimit(limit)

    assert known[0] is known[1] is known[2]
    assert known[0].fingerprint != known[3].fingerprint
