"""Work done by many threads at once, while another one looks on."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SWITCH_S: Final = 1e-4  # instead of 5 ms: what can get between two threads does so sooner


def in_threads(number: int, work: Callable[[], None], meanwhile: Callable[[], None]) -> None:
    """Run `work` in many threads, and `meanwhile` each millisecond and once after them."""
    done = threading.Event()

    def often() -> None:
        while not done.wait(0.001):
            meanwhile()

    other = threading.Thread(target=often)
    workers = [threading.Thread(target=work) for _ in range(number)]
    with switching_often():
        for thread in (other, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        done.set()
        other.join()
    meanwhile()


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns more often than they do by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
