"""Exceptions that a framework answers by itself: issues only if the answer is a failure.

They wait in the ASGI scope for the status of their answer.
"""

from typing import Final

from watchkeeper.integrations.asgi_middleware import AsgiMiddleware, Scope
from watchkeeper.integrations.outcomes import FAILED

_KEY: Final = "watchkeeper.suspect"


def suspect(scope: Scope, exc: BaseException) -> None:
    """Remember the exception that the answer to this request will come from."""
    scope[_KEY] = exc


def acquit(scope: Scope) -> None:
    """Forget the exception of this request."""
    scope.pop(_KEY, None)


def settle(middleware: AsgiMiddleware, scope: Scope, status: int) -> None:
    """Make an issue of this request's suspect if its status, unless 0, says that it failed."""
    if _KEY in scope and status:
        exc = scope.pop(_KEY)
        if status >= FAILED:
            middleware.capture(exc, scope, status=status)
