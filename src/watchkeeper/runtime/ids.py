"""Ids of requests that came without one: unique over all workers, and cheap in a storm."""

import os
from random import Random

_random = Random()  # noqa: S311  # an id is no secret, and asking the system for bytes is slow
_pid = os.getpid()


def new_id() -> str:
    """Return 32 hexadecimal digits that no other process makes, forked from this one or not."""
    global _pid  # one for the process
    if os.getpid() != _pid:  # uWSGI forks without telling Python
        _random.seed()
        _pid = os.getpid()
    return f"{_random.getrandbits(128):032x}"
