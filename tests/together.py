"""Work done by many threads at once, while another one looks on."""

import threading
from collections.abc import Callable


def in_threads(number: int, work: Callable[[], None], meanwhile: Callable[[], None]) -> None:
    """Run `work` in many threads, and `meanwhile` each millisecond and once after them."""
    done = threading.Event()

    def often() -> None:
        while not done.wait(0.001):
            meanwhile()

    other = threading.Thread(target=often)
    workers = [threading.Thread(target=work) for _ in range(number)]
    for thread in (other, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    other.join()
    meanwhile()
