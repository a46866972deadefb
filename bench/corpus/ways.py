"""The ways in which an endpoint of the corpus is run, each as a framework or a program would.

A way takes a bug's number and returns what was raised and the code object of the endpoint, if an
integration would know it. What runs here plays the framework.
"""

import asyncio
import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import CodeType
from typing import Any, Final

from corpus.bugs import BUGS

Raised = tuple[BaseException, CodeType | None]
Way = Callable[[int], Raised]


def endpoint_of(number: int, module: str = "front.views", name: str = "view") -> Any:
    """Return the endpoint that runs into a bug, ready to be called without arguments."""
    bug = BUGS[number]
    if not bug.view:
        return getattr(importlib.import_module(module), f"{name}_{number}"), ()
    function, _, arguments = bug.calls[0].partition("(")
    view = getattr(importlib.import_module("shop.views"), function.rpartition(".")[2])
    return view, (eval(arguments.removesuffix(")")),)  # noqa: S307  # our own table


def caught(function: Callable[..., object], *args: object) -> BaseException:
    """Call and return what was raised, its trace from the called function on."""
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001  # whatever it is: it is what is looked at
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError(f"{function} raised nothing")


def code_of(view: Any) -> CodeType:
    """Return the code object that an integration finds of a view."""
    found: CodeType = inspect.unwrap(view).__code__
    return found


def view(number: int) -> Raised:
    """Call the view."""
    function, arguments = endpoint_of(number)
    return caught(function, *arguments), code_of(function)


def other_view(number: int) -> Raised:
    """Call a view of another module, which logs before and has arguments."""
    function, arguments = endpoint_of(number, "front.other_views", "other")
    return caught(function, *arguments), code_of(function)


def async_view(number: int) -> Raised:
    """Run a coroutine that calls the same."""
    function, _ = endpoint_of(number, "front.async_views", "async_view")
    return caught(lambda: asyncio.run(function())), code_of(function)


def job(number: int) -> Raised:
    """Run a job's method."""
    kind = getattr(importlib.import_module("front.jobs"), f"Job{number}")
    return caught(kind().run), kind.run.__code__


def script(number: int) -> Raised:
    """Run a script, of which nobody knows an endpoint."""
    function, _ = endpoint_of(number, "front.script", "main")
    return caught(function), None


def own_thread(number: int) -> Raised:
    """Run the script in a thread, whose hook sees the error."""
    function, _ = endpoint_of(number, "front.script", "main")
    seen: list[BaseException] = []
    before = threading.excepthook
    threading.excepthook = lambda args: seen.append(args.exc_value or KeyError())
    try:
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    return seen[0], None


def pool(number: int) -> Raised:
    """Run the view in a worker of a pool, and ask for the result."""
    function, arguments = endpoint_of(number)
    with ThreadPoolExecutor(1) as workers:
        error = caught(workers.submit(function, *arguments).result)
    return error, code_of(function)


def decorated(number: int) -> Raised:
    """Call the view through two of the shop's decorators."""
    web = importlib.import_module("shop.web")
    function, arguments = endpoint_of(number)
    function = web.timed(web.logged(function))
    return caught(function, *arguments), code_of(function)


def middleware(number: int) -> Raised:
    """Call the view through one middleware of the shop's."""
    return _below(number, 1)


def many_middlewares(number: int) -> Raised:
    """Call the view through forty of them."""
    return _below(number, 40)


def _below(number: int, middlewares: int) -> Raised:
    web = importlib.import_module("shop.web")
    function, arguments = endpoint_of(number)
    called = function
    for _ in range(middlewares):
        called = web.Middleware(called)
    return caught(called, *arguments), code_of(function)


def flask(number: int) -> Raised:
    """Ask a Flask application for the view."""
    from flask import Flask

    function, arguments = endpoint_of(number)
    app = Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.add_url_rule(
        "/", view_func=function, defaults={"query": arguments[0]} if arguments else {}
    )
    client = app.test_client()
    return caught(lambda: client.get("/")), code_of(function)


def starlette(number: int) -> Raised:
    """Ask a Starlette application for the coroutine."""
    import httpx
    from starlette.applications import Starlette
    from starlette.routing import Route

    function, _ = endpoint_of(number, "front.async_views", "async_view")

    async def endpoint(request: object) -> object:
        return await function()

    app = Starlette(routes=[Route("/", endpoint)])

    async def ask() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
            await http.get("/")

    return caught(lambda: asyncio.run(ask())), code_of(function)


def click(number: int) -> Raised:
    """Run the view as a command of a program."""
    from click import command

    function, arguments = endpoint_of(number)
    run = command("run")(lambda: function(*arguments))
    return caught(lambda: run.main([], standalone_mode=False)), code_of(function)


def task_group(number: int) -> Raised:
    """Run it as the one task of a group."""
    function, _ = endpoint_of(number, "front.groups", "grouped")
    return caught(lambda: asyncio.run(function())), code_of(function)


def while_handling(number: int) -> Raised:
    """Call the view while another error is being handled."""
    function, arguments = endpoint_of(number)
    try:
        {}["before"]
    except KeyError:
        return caught(function, *arguments), code_of(function)
    raise AssertionError


def reloaded(number: int) -> Raised:
    """Call the view after every module of the application was loaded anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in {"shop", "front"}]:
        del sys.modules[name]
    return view(number)


WAYS: Final[dict[str, Way]] = {
    "view": view,
    "again": view,
    "another view": other_view,
    "a coroutine": async_view,
    "a job": job,
    "a script": script,
    "a thread": own_thread,
    "a pool": pool,
    "decorators": decorated,
    "a middleware": middleware,
    "forty middlewares": many_middlewares,
    "Flask": flask,
    "Starlette": starlette,
    "click": click,
    "a task group": task_group,
    "while handling another": while_handling,
    "reloaded": reloaded,
}
FOR_VIEWS: Final = frozenset(
    {
        "view",
        "again",
        "a pool",
        "decorators",
        "a middleware",
        "forty middlewares",
        "Flask",
        "click",
    }
    | {"while handling another", "reloaded"}
)
"""The ways that need no other entry point than the view itself."""
