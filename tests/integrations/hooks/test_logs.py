"""Errors that are logged: their exception, or the line itself; once, and never our own."""

import contextlib
import logging
import logging.config
import threading
from collections.abc import Iterator

import pytest

from run_scripts import WATCHED, issues, run
from watchkeeper.integrations.hooks import logs
from watchkeeper.runtime.guard import take_errors

log = logging.getLogger("shop.orders")


@pytest.fixture
def logged(recorded) -> Iterator:
    uninstall = logs.install(recorded.watchkeeper)
    yield recorded
    uninstall()


def raised() -> ValueError:
    try:
        raise ValueError("no paper")
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("say", "level"),
    [
        (lambda: log.error("printing", exc_info=raised()), "error"),
        (lambda: log.critical("printing", exc_info=raised()), "critical"),
        (lambda: log.error(raised()), "error"),
    ],
    ids=["exc_info", "critical", "as the message"],
)
def test_a_logged_exception_is_an_issue(logged, say, level: str):
    """It is the exception that is recorded, with what the line said beside it."""
    say()

    (count,), (event,) = logged.watchkeeper.issues.take()
    assert ("ValueError: no paper", level, 1) == (count.title, count.level, count.count)
    assert "shop.orders" == event.data["context"]["logger"]
    assert "raised" == event.data["frames"][-1]["function"].rpartition(".")[2]


def test_a_line_without_an_exception_is_an_issue_of_its_template(logged):
    """The values do not separate them; the title, the place and the values shown are real."""
    for sku, left in (("A-1", 1), ("B-2", 2)):
        log.error("stock of %s is %d", sku, left)
    log.critical("credit of %s", "A-1")

    counts, events = logged.watchkeeper.issues.take()
    assert [
        ("orders: stock of A-1 is 1", "error", 2),
        ("orders: credit of A-1", "critical", 1),
    ] == [(one.title, one.level, one.count) for one in counts]
    assert counts[0].culprit.endswith(
        "hooks/test_logs.py:test_a_line_without_an_exception_is_an_issue_of_its_template"
    )
    assert "shop.orders" == counts[0].type
    assert ["stock of A-1 is 1", "stock of B-2 is 2", "credit of A-1"] == [
        event.data["message"] for event in events
    ]
    assert any("log.error(" in line for _, line in events[0].data["frames"][0]["source"])


def test_a_line_that_was_put_together_is_grouped_by_its_kind(logged):
    """Without arguments the values are found in the text; a structured line has its event."""
    for number in (17, 42):
        log.error(f"payment {number} failed")  # noqa: G004  # as many do
    for number in (17, 42):
        log.error({"event": "order lost", "order": number})

    counts, _ = logged.watchkeeper.issues.take()
    assert [2, 2] == [count.count for count in counts]


def test_secrets_of_a_line_are_masked(logged):
    """What was logged is scrubbed like any other text; `extra` is not stored at all."""
    secret = str(0xFACADE)  # so that it stands in no source line
    log.error("login failed: password=%s", secret, extra={"card": secret})

    counts, events = logged.watchkeeper.issues.take()
    assert secret not in f"{counts}{events}"
    assert "password=" in counts[0].title


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("shop.orders", logging.WARNING, "nearly sold out"),
        ("watchkeeper", logging.ERROR, "flush failed"),
        ("watchkeeper.own", logging.ERROR, "flush failed"),
        ("django.request", logging.ERROR, "Internal Server Error: /"),
        ("rq.worker", logging.ERROR, "job failed"),
        ("gunicorn.access", logging.ERROR, "GET / 500"),
        ("celery.app.trace", logging.ERROR, "task raised"),
    ],
)
def test_what_is_no_error_or_seen_otherwise_is_no_issue(logged, name, level, message):
    """Warnings, our own lines, and those that repeat what other hooks saw are not recorded."""
    logging.getLogger(name).log(level, message)

    assert {} == logged.issues()


def test_expected_exceptions_are_no_issues(logged):
    """What no hook records is not recorded because it is logged."""
    log.error("left", exc_info=GeneratorExit())
    log.error("ended", exc_info=SystemExit(0))

    assert {} == logged.issues()


def test_each_exception_counts_once_however_often_it_is_logged(logged):
    """A, B, A again: two events."""
    first, second = raised(), raised()

    for error in (first, second, first):
        log.error("printing", exc_info=error)

    assert {"ValueError": 2} == logged.issues()


def test_a_logger_that_does_not_propagate_is_seen(logged):
    """As those of many projects and servers."""
    own = logging.getLogger("shop.alone")
    own.propagate = False
    own.addHandler(logging.NullHandler())

    own.error("no paper")

    assert {"alone": 1} == logged.issues()


def test_nothing_recurses(logged):
    """A value that logs an error while it is written, and one that raises, harm nobody."""

    class Value:
        def __str__(self) -> str:
            log.error("asked for its text")
            raise ValueError("no text")

    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        log.error("value %s", Value())
    finally:
        logging.raiseExceptions = before

    assert logged.issues()["orders"] >= 1
    take_errors()


