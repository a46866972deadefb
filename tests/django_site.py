"""A small Django project in one module: its settings, its pages, its interfaces.

Django is set up once per process, with settings that each test overrides for itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.test import override_settings
from django.urls import include, path, re_path
from django.utils.decorators import sync_only_middleware
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

if not settings.configured:
    settings.configure(LOGGING_CONFIG=None, TIME_ZONE="UTC", SECRET_KEY="for tests")
    django.setup()

WATCHED = "watchkeeper.integrations.django.Middleware"
COMMON = "django.middleware.common.CommonMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"

OVERRIDES: dict[str, Any] = {
    "ROOT_URLCONF": __name__,
    "MIDDLEWARE": [WATCHED, COMMON, CSRF],
    "ALLOWED_HOSTS": ["*"],
    "DEBUG": False,
    "INSTALLED_APPS": [],
    "LANGUAGES": [("en", "English"), ("de", "German")],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"page.html": "{{ text }}", "404.html": "gone", "403.html": "closed"},
                    )
                ]
            },
        }
    ],
}


HANDLERS: dict[str, Callable[[], Callable]] = {"wsgi": WSGIHandler, "asgi": ASGIHandler}


@contextmanager
def project(interface: str, *middleware: str, **overrides: Any) -> Iterator[Callable]:
    """Give the project's application, with further middleware inside of ours."""
    chain = [*OVERRIDES["MIDDLEWARE"], *middleware]
    with override_settings(**{**OVERRIDES, "MIDDLEWARE": chain, **overrides}):
        yield HANDLERS[interface]()


def item(request: HttpRequest, key: int = 0, **more: str) -> HttpResponse:
    return HttpResponse(f"item {key}")


async def async_item(request: HttpRequest, key: int) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(f"item {key}")


def fail(request: HttpRequest, name: str) -> HttpResponse:
    raise {
        "missing": Http404,
        "denied": PermissionDenied,
        "suspicious": SuspiciousOperation,
    }.get(name, ValueError)(name)


async def async_fail(request: HttpRequest, name: str) -> HttpResponse:
    return fail(request, name)


def page(request: HttpRequest, name: str) -> HttpResponse:
    return TemplateResponse(request, "page.html", {"text": lambda: fail(request, name)})


def parts(broken: bool) -> Iterator[str]:
    yield "a"
    if broken:
        raise ValueError
    yield "b"


async def async_parts(broken: bool) -> AsyncIterator[str]:
    for part in parts(broken):
        yield part


async def endless() -> AsyncIterator[str]:
    while True:
        yield "a"
        await asyncio.sleep(0.01)


def stream(request: HttpRequest, kind: str) -> StreamingHttpResponse:
    make = async_parts if kind.startswith("async") else parts
    return StreamingHttpResponse(make(kind.endswith("broken")))


async def endless_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(endless())


async def slow(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(60)
    return HttpResponse("too late")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))  # the response closes it


@csrf_exempt
def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(request.POST))


class Classy(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("class")


def error_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("own page of errors", status=500)


def no_error_page(request: HttpRequest) -> HttpResponse:
    raise KeyError("the page of errors is broken")


handler500 = error_page

orders = [
    path("orders/<int:key>/", item, name="order"),
    re_path(r"^by-(?P<day>\d{4}-\d\d)/(?:page/(\d+)/)?$", item, name="by-day"),
]

urlpatterns = [
    path("", item),
    path("items/<int:key>/", item),
    path("async/<int:key>/", async_item),
    path("fail/<name>/", fail),
    path("async-fail/<name>/", async_fail),
    path("page/<name>/", page),
    path("stream/<kind>/", stream),
    path("endless/", endless_stream),
    path("slow/", slow),
    path("file/", file),
    path("form/", form),
    path("only-post/", require_POST(item)),
    path("class/", Classy.as_view()),
    path("shop/", include((orders, "orders"), namespace="shop")),
    *i18n_patterns(path("about/", item)),
]


@sync_only_middleware
def failing(get_response: Callable) -> Callable:
    def middleware(request: HttpRequest) -> HttpResponse:
        get_response(request)
        raise LookupError("in the middleware")

    return middleware


@sync_only_middleware
def refusing(get_response: Callable) -> Callable:
    return lambda request: HttpResponse("closed for today", status=503)


class Answering:
    """Middleware that turns exceptions of views into responses."""

    status = 500

    def __init__(self, get_response: Callable) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse("sorry", status=self.status)


class Apologizing(Answering):
    """The same with an answer that says that nothing is broken."""

    status = 409


def environ(url: str, method: str = "GET", **changes: object) -> dict:
    """Make the environment of a request as a WSGI server does."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": url,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": "",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **changes,
    }


Answer = tuple[int, list[tuple[str, str]], bytes]


def wsgi(app: Callable, url: str, method: str = "GET", **changes: object) -> Answer:
    """Serve one request as a WSGI server does: every part of the body, then close."""
    started: list[Any] = []

    def start_response(status: str, headers: list, exc_info: object = None) -> Callable:
        started[:] = [int(status[:3]), list(headers)]
        return lambda data: None

    body = app(environ(url, method, **changes), start_response)
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return started[0], started[1], content


async def asgi(
    app: Callable,
    url: str,
    method: str = "GET",
    *,
    leave: str = "",
    messages: list[dict] | None = None,
    **changes: object,
) -> Answer:
    """Serve one request as an ASGI server does.

    The client leaves when the application sends a message of the type `leave`, or at once for
    `leave="upload"`, in the midst of its own body.
    """
    sent: list[dict] = [] if messages is None else messages
    received = [{"type": "http.request", "body": b"", "more_body": leave == "upload"}]
    gone = asyncio.Event()
    if leave in ("upload", "waiting"):
        gone.set()

    async def receive() -> dict:
        if received:
            return received.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)
        if message["type"] == leave:
            gone.set()

    scope = {
        "type": "http",
        "method": method,
        "path": url,
        "query_string": b"",
        "headers": [(b"host", b"shop.example")],
        **changes,
    }
    await app(scope, receive, send)
    headers = sent[0]["headers"] if sent else []
    return (
        sent[0]["status"] if sent else 0,
        [(name.decode(), value.decode()) for name, value in headers],
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


def call(
    app: Callable, url: str, method: str = "GET", *, request_id: str = "", root: str = ""
) -> Answer:
    """Serve one request through whichever interface a handler of Django's has."""
    if isinstance(app, ASGIHandler):
        headers = [(b"host", b"shop.example"), (b"x-request-id", request_id.encode())]
        return call_asgi(app, root + url, method, headers=headers, root_path=root)
    return wsgi(app, url, method, HTTP_X_REQUEST_ID=request_id, SCRIPT_NAME=root)


def call_asgi(app: Callable, url: str, method: str = "GET", **more: Any) -> Answer:
    """Serve one request on an event loop of its own."""
    return asyncio.run(asgi(app, url, method, **more))
