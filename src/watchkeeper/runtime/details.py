"""What an exception object tells beside its trace: whether it is expected, what of it counts.

Attributes are read as they are held; of what is computed that of frameworks only is asked for.
Callers hold a guard, since that may raise.
"""

import errno
from collections.abc import Mapping
from typing import Final

from watchkeeper.runtime.bare import (
    attribute_of,
    bases_of,
    is_group,
    module_of,
    package_of,
    qualname_of,
    state_of,
)
from watchkeeper.runtime.database_details import (
    database_detail,
    first_database_detail,
    is_database,
    was_database,
)
from watchkeeper.runtime.links import leaves_of

MAX_DETAIL_CHARS: Final = 200

_NEVER_ERRORS: Final = frozenset(
    {
        "asyncio.exceptions.CancelledError",
        "builtins.GeneratorExit",
        "builtins.KeyboardInterrupt",
        "concurrent.futures._base.CancelledError",
        # how a task says that it is to be ignored, rejected or tried again
        "celery.exceptions.TaskPredicate",
        # the client left
        "daphne.server.ClientDisconnected",
        "django.core.exceptions.RequestAborted",
        "django.http.request.UnreadablePostError",
        "hypercorn.utils.ClientDisconnected",
        "starlette.requests.ClientDisconnect",
        "starlette.websockets.WebSocketDisconnect",
        "uvicorn.protocols.utils.ClientDisconnected",
        # answers below 500 that carry no status
        "django.core.exceptions.BadRequest",
        "django.core.exceptions.PermissionDenied",
        "django.core.exceptions.SuspiciousOperation",
        "django.http.multipartparser.MultiPartParserError",
        "django.http.response.Http404",
        "fastapi.exceptions.RequestValidationError",
        "fastapi.exceptions.WebSocketRequestValidationError",
    }
)
_ANSWERING: Final = frozenset(  # packages whose HTTPException is an answer that is given
    {"aiohttp", "bottle", "fastapi", "litestar", "pyramid", "quart", "starlette", "werkzeug"}
)
_TRUSTED: Final = _ANSWERING | {"falcon", "rest_framework", "sanic", "webob"}
_HTTP_ANSWERS: Final = frozenset(
    {
        "falcon.http_error.HTTPError",
        "rest_framework.exceptions.APIException",
        "sanic.exceptions.SanicException",
    }
)
_STATUS_ATTRIBUTES: Final = ("status_code", "code", "status")
_FIRST_SERVER_ERROR: Final = 500
_HTTP_STATE: Final = frozenset({"status_code", "status", "response"})


def may_be_expected(kind: type[BaseException]) -> bool:
    """Tell whether exceptions of this type can be expected ones at all (to be remembered)."""
    return issubclass(kind, (SystemExit, BaseExceptionGroup)) or any(
        _is_never_error(base) or _is_http_answer(base) for base in bases_of(kind)
    )


def is_expected(exc: BaseException) -> bool:
    """Tell whether an exception is no error: a cancellation, a disconnect, an answer below 500.

    An exception that stands for an answer *received* (of an HTTP client) is an error. A group is
    expected if everything in it is.
    """
    kind = type(exc)
    if is_group(exc):
        return all(is_expected(leaf) for leaf in leaves_of(exc, most=None))
    if issubclass(kind, SystemExit):
        return _as_int(attribute_of(exc, "code"), of_nothing=0) == 0
    if any(_is_never_error(base) for base in bases_of(kind)):
        return True
    if any(_is_http_answer(base) for base in bases_of(kind)):
        status = _first_status(exc)
        return status is not None and status < _FIRST_SERVER_ERROR
    return False


def may_have_detail(kind: type[BaseException]) -> bool:
    """Tell whether exceptions of this type may have a detail without attributes of their own."""
    return issubclass(kind, OSError) or is_database(kind)


def detail(exc: BaseException) -> str:
    """Return what of an exception's data separates two errors of the same place, or "".

    The HTTP status, the name of the errno, the database's code with its constraint.
    """
    state = state_of(exc)
    if not _HTTP_STATE.isdisjoint(state):
        status = _received_status(state)
        if status is not None:
            return f"status {status}"
    if issubclass(type(exc), OSError):
        return _os_detail(exc)
    if is_database(type(exc)):
        return database_detail(exc)[:MAX_DETAIL_CHARS]
    return ""


def first_detail(exc: BaseException) -> str | None:
    """Return what the first version of the grouping took for the detail; None: the same."""
    is_told_otherwise = issubclass(type(exc), OSError) or not _HTTP_STATE.isdisjoint(state_of(exc))
    if is_told_otherwise or not is_database(type(exc)):
        return None
    return first_database_detail(exc)[:MAX_DETAIL_CHARS] if was_database(type(exc)) else ""


def _name(kind: type) -> str:
    return f"{module_of(kind)}.{qualname_of(kind)}"


def _is_never_error(kind: type) -> bool:
    return _name(kind) in _NEVER_ERRORS


def _is_http_answer(kind: type) -> bool:
    if qualname_of(kind) == "HTTPException":
        return package_of(kind) in _ANSWERING
    return _name(kind) in _HTTP_ANSWERS


def _first_status(exc: BaseException) -> int | None:
    for attribute in _STATUS_ATTRIBUTES:
        status = _as_status(attribute_of(exc, attribute, trusted=_TRUSTED))
        if status is not None:
            return status
    return None


def _as_status(value: object) -> int | None:
    if issubclass(type(value), str):  # falcon: "404 Not Found"
        head = str.__getitem__(value, slice(3))  # type: ignore[index]  # it is one
        value = int(head) if head.isascii() and head.isdigit() else None
    status = _as_int(value)
    return status if status is not None and 100 <= status <= 599 else None


def _as_int(value: object, *, of_nothing: int | None = None) -> int | None:
    """Return a number as it is, whatever its class overrides; None for anything else."""
    if value is None:
        return of_nothing
    # not isinstance, which asks the value's `__class__`
    return int.__index__(value) if issubclass(type(value), int) else None  # type: ignore[arg-type]


def _received_status(state: Mapping[str, object]) -> int | None:
    for name in ("status_code", "status"):
        status = _as_status(state.get(name))
        if status is not None:
            return status
    return _as_status(attribute_of(state.get("response"), "status_code", trusted=_TRUSTED))


def _os_detail(exc: BaseException) -> str:
    code = attribute_of(exc, "errno")
    if code is None:
        status = _as_status(attribute_of(exc, "code"))  # urllib.error.HTTPError
        return "" if status is None else f"status {status}"
    number = _as_int(code)
    return "" if number is None else errno.errorcode.get(number, str(number))