def test_an_error_of_a_handler_of_the_hosts_is_its_own_business(logged):
    """A handler that raises does so as before; the line is recorded all the same."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no disk")

    handler = Broken()
    log.addHandler(handler)
    try:
        with pytest.raises(OSError, match="no disk"):
            log.error("no paper")
    finally:
        log.removeHandler(handler)

    assert {"orders": 1} == logged.issues()


def test_uninstalled_logging_is_what_it_was(recorded):
    """Taken out, nothing of ours is left in the class of loggers."""
    before = logging.Logger.callHandlers

    uninstall = logs.install(recorded.watchkeeper)
    assert logging.Logger.callHandlers is not before
    uninstall()

    assert logging.Logger.callHandlers is before
    log.error("no paper")
    assert {} == recorded.issues()


def test_the_hosts_logging_is_as_before(tmp_path):
    """The handler of last resort speaks, `basicConfig` works, `dictConfig` takes nothing away."""
    script = """
import logging, logging.config
logging.error("first")
logging.getLogger("shop").error("second")
logging.basicConfig(format="configured %(message)s", force=False)
logging.getLogger("shop").error("third")
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False,
    "root": {"handlers": []}})
logging.getLogger("shop").error("fourth")
"""
    script = script.replace('logging.error("first")\n', "")

    done = run(tmp_path, WATCHED + script)

    assert "second\nconfigured third\nfourth\n" == done.stderr
    assert {"shop: second": 1, "shop: third": 1, "shop: fourth": 1} == issues(tmp_path)


def test_switched_off_no_line_is_recorded(tmp_path):
    """With `logs = false` below `[capture]` in the file."""
    (tmp_path / "watchkeeper.toml").write_text("[capture]\nlogs = false\n")

    run(tmp_path, WATCHED + "import logging\nlogging.error('no paper')")

    assert {} == issues(tmp_path)


ASYNC = {
    "a task that nobody awaits": (
        """
async def work(): raise ValueError("no paper")
async def main():
    asyncio.create_task(work())
    await asyncio.sleep(0.01)
    import gc; gc.collect()
""",
        {"ValueError: no paper": 1},
    ),
    "a callback": (
        """
def work(): raise ValueError("no paper")
async def main():
    asyncio.get_running_loop().call_soon(work)
    await asyncio.sleep(0.01)
""",
        {"ValueError: no paper": 1},
    ),
    "run_in_executor": (
        """
def work(): raise ValueError("no paper")
async def main():
    asyncio.get_running_loop().run_in_executor(None, work)
    await asyncio.sleep(0.1)
""",
        {"ValueError: no paper": 1},
    ),
    "main raises": (
        """
async def main(): raise ValueError("no paper")
""",
        {"ValueError: no paper": 1},
    ),
    "gather with results": (
        """
async def work(): raise ValueError("no paper")
async def main():
    await asyncio.gather(work(), return_exceptions=True)
""",
        {},
    ),
    "a handler of the application": (
        """
async def work(): raise ValueError("no paper")
async def main():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    asyncio.get_running_loop().call_soon(1 .__truediv__, 0)
""",
        {},
    ),
}


@pytest.mark.parametrize("how", ASYNC)
def test_what_asyncio_loses_is_an_issue(tmp_path, how: str):
    """After the end of the process it is in the database, once; what is handled is not."""
    script, found = ASYNC[how]

    run(tmp_path, f"{WATCHED}import asyncio\n{script}\nasyncio.run(main())")

    assert found == issues(tmp_path)


class Stock:
    """Its text takes long, or cannot be had."""

    def __init__(self, write) -> None:
        self.write = write

    def __str__(self) -> str:
        return self.write()


def unreadable() -> str:
    raise RuntimeError


@pytest.mark.parametrize(
    ("say", "shown"),
    [
        (lambda: log.error("stock %d", "abc"), "stock %d"),
        (lambda: log.error("stock %s %s", "abc"), "stock %s %s"),
        (lambda: log.error("stock %s", Stock(unreadable)), "stock %s"),
        (lambda: log.error(Stock(unreadable)), "(its text could not be read)"),
        (lambda: log.error("stock %s", Stock(lambda: "12")), "stock 12"),
        (lambda: log.error("stock %(left)s", {"left": 12}), "stock 12"),
        (lambda: log.error("stock %(left)s", {"left": Stock(lambda: "12")}), "stock 12"),
        (
            lambda: log.error({"event": "stock is low", "left": 3}),
            "{'event': 'stock is low', 'left': 3}",
        ),
    ],
)
def test_a_line_counts_whatever_its_arguments_do(logged, say, shown: str, monkeypatch):
    """Its message is shown if it can be made, else what it was to be made of."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    for _ in range(3):
        with contextlib.suppress(RuntimeError):  # of the host's own handlers
            say()

    (count,), events = logged.watchkeeper.issues.take()
    assert 3 == count.count
    assert shown == events[0].data["message"]


def test_an_argument_that_blocks_holds_up_a_request_for_a_moment_only(logged):
    """Its text is not waited for; where no handler wants it, nobody else would ask."""
    release = threading.Event()
    shop = logging.getLogger("shop.stock")
    shop.propagate = False
    shop.addHandler(logging.NullHandler())
    try:
        shop.error("stock of %s is low", Stock(lambda: str(release.wait(60.0))))
        counts, (event,) = logged.watchkeeper.issues.take()
    finally:
        release.set()

    assert [1] == [count.count for count in counts]
    assert "stock of %s is low" == event.data["message"]
