"""The skin for Django: the app and the middleware that the project's settings name.

INSTALLED_APPS += ["watchkeeper.integrations.django"]
MIDDLEWARE = ["watchkeeper.integrations.django.Middleware", *MIDDLEWARE]
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed  # type: ignore[import-untyped]

from watchkeeper.integrations.django.seen import show
from watchkeeper.integrations.django.switch import switch_on


class Middleware:
    """Shows each request of Django's to Watchkeeper, which thereby learns its route.

    Runs in whichever way the rest of the stack does, so that no request changes threads for it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        """Stand around the rest of the stack; leaves it again where Watchkeeper is off."""
        if not switch_on():
            raise MiddlewareNotUsed
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Pass a request on; returns the response, or in an asynchronous stack its coroutine."""
        show(request)
        return self._get_response(request)


__all__ = ["Middleware"]
