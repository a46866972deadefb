"""In a forked child no lock is one that a thread of its parent's may hold."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from watchkeeper.app import forget_current, obtain
from watchkeeper.core.ping import Call, Said
from watchkeeper.dashboard.http import Request
from watchkeeper.integrations.own import OwnPages
from watchkeeper.runtime import checks, declared
from watchkeeper.settings import Settings

LOCKS = (type(threading.Lock()), type(threading.RLock()))
PARTS = (threading.Condition, threading.Event)  # which hold a lock


def parts(one: object) -> Iterator[tuple[str, object]]:
    """Name what an object of ours, or a container, consists of."""
    if isinstance(one, Mapping):
        yield from ((f"[{key!r:.20}]", value) for key, value in list(one.items()))
    elif isinstance(one, list | tuple | set | frozenset | deque):
        yield from ((f"[{at}]", value) for at, value in enumerate(list(one)))
    elif isinstance(one, PARTS) or type(one).__module__.partition(".")[0] == "watchkeeper":
        names = {*getattr(one, "__dict__", ())}
        for kind in type(one).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names.update([slots] if isinstance(slots, str) else slots)
        yield from ((f".{name}", getattr(one, name, None)) for name in sorted(names))


def locks(roots: Iterable[object]) -> dict[str, object]:
    """Find every lock that these objects hold, by the way to it."""
    found: dict[str, object] = {}
    waiting = [(type(root).__name__, root) for root in roots]
    seen: list[object] = []
    known: set[int] = set()
    while waiting:
        way, one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        seen.append(one)  # so that no other gets its id
        if isinstance(one, LOCKS):
            found[way] = one
        waiting += [(way + name, part) for name, part in parts(one)]
    return found


def test_a_forked_child_has_no_lock_of_its_parents(tmp_path):
    """Whatever a thread of the parent's was at, nothing of the child's waits for it."""
    wk = obtain(Settings(enabled=True, database_url=f"sqlite:///{tmp_path}/shop.db"))
    wk.quiet = True
    own = OwnPages(wk)
    page = Request(method="GET", root="", path="/")
    roots = (wk, own, checks.DECLARED, declared.DECLARED)
    wk.flush()
    own.answer(page)
    own._pings.hear(Call(token="t" * 32, said=Said.LOG))
    before = locks(roots)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        own.answer(page)
        mine = {id(one) for one in before.values()}
        shared = [way for way, one in locks(roots).items() if id(one) in mine]
        os.write(writing, "\n".join(shared).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as told:
        shared = told.read().splitlines()
    forget_current()

    assert [] == shared
    assert 10 < len(before)
