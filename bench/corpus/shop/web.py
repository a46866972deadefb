"""The shop's own decorators and middleware."""

import functools
import time


def timed(view):
    @functools.wraps(view)
    def wrapper(*args):
        begun = time.perf_counter()
        try:
            return view(*args)
        finally:
            wrapper.seconds = time.perf_counter() - begun

    return wrapper


def logged(view):
    @functools.wraps(view)
    def wrapper(*args):
        return view(*args)

    return wrapper


class Middleware:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, *args):
        return self.handle(args)

    def handle(self, args):
        try:
            return self.inner(*args)
        except Exception:
            self.failed = True
            raise
