"""Which code answers a request: behind decorators, and within class-based views."""

from collections.abc import Mapping
from functools import partial
from types import CodeType
from typing import Any, Final

from watchkeeper.runtime.endpoints import Endpoint, ViewMethod

MAX_UNWRAPPED: Final = 10  # decorators around an endpoint that are looked through

_DJANGO: Final = "django.views.generic.base"


def code_of(endpoint: object) -> CodeType | None:
    """Return the code of an endpoint behind its decorators and partials."""
    for _ in range(MAX_UNWRAPPED):
        if isinstance(endpoint, partial):
            endpoint = endpoint.func
        elif (inner := getattr(endpoint, "__wrapped__", None)) is not None:
            endpoint = inner
        else:
            break
    code = getattr(endpoint, "__code__", None)
    return code if isinstance(code, CodeType) else None


def endpoint_of(view: Any, method: str) -> Endpoint | None:
    """Return what answers requests of a method: of a class-based view one of its methods.

    The view is a function, or the class itself (Starlette); a function that was made of a class
    tells it (Django and its REST framework, Flask, Quart).
    """
    kind = view
    if not isinstance(view, type):
        kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if not isinstance(kind, type):
        return code_of(view)
    code = code_of(_handler(view, kind, method.lower()))
    if code is None:
        return code_of(view)
    first = view
    if any(base.__module__ == _DJANGO for base in kind.__mro__):
        first = getattr(kind, method.lower(), view)
    return ViewMethod(code, kind, code_of(first))


def _handler(view: Any, kind: type, method: str) -> Any:
    actions = getattr(view, "actions", None)  # of a set of views of Django's REST framework
    name = actions.get(method, method) if isinstance(actions, Mapping) else method
    names = (name, "get", "dispatch_request") if method == "head" else (name, "dispatch_request")
    return next((found for one in names if (found := getattr(kind, one, None))), None)
