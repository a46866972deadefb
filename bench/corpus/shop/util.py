"""Helpers that several modules use."""

import functools


def to_int(text):
    return int(text.strip())


def retry(function, attempts=2):
    last = None
    for _ in range(attempts):
        try:
            return function()
        except ConnectionError as error:
            last = error
    raise RetriesExhaustedError(f"gave up after {attempts}") from last


class RetriesExhaustedError(Exception):
    pass


def cached(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args):
        if args not in memory:
            memory[args] = function(*args)
        return memory[args]

    return wrapper


def require(condition, text):
    if not condition:
        raise PermissionError(text)
